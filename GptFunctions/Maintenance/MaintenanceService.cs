using GptFunctions.Audit;
using GptFunctions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace GptFunctions.Maintenance;

/// <summary>Starts, stops and works off what operators ask for. One process works on a run; if it dies, another one goes on when its lease is over.</summary>
internal sealed partial class MaintenanceService(
    MaintenanceStore store, IEnumerable<IMaintenanceJob> jobs, TimeProvider clock, ILogger<MaintenanceService> logger)
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);

    /// <summary>Of a timer: the Functions host ends what takes ten minutes.</summary>
    private static readonly TimeSpan LongestRun = TimeSpan.FromMinutes(8);

    private readonly Dictionary<string, IMaintenanceJob> byName = jobs.ToDictionary(job => job.Name, StringComparer.Ordinal);

    /// <summary>Asks for a run, which any process then does.</summary>
    /// <param name="asked">A JSON object that the job understands.</param>
    /// <returns>The run, and whether it is this one: otherwise another run of the job is active, and nothing was started.</returns>
    public async Task<(MaintenanceRow? Run, bool IsStarted)> StartAsync(string job, string asked, OperatorAct act, Occasion occasion) =>
        await store.StartAsync(byName[job], asked, act, occasion) is { } id
            ? (await store.FindAsync(id), true)
            : (await store.FindActiveAsync(job), false);

    /// <summary>Ends a run where it is, within about a second. Null when done, else why not.</summary>
    public async Task<string?> StopAsync(string job, long id, OperatorAct act, Occasion occasion) =>
        await store.StopAsync(byName[job], id, act, occasion) ? null : $"Run {id} is not active: it has ended already.";

    /// <summary>The active run of a job; null when there is none.</summary>
    public Task<MaintenanceRow?> FindActiveAsync(string job) => store.FindActiveAsync(job);

    /// <inheritdoc cref="MaintenanceStore.ListAsync"/>
    public Task<List<MaintenanceRow>> ListAsync(string[] ofJobs, (DateTimeOffset StartedAt, long Id) before, int count) =>
        store.ListAsync(ofJobs, before, count);

    /// <summary>Works on what is asked for of these jobs, until there is nothing, the time of a timer is over, or the program stops.</summary>
    public async Task RunAsync(string[] ofJobs, CancellationToken stopping)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        over.CancelAfter(LongestRun);
        while (!over.IsCancellationRequested && await store.ClaimAsync(ofJobs, id: null, Lease) is { } work)
        {
            await WorkAsync(work, report: null, over.Token);
        }
    }

    /// <summary>Works on one run until it has ended, and only watches while another process does.</summary>
    /// <param name="report">Told about once a second how far it is.</param>
    /// <returns>The run at its end; when <paramref name="over"/> says so, as it is then.</returns>
    public async Task<MaintenanceRow> FollowAsync(MaintenanceRow run, Action<MaintenanceRow> report, CancellationToken over)
    {
        while (!over.IsCancellationRequested)
        {
            if (await store.ClaimAsync([run.Job], run.Id, Lease) is { } work)
            {
                await WorkAsync(work, report, over);
            }

            run = (await store.FindAsync(run.Id))!;
            report(run);
            if (!run.IsActive)
            {
                break;
            }

            await Task.Delay(Beat, clock, over).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return run;
    }

    private async Task WorkAsync(MaintenanceWork work, Action<MaintenanceRow>? report, CancellationToken stopping)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        using var done = new CancellationTokenSource();
        var beating = BeatAsync(work, report, over.CancelAsync, done.Token);
        var (outcome, pause) = ((string?)null, TimeSpan.Zero);
        try
        {
            (outcome, pause) = await byName[work.Job].RunAsync(work, over.Token) switch
            {
                JobEnd.Completed => ("completed", TimeSpan.Zero),
                JobEnd.CutShort => ("cut_short", TimeSpan.Zero),
                JobEnd.Failed => ("failed", TimeSpan.Zero),
                _ => ((string?)null, over.IsCancellationRequested ? TimeSpan.Zero : Lease),
            };
        }
        catch (Exception error) when (error is not OutOfMemoryException) // whatever a job does: the run says how it ended
        {
            // While the database is away nothing can be said; the lease ends by itself.
            (outcome, pause) = ErrorMapper.IsOutage(error) || over.IsCancellationRequested ? (null, Lease) : ("failed", TimeSpan.Zero);
            LogFailed(work.Job, work.Id, error);
        }
        finally
        {
            await done.CancelAsync();
            await beating;
        }

        await store.LeaveAsync(work, outcome, pause, clock.GetUtcNow());
    }

    /// <summary>Keeps the run, writes how far it is, and ends the work when somebody has stopped it or taken it over.</summary>
    private async Task BeatAsync(MaintenanceWork work, Action<MaintenanceRow>? report, Func<Task> end, CancellationToken done)
    {
        while (true)
        {
            await Task.Delay(Beat, clock, done).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (done.IsCancellationRequested)
            {
                return;
            }

            try
            {
                if (await store.RenewAsync(work, Lease) is not { } until)
                {
                    await end();
                    return;
                }

                work.LeaseUntil = until;
                if (report is not null && await store.FindAsync(work.Id) is { } run)
                {
                    report(run);
                }
            }
            catch (NpgsqlException)
            {
                // The database is away, for everybody else, too. The next beat says whether the run is still ours.
            }
        }
    }

    [LoggerMessage(4011, LogLevel.Error, "Run {Run} of {Job} failed")]
    private partial void LogFailed(string job, long run, Exception error);
}
