using GptFunctions.Hosting;

namespace GptFunctions.Operations;

/// <summary>Who is on call.</summary>
internal sealed class OperationsSettings : ISettings
{
    [Setting("OPERATORS", Default = "nobody", Development = "`operator`, while people sign in at `/dev/sign-in`",
        Meaning = "Clerk user ids of those who may look at `/operations` and act there, separated by spaces")]
    public string[] Operators { get; set; } = [];

    [Setting("OPERATION_VIEWERS", Default = "nobody",
        Meaning = "Clerk user ids of those who may only look, separated by spaces; for everybody else `/operations` is 404")]
    public string[] Viewers { get; set; } = [];

    public bool IsAnybody => Operators.Length > 0 || Viewers.Length > 0;
}
