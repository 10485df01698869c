using System.Diagnostics.Metrics;

namespace GptFunctions.Data;

/// <summary>How often what is kept in memory spared a query, under the meter <c>GptFunctions.Data</c>.</summary>
internal sealed class CacheMetrics : IDisposable
{
    private readonly Counter<long> reads;

    public CacheMetrics() =>
        reads = Meter.CreateCounter<long>("gpt.cache.reads", "{read}", "Reads of what is kept in memory, by cache and whether it was there");

    public Meter Meter { get; } = new("GptFunctions.Data");

    public void Read(string cache, bool wasThere) => reads.Add(1, new("cache", cache), new("outcome", wasThere ? "hit" : "miss"));

    public void Dispose() => Meter.Dispose();
}
