using System.Diagnostics.Metrics;

namespace GptFunctions.Gateway;

/// <summary>Figures of the gateway, under the meter <c>GptFunctions.Gateway</c>.</summary>
internal sealed class GatewayMetrics : IDisposable
{
    private readonly Meter meter = new("GptFunctions.Gateway");
    private readonly Histogram<double> duration;
    private readonly Counter<long> identityHeaders;

    public GatewayMetrics()
    {
        duration = meter.CreateHistogram<double>("gpt.gateway.duration", "s", "Time from the request to the end of its answer, by route and status");
        identityHeaders = meter.CreateCounter<long>("gpt.gateway.identity_headers", "{header}", "Identity headers of callers that were removed");
    }

    /// <param name="route">Null for requests that have none.</param>
    public void Answered(string? route, int status, TimeSpan took) =>
        duration.Record(took.TotalSeconds, new KeyValuePair<string, object?>("route", route ?? "none"), new KeyValuePair<string, object?>("status", status));

    public void Removed(int headers) => identityHeaders.Add(headers);

    public void Dispose() => meter.Dispose();
}
