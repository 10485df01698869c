using System.Diagnostics.Metrics;

namespace GptFunctions.Audit;

/// <summary>Figures of the relay, under the meter <c>GptFunctions.Audit</c>.</summary>
internal sealed class AuditMetrics : IDisposable
{
    private readonly Counter<long> published;
    private readonly Counter<long> failed;
    private readonly Counter<long> consumed;
    private readonly Histogram<double> delay;

    public AuditMetrics(TimeProvider clock)
    {
        published = Meter.CreateCounter<long>("gpt.outbox.published", "{message}", "Messages that the broker has confirmed");
        failed = Meter.CreateCounter<long>("gpt.outbox.failed", "{message}", "Messages that were returned, refused or not confirmed; they stay in the outbox");
        consumed = Meter.CreateCounter<long>("gpt.audit.consumed", "{message}", "Messages of the audit queue by outcome");
        delay = Meter.CreateHistogram<double>("gpt.audit.delay", "s", "From a change to its row in the audit trail");
        Meter.CreateObservableGauge("gpt.outbox.waiting", () => Backlog.Waiting, "{message}", "Rows in the outbox");
        Meter.CreateObservableGauge("gpt.outbox.stranded", () => Backlog.Stranded, "{message}", "Messages that no queue takes, set aside");
        Meter.CreateObservableGauge(
            "gpt.outbox.age", () => Backlog.Oldest is { } oldest ? (clock.GetUtcNow() - oldest).TotalSeconds : 0, "s", "Age of the oldest row in the outbox");
    }

    public Meter Meter { get; } = new("GptFunctions.Audit");

    /// <summary>As last read; at most some seconds old.</summary>
    public OutboxBacklog Backlog { get; set; } = new(0, null, 0);

    public void Moved(int delivered, int kept)
    {
        published.Add(delivered);
        failed.Add(kept);
    }

    /// <param name="outcome">What became of a message: <c>recorded</c>, <c>duplicate</c>, <c>quarantined</c>, <c>handed_over</c> to the retry queue.</param>
    public void Consumed(string outcome) => consumed.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    /// <param name="late">By the database's clock; two replicas of it may differ a little.</param>
    public void Recorded(TimeSpan late)
    {
        Consumed("recorded");
        delay.Record(Math.Max(0, late.TotalSeconds));
    }

    public void Dispose() => Meter.Dispose();
}
