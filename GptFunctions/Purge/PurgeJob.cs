using System.Text.Json;
using System.Text.Json.Serialization;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Maintenance;

namespace GptFunctions.Purge;

/// <summary>What an operator asks of the purge.</summary>
internal sealed record PurgeAsked(bool DryRun, int RetentionDays);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(PurgeAsked))]
internal sealed partial class PurgeJson : JsonSerializerContext;

/// <summary>A run of the purge that an operator asked for: the same run as the timer's, behind the same lock, recorded from its start.</summary>
internal sealed class PurgeJob(PurgeService purge) : IMaintenanceJob
{
    public const string StoppedByOperator = "gpt.operator.purge_stopped";

    public string Name => PurgeStore.Job;

    public string StartedEvent => PurgeStore.Started;

    public string StoppedEvent => StoppedByOperator;

    public bool Resumes => false;

    public async Task<JobEnd> RunAsync(MaintenanceWork work, CancellationToken over)
    {
        PurgeRun? run;
        try
        {
            run = await purge.ResumeAsync(work.StartedAt, PurgeRequests.RetentionOf(work.Asked), Note, over);
        }
        catch (PurgeFailedException error)
        {
            run = error.Run;
        }

        if (run is null)
        {
            return JobEnd.Unfinished; // another run holds the lock: this one comes after it
        }

        Note(run);
        return run.Outcome switch
        {
            "completed" => JobEnd.Completed,
            "failed" => JobEnd.Failed,
            _ => JobEnd.CutShort,
        };

        void Note(PurgeRun now) => work.Counts = now.Summarise().ToString();
    }
}

/// <summary>What a run would delete, counted class by class.</summary>
internal sealed class PurgeDryRunJob(PurgeService purge) : IMaintenanceJob
{
    public const string JobName = "purge_dry_run";

    public string Name => JobName;

    public string StartedEvent => PurgeStore.Started;

    public string StoppedEvent => PurgeJob.StoppedByOperator;

    public bool Resumes => false;

    public async Task<JobEnd> RunAsync(MaintenanceWork work, CancellationToken over)
    {
        var counts = await purge.CountAsync(PurgeRequests.RetentionOf(work.Asked), over);
        work.Counts = new PurgeSummary(counts.Select(count => KeyValuePair.Create(count.Class, (object?)count.Rows))).ToString();
        return JobEnd.Completed;
    }
}

/// <summary>What operators ask of the purge on a page: a process that runs timers does it.</summary>
internal sealed class PurgeRequests(PurgeService purge, MaintenanceService maintenance)
{
    /// <summary>The jobs of the purge, in <c>maintenance_runs</c>.</summary>
    public static string[] Jobs { get; } = [PurgeStore.Job, PurgeDryRunJob.JobName];

    /// <summary>How long rows stay after their end, when nobody says otherwise: days.</summary>
    public int RetentionDays => (int)purge.Retention.TotalDays;

    public static TimeSpan RetentionOf(JsonElement asked) => TimeSpan.FromDays(asked.Deserialize(PurgeJson.Default.PurgeAsked)!.RetentionDays);

    /// <summary>Null when rows may stay for so many days, or nobody says for how many.</summary>
    public static string? ProblemWithDays(int? retentionDays) => retentionDays is < 1 or > PurgeSettings.LongestRetentionDays
        ? $"Rows stay between 1 and {PurgeSettings.LongestRetentionDays} days after their end."
        : null;

    /// <summary>Asks for a run or a dry run. Null when done, else why not.</summary>
    /// <param name="retentionDays">From 1 to <see cref="PurgeSettings.LongestRetentionDays"/>; null: as the timer's.</param>
    public async Task<string?> StartAsync(bool isDryRun, int? retentionDays, OperatorAct act, Occasion occasion)
    {
        if (ProblemWithDays(retentionDays) is { } problem)
        {
            return problem;
        }

        var asked = JsonSerializer.Serialize(new PurgeAsked(isDryRun, retentionDays ?? RetentionDays), PurgeJson.Default.PurgeAsked);
        var (run, isStarted) = await maintenance.StartAsync(isDryRun ? PurgeDryRunJob.JobName : PurgeStore.Job, asked, act, occasion);
        return isStarted || run is null ? null : $"Run {run.Id} of {run.StartedBy} is under way: wait for its end, or stop it.";
    }

    /// <summary>Ends a run after its batch. Null when done, else why not.</summary>
    public Task<string?> StopAsync(string job, long run, OperatorAct act, Occasion occasion) =>
        Jobs.Contains(job, StringComparer.Ordinal) ? maintenance.StopAsync(job, run, act, occasion) : Task.FromResult<string?>("There is no such run.");

    /// <summary>What was asked for and has not ended: at most one run and one dry run.</summary>
    public async Task<List<MaintenanceRow>> ListActiveAsync()
    {
        var active = new List<MaintenanceRow>();
        foreach (var job in Jobs)
        {
            if (await maintenance.FindActiveAsync(job) is { } run)
            {
                active.Add(run);
            }
        }

        return active;
    }

    /// <summary>Runs, newest first; those of the timer too.</summary>
    /// <param name="areDryRuns">Only dry runs, or only the others; null: both.</param>
    public Task<List<MaintenanceRow>> ListAsync((DateTimeOffset StartedAt, long Id)? before, int count, bool? areDryRuns = null) =>
        maintenance.ListAsync(
            areDryRuns is null ? Jobs : [areDryRuns.Value ? PurgeDryRunJob.JobName : PurgeStore.Job],
            before ?? (DateTimeOffset.MaxValue, long.MaxValue), count);
}
