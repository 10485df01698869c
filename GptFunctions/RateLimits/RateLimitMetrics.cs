using System.Diagnostics.Metrics;

namespace GptFunctions.RateLimits;

/// <summary>Figures of the limits, under the meter <c>GptFunctions.RateLimits</c>.</summary>
internal sealed class RateLimitMetrics : IDisposable
{
    private readonly Counter<long> refused;

    public RateLimitMetrics() => refused = Meter.CreateCounter<long>("gpt.limits.refused", "{try}", "Tries that a limit refused, by limit");

    public Meter Meter { get; } = new("GptFunctions.RateLimits");

    /// <param name="key">Of the bucket: the limit's name, then whose bucket it is.</param>
    public void Refused(string key) => refused.Add(1, new KeyValuePair<string, object?>("limit", NameOf(key)));

    public void Dispose() => Meter.Dispose();

    private static string NameOf(string key) => key.IndexOf('|', StringComparison.Ordinal) is > 0 and var end ? key[..end] : "unnamed";
}
