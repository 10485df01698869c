using GptFunctions.Audit;
using GptFunctions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using NCrontab;
using Npgsql;

namespace GptFunctions.Purge;

/// <summary>Deletes old rows in short transactions, one run at a time, and says what it did.</summary>
internal sealed partial class PurgeService(
    PurgeStore store, AuditTrail auditTrail, PurgeMetrics metrics, IOptions<PurgeSettings> settings, TimeProvider clock, ILogger<PurgeService> logger)
{
    private static readonly TimeSpan Budget = TimeSpan.FromMinutes(5);

    // After a batch while others are at work, so that they do not queue behind what the batches write.
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(20);

    private static readonly CrontabSchedule Schedule = CrontabSchedule.Parse(
        PurgeFunctions.Schedule, new CrontabSchedule.ParseOptions { IncludingSeconds = true });

    /// <summary>How long rows stay after their end.</summary>
    public TimeSpan Retention => TimeSpan.FromDays(settings.Value.RetentionDays);

    /// <summary>One run: until nothing is left to delete, the time is over, or the program stops (then it ends early, and returns).</summary>
    /// <param name="retention">Instead of <see cref="Retention"/>.</param>
    /// <param name="report">Told after each batch how many rows of its class are gone.</param>
    /// <returns>Null when another run is at work.</returns>
    /// <exception cref="PurgeFailedException">Something failed; all the rest was done before this was thrown.</exception>
    public Task<PurgeRun?> RunAsync(TimeSpan? retention, Action<PurgeClass, long>? report, CancellationToken cancellationToken) =>
        RunAsync(new PurgeRun(clock.GetUtcNow(), retention ?? Retention), report, begin: null, RecordAsync, cancellationToken);

    /// <summary>The same by hand, with its audit event.</summary>
    /// <inheritdoc cref="RunAsync(TimeSpan?, Action{PurgeClass, long}?, CancellationToken)"/>
    public Task<PurgeRun?> RunAsync(
        TimeSpan retention, OperatorAct act, Occasion occasion, Action<PurgeClass, long>? report, CancellationToken cancellationToken) =>
        RunAsync(
            new PurgeRun(clock.GetUtcNow(), retention), report, () => store.TellStartedAsync(isDryRun: false, retention, act, occasion), RecordAsync,
            cancellationToken);

    /// <summary>The same for a run that is recorded already, from its start.</summary>
    /// <param name="startedAt">Of that record.</param>
    /// <inheritdoc cref="RunAsync(TimeSpan?, Action{PurgeClass, long}?, CancellationToken)"/>
    public Task<PurgeRun?> ResumeAsync(
        DateTimeOffset startedAt, TimeSpan retention, Action<PurgeRun> report, CancellationToken cancellationToken)
    {
        var run = new PurgeRun(startedAt, retention);
        return RunAsync(run, (_, _) => report(run), begin: null, record: null, cancellationToken);
    }

    private Task RecordAsync(PurgeRun run) =>
        store.RecordAsync(run.StartedAt, run.StartedAt + run.Duration, run.Outcome, run.Summarise().ToString(), CancellationToken.None);

    private async Task<PurgeRun?> RunAsync(
        PurgeRun run, Action<PurgeClass, long>? report, Func<Task>? begin, Func<PurgeRun, Task>? record, CancellationToken cancellationToken)
    {
        var started = clock.GetTimestamp();
        await using (var ownLock = await store.TryLockAsync(cancellationToken))
        {
            if (ownLock is null)
            {
                LogHeld();
                metrics.LastRun = run.StartedAt; // another process does it now
                return null;
            }

            await (begin?.Invoke() ?? Task.CompletedTask);
            await DeleteAsync(run, started, report, cancellationToken);
            await TryAsync(
                run, "audit_partitions", async () => run.PartitionsCreated = await auditTrail.CreatePartitionsAsync(run.StartedAt, cancellationToken),
                cancellationToken);
            run.Duration = clock.GetElapsedTime(started);
            await CountLeftAsync(run, cancellationToken);
            // Also when the program stops. Under the lock, so that runs are recorded in their order.
            await TryAsync(run, "record", () => record?.Invoke(run) ?? Task.CompletedTask, CancellationToken.None);
        }

        metrics.Ended(run);
        var summary = run.Summarise();
        logger.Log(
            run.Outcome == "completed" ? LogLevel.Information : LogLevel.Warning, new EventId(4001, "PurgeEnded"), summary, null,
            static (figures, _) => "purge " + figures);
        return run.Errors.Count == 0 ? run : throw new PurgeFailedException(run);
    }

    /// <summary>How many rows of each class a run would delete now.</summary>
    public async Task<IReadOnlyList<(string Class, long Rows)>> CountAsync(TimeSpan? retention, CancellationToken cancellationToken)
    {
        var window = new PurgeRun(clock.GetUtcNow(), retention ?? Retention).Window;
        var counts = new List<(string, long)>();
        foreach (var rows in PurgeClass.All)
        {
            counts.Add((rows.Name, await store.CountAsync(rows, window, cancellationToken)));
        }

        return counts;
    }

    /// <inheritdoc cref="PurgeStore.TellStartedAsync"/>
    public Task TellStartedAsync(bool isDryRun, TimeSpan retention, OperatorAct act, Occasion occasion) =>
        store.TellStartedAsync(isDryRun, retention, act, occasion);

    /// <summary>Runs when the last scheduled time went by without a run.</summary>
    public async Task CatchUpAsync(CancellationToken cancellationToken)
    {
        var due = LastDue();
        var last = await store.ReadLastRunAsync(cancellationToken);
        metrics.LastRun = last;
        if (last >= due)
        {
            LogNothingMissed(last.Value);
            return;
        }

        LogCatchingUp(due);
        await RunAsync(retention: null, report: null, cancellationToken);
    }

    private DateTimeOffset LastDue()
    {
        var now = clock.GetLocalNow().DateTime; // schedules are in local time
        var local = Schedule.GetNextOccurrences(now.AddDays(-1), now.AddTicks(1)).Last();
        return new DateTimeOffset(local, clock.LocalTimeZone.GetUtcOffset(local));
    }

    private async Task DeleteAsync(PurgeRun run, long started, Action<PurgeClass, long>? report, CancellationToken cancellationToken)
    {
        foreach (var rows in PurgeClass.All)
        {
            var isFinished = false;
            await TryAsync(run, rows.Name, async () =>
            {
                var position = rows.Start;
                while (!isFinished && clock.GetElapsedTime(started) < Budget && !cancellationToken.IsCancellationRequested)
                {
                    var batch = await store.DeleteAsync(rows, run.Window, settings.Value.BatchSize, position, cancellationToken);
                    isFinished = batch.Deleted < settings.Value.BatchSize;
                    position = batch.Position ?? position;
                    run.Batches++;
                    run.Deleted[rows.Name] += batch.Deleted;
                    run.Deleted[PurgeClass.Sessions] += batch.Sessions;
                    report?.Invoke(rows, run.Deleted[rows.Name]);
                    await Task.Delay(batch.IsBusy ? Rest : TimeSpan.Zero, CancellationToken.None);
                }
            }, cancellationToken);
            if (!isFinished && !run.Errors.ContainsKey(rows.Name))
            {
                run.Unfinished.Add(rows);
            }
        }
    }

    private async Task CountLeftAsync(PurgeRun run, CancellationToken cancellationToken)
    {
        await TryAsync(run, "rows_left", async () =>
        {
            long left = 0;
            foreach (var rows in PurgeClass.All) // finished ones too: rows that somebody had locked were passed over
            {
                left += await store.CountLeftAsync(rows, run.Window, cancellationToken);
            }

            run.Left = left;
        }, cancellationToken);
    }

    /// <summary>Notes what the database refuses, so that the other steps go on; a step that is cut off because the program stops is no error.</summary>
    private static async Task TryAsync(PurgeRun run, string step, Func<Task> act, CancellationToken cancellationToken)
    {
        try
        {
            await act();
        }
        catch (NpgsqlException error)
        {
            run.Errors[step] = error;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return;
        }
    }

    [LoggerMessage(4002, LogLevel.Information, "Purge: another run holds the lock")]
    private partial void LogHeld();

    [LoggerMessage(4003, LogLevel.Information, "Purge: the run of {Due:u} was missed and is made up for now")]
    private partial void LogCatchingUp(DateTimeOffset due);

    [LoggerMessage(4004, LogLevel.Information, "Purge: no run was missed, the last one began at {Last:u}")]
    private partial void LogNothingMissed(DateTimeOffset last);
}
