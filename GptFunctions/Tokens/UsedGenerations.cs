using System.Collections.Concurrent;
using System.Threading.Channels;

namespace GptFunctions.Tokens;

/// <summary>
/// Up to which generation the access tokens of each session were seen by this process. Whoever keeps sessions writes it down beside the requests.
/// What is noted and not written before the process dies is lost; seen again, it is noted again.
/// </summary>
internal sealed class UsedGenerations
{
    private const int Capacity = 100_000;
    private readonly ConcurrentDictionary<Guid, int> noted = new();
    private readonly ConcurrentDictionary<Guid, int> written = new();
    private readonly Channel<bool> wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>Whether something is noted that is not written.</summary>
    public bool IsPending => !noted.IsEmpty;

    /// <summary>An access token of this generation was seen. The first one has no predecessor that could be repeated.</summary>
    public void Note(Guid sessionId, int generation)
    {
        if (generation == 0 || (written.TryGetValue(sessionId, out var known) && known >= generation) || noted.Count >= Capacity)
        {
            return;
        }

        noted.AddOrUpdate(sessionId, generation, (_, earlier) => Math.Max(earlier, generation));
        wake.Writer.TryWrite(true);
    }

    /// <summary>Whether this process has seen it, and perhaps not written it down yet.</summary>
    public bool IsNoted(Guid sessionId, int generation) =>
        (noted.TryGetValue(sessionId, out var seen) && seen >= generation) || (written.TryGetValue(sessionId, out var known) && known >= generation);

    /// <summary>Returns when something may have been noted since the last time.</summary>
    public Task WaitAsync(CancellationToken cancellationToken) => wake.Reader.ReadAsync(cancellationToken).AsTask();

    /// <summary>Some of what is noted and not written.</summary>
    public KeyValuePair<Guid, int>[] Take(int count) => [.. noted.Take(count)];

    /// <summary>This is written down.</summary>
    public void Remember(KeyValuePair<Guid, int> session)
    {
        if (written.Count >= Capacity)
        {
            written.Clear();
        }

        if (session.Value != int.MaxValue) // that one only said "the newest": the next one is news again
        {
            written[session.Key] = session.Value; // before it goes from the other: whoever asks meanwhile is told that it was seen
        }

        noted.TryRemove(session); // unless a newer one was seen meanwhile
    }
}
