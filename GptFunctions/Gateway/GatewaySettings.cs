using System.ComponentModel.DataAnnotations;
using GptFunctions.Hosting;

namespace GptFunctions.Gateway;

internal sealed class GatewaySettings : ISettings
{
    private GatewayConfig? config;

    /// <summary>Path of <c>gateway.json</c>. Not set: there are no routes (in Development of a checkout: the sample's, answered by a demo upstream).</summary>
    [Setting("GATEWAY_CONFIG")]
    public string? ConfigPath { get; set; }

    /// <summary>Calls per user and minute on routes of the tier <c>read</c>.</summary>
    [Setting("GATEWAY_READ_LIMIT")]
    [Range(1, 1_000_000, ErrorMessage = "GATEWAY_READ_LIMIT must be between 1 and 1000000.")]
    public int ReadLimit { get; set; } = 30;

    /// <summary>Calls per user and minute on routes of the tier <c>expensive</c>.</summary>
    [Setting("GATEWAY_EXPENSIVE_LIMIT")]
    [Range(1, 1_000_000, ErrorMessage = "GATEWAY_EXPENSIVE_LIMIT must be between 1 and 1000000.")]
    public int ExpensiveLimit { get; set; } = 10;

    /// <summary>Calls that one user may have open at once in this process.</summary>
    [Setting("GATEWAY_OPEN_CALLS_PER_USER")]
    [Range(1, 10_000, ErrorMessage = "GATEWAY_OPEN_CALLS_PER_USER must be between 1 and 10000.")]
    public int OpenCallsPerUser { get; set; } = 20;

    /// <summary>Calls that may be open at once in this process.</summary>
    [Setting("GATEWAY_OPEN_CALLS")]
    [Range(1, 100_000, ErrorMessage = "GATEWAY_OPEN_CALLS must be between 1 and 100000.")]
    public int OpenCalls { get; set; } = 1000;

    /// <summary>Seconds without an octet after which a caller's upload is given up: 408.</summary>
    [Setting("GATEWAY_UPLOAD_TIMEOUT")]
    [Range(1, 600, ErrorMessage = "GATEWAY_UPLOAD_TIMEOUT must be between 1 and 600 seconds.")]
    public int UploadTimeoutSeconds { get; set; } = 60;

    /// <summary>Read once: routes change with a restart. Null when no file is named.</summary>
    public GatewayConfig? Config => config ??= ConfigPath is null ? null : GatewayConfig.Load(ConfigPath);

    public IEnumerable<string> Problems(bool isProduction) => Config?.Problems ?? [];
}
