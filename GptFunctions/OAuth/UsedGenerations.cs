using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GptFunctions.OAuth;

/// <summary>
/// Notes up to which generation the access tokens of each session were seen, and writes that down beside the requests: at once, in as many
/// statements as the database takes one after another. What this process notes and cannot write before it dies is lost; seen again, it is noted again.
/// </summary>
internal sealed partial class UsedGenerations(TokenStore store, TimeProvider clock, ILogger<UsedGenerations> logger) : BackgroundService
{
    private const int Capacity = 100_000;
    private const int BatchSize = 1000;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);
    private readonly ConcurrentDictionary<Guid, int> noted = new();
    private readonly ConcurrentDictionary<Guid, int> written = new();
    private readonly Channel<bool> wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private bool isFailing;

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

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            var isDone = await TryWriteAsync();
            var next = isDone ? wake.Reader.ReadAsync(stoppingToken).AsTask() : Task.Delay(Pause, clock, stoppingToken);
            await next.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await TryWriteAsync();
    }

    /// <summary>True when everything that was noted is written.</summary>
    private async Task<bool> TryWriteAsync()
    {
        try
        {
            while (!noted.IsEmpty)
            {
                var batch = noted.Take(BatchSize).ToArray();
                var held = await store.MarkUsedAsync([.. batch.Select(session => session.Key)], [.. batch.Select(session => session.Value)]);
                foreach (var session in batch.ExceptBy(held, session => session.Key))
                {
                    Remember(session);
                }

                isFailing = false;
                if (held.Count > 0)
                {
                    return false;
                }
            }

            return true;
        }
        catch (Exception error) when (error is not OutOfMemoryException) // whatever it is: it must not stop the host
        {
            if (!isFailing)
            {
                LogFailing(error.Message);
            }

            isFailing = true;
            return false;
        }
    }

    private void Remember(KeyValuePair<Guid, int> session)
    {
        noted.TryRemove(session); // unless a newer one was seen meanwhile
        if (session.Value == int.MaxValue)
        {
            return; // it only said "the newest": the next one is news again
        }

        if (written.Count >= Capacity)
        {
            written.Clear();
        }

        written[session.Key] = session.Value;
    }

    [LoggerMessage(2040, LogLevel.Warning, "Which tokens were used cannot be written down; trying again: {Reason}")]
    private partial void LogFailing(string reason);
}
