using System.Diagnostics.Metrics;

namespace GptFunctions.Gateway;

/// <summary>Figures of the gateway, under the meter <c>GptFunctions.Gateway</c>.</summary>
internal sealed class GatewayMetrics : IDisposable
{
    private readonly Histogram<double> duration;
    private readonly Histogram<double> added;
    private readonly Counter<long> calls;
    private readonly Counter<long> identityHeaders;
    private readonly Counter<long> quotaRefusals;

    public GatewayMetrics()
    {
        duration = Meter.CreateHistogram<double>("gpt.gateway.duration", "s", "Time from the request to the end of its answer, by route and status");
        added = Meter.CreateHistogram<double>("gpt.gateway.added", "s", "Time until a call leaves for its upstream, by route: what the gateway adds to it");
        calls = Meter.CreateCounter<long>("gpt.gateway.calls", "{call}", "Calls by route and outcome");
        identityHeaders = Meter.CreateCounter<long>("gpt.gateway.identity_headers", "{header}", "Identity headers of callers that were removed");
        quotaRefusals = Meter.CreateCounter<long>(
            "gpt.gateway.quota_refusals", "{call}", "Calls that the user's plan or the month's quota did not allow, by quota and code");
    }

    public Meter Meter { get; } = new("GptFunctions.Gateway");

    /// <param name="route">Null for requests that have none.</param>
    /// <param name="forwarded">Null when an exception ended the call.</param>
    public void Answered(string? route, Forwarded? forwarded, TimeSpan took)
    {
        var routeTag = new KeyValuePair<string, object?>("route", route ?? "none");
        duration.Record(took.TotalSeconds, routeTag, new KeyValuePair<string, object?>("status", Status(forwarded?.Status ?? 500)));
        calls.Add(1, routeTag, new KeyValuePair<string, object?>("outcome", forwarded?.Outcome ?? "failed"));
    }

    /// <summary>A call leaves for its upstream.</summary>
    public void Left(string route, TimeSpan after) => added.Record(after.TotalSeconds, new KeyValuePair<string, object?>("route", route));

    public void Removed(int headers) => identityHeaders.Add(headers);

    public void QuotaRefused(string quota, string code) =>
        quotaRefusals.Add(1, new KeyValuePair<string, object?>("quota", quota), new KeyValuePair<string, object?>("code", code));

    public void Dispose() => Meter.Dispose();

    /// <summary>An upstream may answer with any number; those that nobody knows are one.</summary>
    private static object Status(int status) => status switch
    {
        200 or 201 or 202 or 204 or 206 or 301 or 302 or 303 or 304 or 307 or 308 => status,
        400 or 401 or 402 or 403 or 404 or 405 or 406 or 408 or 409 or 410 or 412 or 413 or 415 or 422 or 428 or 429 => status,
        Forwarded.HungUp or 500 or 501 or 502 or 503 or 504 => status,
        _ => $"{status / 100}xx",
    };
}
