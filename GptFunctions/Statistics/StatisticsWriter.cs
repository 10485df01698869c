using GptFunctions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace GptFunctions.Statistics;

internal sealed class StatisticsSettings : ISettings
{
    [Setting("USAGE_WRITE_SECONDS", 1, 600, "seconds",
        Meaning = "seconds after which calls by client and person are written down; a process that is killed loses as many")]
    public int UsageSeconds { get; set; } = 60;
}

/// <summary>
/// Writes what was counted, behind the answers: every second what is new, calls every minute, that this process lives every 30 seconds, and all of it when
/// it stops. Each batch takes effect once, however often it is sent. While the database is away one batch waits for it, and the tallies go on within
/// their limits; what does not fit is counted as lost.
/// </summary>
internal sealed partial class StatisticsWriter(
    HourlyCounts counts, RefusalTally refusals, ClientUsage usage, SignIns signIns, StatisticsStore store, StatisticsMetrics metrics, ThisReplica replica,
    IOptions<StatisticsSettings> settings, TimeProvider clock, ILogger<StatisticsWriter> logger) : SteadyService(logger)
{
    private const int TriesOfFirstCall = 10;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan TrimInterval = TimeSpan.FromMinutes(1);
    private readonly SemaphoreSlim turn = new(1, 1);
    private StatisticsBatch? unwritten;
    private long number;
    private long? wroteAt;
    private long? usageAt;
    private long? trimmedAt;
    private bool isWaiting;

    public override void Dispose()
    {
        turn.Dispose();
        base.Dispose();
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        try
        {
            await WriteAsync(isLast: true); // the server has stopped before: nothing comes after this
            await store.LeaveAsync(replica.Describe());
        }
        catch (Exception error) when (ErrorMapper.IsOutage(error))
        {
            LogLost(error.Message);
        }
    }

    /// <summary>Writes what is due, or everything.</summary>
    /// <param name="isLast">Also what would have time.</param>
    public async Task WriteAsync(bool isLast)
    {
        await turn.WaitAsync();
        try
        {
            if (unwritten is not null) // an answer was lost, or the database was away
            {
                await WriteAsync(unwritten);
            }

            if (Take(isLast) is var batch && (!batch.IsEmpty || IsDue(wroteAt, Beat)))
            {
                unwritten = batch;
                await WriteAsync(batch);
            }

            await WriteFirstCallsAsync();
            if (IsDue(trimmedAt, TrimInterval))
            {
                await store.TrimSignInsAsync();
                trimmedAt = clock.GetTimestamp();
            }
        }
        finally
        {
            turn.Release();
        }
    }

    protected override async Task<bool> StepAsync(CancellationToken stoppingToken)
    {
        try
        {
            await WriteAsync(isLast: false);
            isWaiting = false;
        }
        catch (Exception error) when (ErrorMapper.IsOutage(error))
        {
            if (!isWaiting)
            {
                LogWaiting(error.Message);
            }

            isWaiting = true;
        }

        await Task.Delay(Interval, stoppingToken);
        return true;
    }

    private async Task WriteAsync(StatisticsBatch batch)
    {
        await store.WriteAsync(replica.Describe(), batch, clock.GetUtcNow());
        unwritten = null;
        wroteAt = clock.GetTimestamp();
    }

    private StatisticsBatch Take(bool isLast)
    {
        var hourly = counts.Take();
        var refused = refusals.Take();
        var isUsageDue = isLast || IsDue(usageAt ??= clock.GetTimestamp(), TimeSpan.FromSeconds(settings.Value.UsageSeconds));
        var calls = isUsageDue ? usage.Take() : ([], 0);
        usageAt = isUsageDue ? clock.GetTimestamp() : usageAt;
        Tell("hourly_counts", hourly.Lost);
        Tell("refusals", refused.Lost);
        Tell("client_usage", calls.Lost);
        var news = signIns.TakeNews();
        Tell("sign_ins", news.Lost);
        return new StatisticsBatch(++number)
        {
            Counts = hourly.Counts,
            Refusals = refused.Counts,
            Refused = refused.Newest,
            Usage = calls.Calls,
            SignIns = [.. news.News],
        };
    }

    /// <summary>The exchange may be about to be written by another process: what is not found is looked for some seconds.</summary>
    private async Task WriteFirstCallsAsync()
    {
        if (signIns.TakeFirstCalls() is not { Count: > 0 } calls)
        {
            return;
        }

        HashSet<Guid> unknown = [.. calls.Select(call => call.SessionId)];
        try
        {
            unknown = await store.WriteFirstCallsAsync(calls);
            calls.ForEach(call => call.Tries++);
        }
        finally
        {
            signIns.PutBack(calls.Where(call => unknown.Contains(call.SessionId) && call.Tries < TriesOfFirstCall));
        }
    }

    private void Tell(string of, long lost)
    {
        if (lost > 0)
        {
            metrics.Lost(of, lost);
            LogDropped(lost, of);
        }
    }

    private bool IsDue(long? last, TimeSpan interval) => last is not { } then || clock.GetElapsedTime(then) >= interval;

    [LoggerMessage(9001, LogLevel.Warning, "What was counted for operators' pages waits in memory, and is kept within limits: {Reason}")]
    private partial void LogWaiting(string reason);

    [LoggerMessage(9002, LogLevel.Warning, "What was counted for operators' pages in the last moments of this process is lost: {Reason}")]
    private partial void LogLost(string reason);

    [LoggerMessage(9003, LogLevel.Warning, "{Count} of {Table} were counted and not kept, because there was no room in memory for them")]
    private partial void LogDropped(long count, string table);
}
