using System.Diagnostics.Metrics;

namespace GptFunctions.Statistics;

/// <summary>Figures of what is counted for operators' pages, under the meter <c>GptFunctions.Statistics</c>.</summary>
internal sealed class StatisticsMetrics : IDisposable
{
    private readonly Counter<long> lost;

    public StatisticsMetrics() =>
        lost = Meter.CreateCounter<long>("gpt.statistics.lost", "{count}", "Counts for operators' pages that were not kept, by what they were of");

    public Meter Meter { get; } = new("GptFunctions.Statistics");

    /// <param name="of"><c>hourly_counts</c>, <c>refusals</c>, <c>client_usage</c> or <c>sign_ins</c>.</param>
    public void Lost(string of, long count) => lost.Add(count, new KeyValuePair<string, object?>("of", of));

    public void Dispose() => Meter.Dispose();
}
