using System.Diagnostics.Metrics;
using GptFunctions.Statistics;

namespace GptFunctions.Webhooks;

/// <summary>Figures of the inbox, under the meter <c>GptFunctions.Webhooks</c>.</summary>
internal sealed class WebhookMetrics : IDisposable
{
    private readonly Meter meter = new("GptFunctions.Webhooks");
    private readonly HourlyCounts counts;
    private readonly Counter<long> deliveries;
    private readonly Histogram<double> duration;

    public WebhookMetrics(HourlyCounts counts)
    {
        this.counts = counts;
        deliveries = meter.CreateCounter<long>("gpt.webhooks.deliveries", "{delivery}", "Deliveries by source and outcome");
        duration = meter.CreateHistogram<double>("gpt.webhooks.duration", "s", "From the body's last byte to the answer");
    }

    public void Record(string source, string outcome, TimeSpan elapsed)
    {
        var sourceTag = new KeyValuePair<string, object?>("source", source);
        var outcomeTag = new KeyValuePair<string, object?>("outcome", outcome);
        deliveries.Add(1, sourceTag, outcomeTag);
        duration.Record(elapsed.TotalSeconds, sourceTag, outcomeTag);
        counts.Add(HourlyCounts.Webhook, outcome);
    }

    /// <summary>Whether an instrument is of this inbox; a test runs several.</summary>
    internal bool Owns(Instrument instrument) => instrument.Meter == meter;

    public void Dispose() => meter.Dispose();
}
