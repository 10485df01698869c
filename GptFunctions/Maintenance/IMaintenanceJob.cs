using System.Text.Json;

namespace GptFunctions.Maintenance;

/// <summary>How one process left the work on a run.</summary>
internal enum JobEnd
{
    /// <summary>Nothing is left to do.</summary>
    Completed,

    /// <summary>It ended early for good.</summary>
    CutShort,

    /// <summary>A part failed; the rest is done.</summary>
    Failed,

    /// <summary>Something is left: the next process goes on.</summary>
    Unfinished,
}

/// <summary>
/// Work that an operator asks for and that takes longer than a request: a row of <c>maintenance_runs</c> holds what was asked and how far it is, so
/// that any process can do it, and another one goes on when that dies. A job is registered by its room, and run by a timer of it.
/// </summary>
internal interface IMaintenanceJob
{
    /// <summary>In <c>maintenance_runs.job</c>. At most one run of a job is active.</summary>
    string Name { get; }

    /// <summary>The type of the audit event of its start.</summary>
    string StartedEvent { get; }

    /// <summary>Of its stop.</summary>
    string StoppedEvent { get; }

    /// <summary>Whether a run that was stopped goes on when the same is asked for again; otherwise a new one begins.</summary>
    bool Resumes { get; }

    /// <summary>Works until nothing is left or <paramref name="over"/> says so: the run was stopped, the time is over, or the program ends.</summary>
    Task<JobEnd> RunAsync(MaintenanceWork work, CancellationToken over);
}

/// <summary>A run in the hands of this process.</summary>
internal sealed class MaintenanceWork
{
    private volatile string counts = "{}";

    public required long Id { get; init; }

    public required string Job { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>What the operator asked for: a JSON object of the job's own.</summary>
    public required JsonElement Asked { get; init; }

    /// <summary>How far it is: a JSON object. Written to the run about once a second, and at the end.</summary>
    public required string Counts
    {
        get => counts;
        set => counts = value;
    }

    /// <summary>Until when nobody else takes the run.</summary>
    public required DateTimeOffset LeaseUntil { get; set; }
}

/// <summary>A run as operators see it.</summary>
internal sealed record MaintenanceRow
{
    public required long Id { get; init; }

    public required string Job { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>Null while it is active.</summary>
    public required DateTimeOffset? FinishedAt { get; init; }

    /// <summary><c>active</c>, <c>completed</c>, <c>cut_short</c>, <c>failed</c> or <c>stopped</c>.</summary>
    public required string Outcome { get; init; }

    public required JsonElement Counts { get; init; }

    public required JsonElement Asked { get; init; }

    /// <summary>Who asked for it; null for a run of the timer.</summary>
    public required string? StartedBy { get; init; }

    /// <summary>Whether a process has it in its hands.</summary>
    public required bool IsAtWork { get; init; }

    public bool IsActive => FinishedAt is null;
}
