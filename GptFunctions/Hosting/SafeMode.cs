namespace GptFunctions.Hosting;

/// <summary>In safe mode nothing is done outside of this program: what would have been done is recorded as skipped, never as done.</summary>
internal sealed class SafeMode : ISettings
{
    [Setting("SAFE_MODE", Meaning = "`true`: no callbacks are sent; what would have been sent is recorded as skipped")]
    public bool IsOn { get; set; }
}
