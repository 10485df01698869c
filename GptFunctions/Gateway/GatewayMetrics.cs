using System.Diagnostics.Metrics;

namespace GptFunctions.Gateway;

/// <summary>Figures of the gateway, under the meter <c>GptFunctions.Gateway</c>.</summary>
internal sealed class GatewayMetrics : IDisposable
{
    private readonly Meter meter = new("GptFunctions.Gateway");
    private readonly Histogram<double> duration;
    private readonly Counter<long> identityHeaders;
    private readonly Counter<long> quotaRefusals;

    public GatewayMetrics()
    {
        duration = meter.CreateHistogram<double>("gpt.gateway.duration", "s", "Time from the request to the end of its answer, by route and status");
        identityHeaders = meter.CreateCounter<long>("gpt.gateway.identity_headers", "{header}", "Identity headers of callers that were removed");
        quotaRefusals = meter.CreateCounter<long>(
            "gpt.gateway.quota_refusals", "{call}", "Calls that the user's plan or the month's quota did not allow, by quota and code");
    }

    /// <param name="route">Null for requests that have none.</param>
    public void Answered(string? route, int status, TimeSpan took) =>
        duration.Record(took.TotalSeconds, new KeyValuePair<string, object?>("route", route ?? "none"), new KeyValuePair<string, object?>("status", status));

    public void Removed(int headers) => identityHeaders.Add(headers);

    public void QuotaRefused(string quota, string code) =>
        quotaRefusals.Add(1, new KeyValuePair<string, object?>("quota", quota), new KeyValuePair<string, object?>("code", code));

    public void Dispose() => meter.Dispose();
}
