using System.Collections.Concurrent;

namespace GptFunctions.Data;

/// <summary>
/// Values read from the database when first asked for and then kept in memory, as long as <see cref="ChangeFeed"/> would tell of a change.
/// However many ask for the same key, one query runs. An entry stands in the dictionary before its query starts, so a change that is told
/// meanwhile removes it: nothing outdated is put back.
/// </summary>
/// <param name="name">In <paramref name="metrics"/>.</param>
/// <param name="capacity">Beyond it, a tenth is dropped.</param>
/// <param name="lifetime">How long a value is kept when nothing is told.</param>
/// <param name="read">Reads one value.</param>
internal sealed class LiveCache<TKey, TValue>(
    string name, CacheMetrics metrics, ChangeFeed feed, TimeProvider clock, int capacity, Func<TValue, TimeSpan> lifetime, Func<TKey, Task<TValue>> read)
    where TKey : notnull
{
    private readonly ConcurrentDictionary<TKey, Entry> entries = new();

    private sealed record Entry(long ReadAt, Lazy<Task<TValue>> Reading);

    /// <exception cref="Npgsql.NpgsqlException">The database is away. The next call tries again.</exception>
    public ValueTask<TValue> GetAsync(TKey key)
    {
        var isKnown = entries.TryGetValue(key, out var entry) && IsGood(entry);
        metrics.Read(name, isKnown);
        if (!isKnown)
        {
            entry = Join(key, entry);
        }

        var reading = entry!.Reading.Value;
        return reading.IsCompletedSuccessfully ? new(reading.Result) : new(reading);
    }

    public void Drop(TKey key) => entries.TryRemove(key, out _);

    public void DropAll() => entries.Clear();

    private bool IsGood(Entry entry)
    {
        var reading = entry.Reading.Value;
        return !reading.IsCompleted
            || (reading.IsCompletedSuccessfully && feed.IsCurrent(entry.ReadAt) && clock.GetElapsedTime(entry.ReadAt) < lifetime(reading.Result));
    }

    private Entry Join(TKey key, Entry? outdated)
    {
        var fresh = new Entry(clock.GetTimestamp(), new(() => read(key)));
        if (outdated is not null && entries.TryUpdate(key, fresh, outdated))
        {
            return fresh;
        }

        if (entries.Count >= capacity)
        {
            foreach (var (other, _) in entries.Take(capacity / 10))
            {
                Drop(other);
            }
        }

        return entries.GetOrAdd(key, fresh); // somebody may have been faster
    }
}
