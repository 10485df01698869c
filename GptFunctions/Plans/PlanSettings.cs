using GptFunctions.Hosting;

namespace GptFunctions.Plans;

internal sealed class PlanSettings : ISettings
{
    [Setting("PLAN_GRACE_DAYS", 0, 365, "days", Meaning = "days for which a plan still counts after the first payment that failed")]
    public int GraceDays { get; set; } = 7;

    public TimeSpan Grace => TimeSpan.FromDays(GraceDays);
}
