using GptFunctions.Audit;
using GptFunctions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace GptFunctions.Countdowns;

/// <summary>
/// Works off what is due. Any number of processes may do so at once: each claims its own, and whoever dies leaves what it had claimed to the others
/// when the lease is over.
/// </summary>
internal sealed partial class CountdownService(
    CountdownStore store, CountdownListStore list, IEnumerable<ICountdownHandler> handlers, CountdownMetrics metrics, TimeProvider clock,
    ILogger<CountdownService> logger)
{
    /// <summary>How late a countdown may be at rest.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    /// <summary>What a list can be narrowed to.</summary>
    public static IReadOnlyList<string> Statuses { get; } = ["active", "late", "completed", "cancelled", "dead"];

    private const int BatchSize = 200;
    private const int AtOnce = 8;
    private const int MostAttempts = 5;
    private const int MaximumError = 300;
    private static readonly TimeSpan LongestRun = TimeSpan.FromSeconds(50);
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(300);
    private readonly Dictionary<string, ICountdownHandler> byKind = handlers.ToDictionary(handler => handler.Kind, StringComparer.Ordinal);

    /// <summary>Until nothing is due, the time of a run is over, or the program stops: then what runs is finished and the rest given back.</summary>
    /// <exception cref="NpgsqlException">The database is away: the next run goes on.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var started = clock.GetTimestamp();
        string[] kinds = [.. byKind.Keys];
        bool IsOver() => cancellationToken.IsCancellationRequested || clock.GetElapsedTime(started) >= LongestRun;
        while (!IsOver() && await store.ClaimAsync(kinds, BatchSize, Lease) is { Count: > 0 } due)
        {
            await RunAsync(due, IsOver);
        }

        var state = await ReadStateAsync();
        metrics.State = state;
        if (state.Late > 0)
        {
            LogLate(state.Late, state.Oldest);
        }
    }

    /// <summary>How the countdowns of all processes stand.</summary>
    public Task<CountdownState> ReadStateAsync() => store.ReadStateAsync(Patience);

    /// <inheritdoc cref="CountdownListStore.ListAsync"/>
    public Task<List<CountdownRow>> ListAsync(CountdownFilter filter, CountdownPosition? after, int count) =>
        list.ListAsync(filter, Patience, after, count);

    /// <summary>Null when done, else why not.</summary>
    public async Task<string?> ReplayAsync(Guid id, OperatorAct act, Occasion occasion)
    {
        try
        {
            return await store.ReplayAsync(id, act, occasion) ? null : $"There is no dead countdown {id}: see 'countdowns list --status dead'.";
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            return "Another countdown of this kind and subject is active already: see 'countdowns list --status active'.";
        }
    }

    /// <summary>Null when done, else why not.</summary>
    public async Task<string?> CancelAsync(Guid id, OperatorAct act, Occasion occasion) =>
        await store.CancelAsync(id, act, occasion) ? null : $"There is no active or dead countdown {id}: see 'countdowns list'.";

    private async Task RunAsync(List<DueCountdown> due, Func<bool> isOver)
    {
        var next = -1;
        var begun = 0;
        try
        {
            await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(async _ =>
            {
                while (!isOver() && Interlocked.Increment(ref next) is var index && index < due.Count)
                {
                    Interlocked.Increment(ref begun);
                    await RunAsync(due[index]);
                }
            }));
        }
        finally
        {
            if (begun < due.Count)
            {
                await store.ReleaseAsync([.. due.Skip(begun).Select(countdown => countdown.Id)]);
            }
        }
    }

    private async Task RunAsync(DueCountdown countdown)
    {
        var occasion = new Occasion(clock.GetUtcNow(), $"countdown-{countdown.Id:N}", "countdown");
        try
        {
            if (await store.CompleteAsync(byKind[countdown.Kind], countdown, occasion))
            {
                metrics.Completed(countdown.Kind, occasion.Now - countdown.DueAt);
            }
        }
        catch (Exception error) when (error is not OutOfMemoryException) // whatever a handler does: the others go on
        {
            metrics.Failed(countdown.Kind);
            var reason = Describe(error);
            // That the database was away is not the handler's fault. That one of its statements never ends is.
            var attempt = ErrorMapper.IsOutage(error) && error.InnerException is not TimeoutException ? 0 : 1;
            if (await store.FailAsync(countdown, reason, attempt, new Retries(FirstPause, LongestPause, MostAttempts), occasion))
            {
                LogDead(countdown.Kind, countdown.Id, countdown.Subject, MostAttempts, reason);
            }
            else
            {
                LogFailed(countdown.Kind, countdown.Id, countdown.Attempts + 1, reason, error);
            }
        }
    }

    /// <summary>Without what PostgreSQL adds of the rows' values.</summary>
    private static string Describe(Exception error)
    {
        var text = error is PostgresException postgres ? $"{postgres.SqlState}: {postgres.MessageText}" : $"{error.GetType().Name}: {error.Message}";
        return text.Length > MaximumError ? text[..MaximumError] : text;
    }

    [LoggerMessage(7001, LogLevel.Warning, "Countdown {Kind} {Id} failed for the {Attempt}. time and is tried again: {Reason}")]
    private partial void LogFailed(string kind, Guid id, int attempt, string reason, Exception error);

    [LoggerMessage(7002, LogLevel.Error,
        "Countdown {Kind} {Id} of {Subject} failed {Attempts} times and is dead ('GptFunctions countdowns replay' starts it anew): {Reason}")]
    private partial void LogDead(string kind, Guid id, string subject, int attempts, string reason);

    [LoggerMessage(7003, LogLevel.Warning, "{Late} countdowns are late, the oldest by {Seconds:0} s")]
    private partial void LogLate(long late, double seconds);
}
