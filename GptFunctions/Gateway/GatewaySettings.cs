using GptFunctions.Hosting;

namespace GptFunctions.Gateway;

internal sealed class GatewaySettings : ISettings
{
    /// <summary>The tiers that a route may name, each with its limit: calls per user and minute.</summary>
    public static readonly Dictionary<string, Func<GatewaySettings, int>> Tiers = new(StringComparer.Ordinal)
    {
        ["read"] = settings => settings.ReadLimit,
        ["expensive"] = settings => settings.ExpensiveLimit,
    };

    private GatewayConfig? config;

    [Setting("GATEWAY_CONFIG", Default = "none: no routes", Development = "in a checkout the sample's routes, with a demo upstream",
        Meaning = "path of the file with the gateway's routes, see [infra/config/gateway.json](../infra/config/gateway.json)")]
    public string? ConfigPath { get; set; }

    [Setting("GATEWAY_READ_LIMIT", 1, 1_000_000, Meaning = "calls per user and minute on routes of the tier `read`")]
    public int ReadLimit { get; set; } = 30;

    [Setting("GATEWAY_EXPENSIVE_LIMIT", 1, 1_000_000, Meaning = "calls per user and minute on routes of the tier `expensive`")]
    public int ExpensiveLimit { get; set; } = 10;

    [Setting("GATEWAY_OPEN_CALLS_PER_USER", 1, 10_000, Meaning = "calls that one user may have open at once, in each process; one more is 429")]
    public int OpenCallsPerUser { get; set; } = 20;

    [Setting("GATEWAY_OPEN_CALLS", 1, 100_000, Meaning = "calls that may be open at once, in each process; one more is 503")]
    public int OpenCalls { get; set; } = 1000;

    [Setting("GATEWAY_UPLOAD_TIMEOUT", 1, 600, "seconds",
        Meaning = "seconds without an octet after which a caller's upload is given up: 408 (the Functions host's own server has a limit of its own: "
            + "240 octets/s after 5 s)")]
    public int UploadTimeoutSeconds { get; set; } = 60;

    /// <summary>Null when no file is named.</summary>
    public GatewayConfig? Config => config ??= ConfigPath is null ? null : GatewayConfig.Load(ConfigPath);

    public IEnumerable<string> Problems(bool isProduction) => Config?.Problems ?? [];
}
