using System.Diagnostics.Metrics;

namespace GptFunctions.Purge;

/// <summary>Figures of the purge, under the meter <c>GptFunctions.Purge</c>.</summary>
internal sealed class PurgeMetrics : IDisposable
{
    private readonly Counter<long> deleted;
    private readonly Counter<long> runs;
    private readonly TimeProvider clock;

    public PurgeMetrics(TimeProvider clock)
    {
        this.clock = clock;
        deleted = Meter.CreateCounter<long>("gpt.purge.deleted", "{row}", "Rows that were deleted, by class");
        runs = Meter.CreateCounter<long>("gpt.purge.runs", "{run}", "Runs by outcome");
        Meter.CreateObservableGauge("gpt.purge.age", Age, "s", "Time since the last run began, as far as this process knows");
    }

    public Meter Meter { get; } = new("GptFunctions.Purge");

    /// <summary>When the last run began that is known here: read once at the start, then after each run. Null says nothing.</summary>
    public DateTimeOffset? LastRun { get; set; }

    public void Ended(PurgeRun run)
    {
        runs.Add(1, new KeyValuePair<string, object?>("outcome", run.Outcome));
        foreach (var (name, rows) in run.Deleted)
        {
            deleted.Add(rows, new KeyValuePair<string, object?>("class", name));
        }

        LastRun = run.StartedAt;
    }

    public void Dispose() => Meter.Dispose();

    private IEnumerable<Measurement<double>> Age() => LastRun is { } last ? [new((clock.GetUtcNow() - last).TotalSeconds)] : [];
}
