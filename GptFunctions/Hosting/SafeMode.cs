using Microsoft.Extensions.Options;

namespace GptFunctions.Hosting;

internal sealed class SafeModeSettings : ISettings
{
    [Setting("SAFE_MODE", Meaning = "`true`: nothing is done outside of this program: no callback is sent, and no consequential action forwarded; what would "
        + "have been done is recorded as skipped")]
    public bool IsOn { get; set; }
}

/// <summary>A system outside of this program on which it acts.</summary>
internal interface IOutsideProvider
{
    /// <summary>The setting that is missing for that; null when there is none, or when nobody wants it.</summary>
    string? MissingCredential { get; }
}

/// <summary>
/// In safe mode nothing is done outside of this program: what would have been done is recorded as skipped, never as done. SAFE_MODE is for all of it; an
/// outside provider without its credentials is in safe mode alone. Either is shown: in health, in the header of every answer, in the log, as a gauge.
/// </summary>
internal sealed class SafeMode(IOptions<SafeModeSettings> settings, IEnumerable<IOutsideProvider> providers)
{
    public const string Header = "X-Safe-Mode";
    private readonly IOutsideProvider[] providers = [.. providers];

    /// <summary>Whether anything is skipped.</summary>
    public bool IsOn => IsForAll || Array.Exists(providers, provider => provider.MissingCredential is not null);

    /// <summary>Whether everything is.</summary>
    public bool IsForAll => settings.Value.IsOn;

    /// <summary>The settings that it is on for.</summary>
    public IEnumerable<string> Reasons => providers.Select(provider => provider.MissingCredential).OfType<string>().Select(setting => $"{setting} is not set")
        .Prepend(IsForAll ? "SAFE_MODE is true" : null).OfType<string>();
}
