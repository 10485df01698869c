using System.Text.Json.Nodes;

namespace GptFunctions.Hosting;

/// <summary>How a part of the program does; of two, the worse is the greater.</summary>
internal enum CheckState
{
    Ok,

    /// <summary>What it would do outside of this program is not done, and recorded as skipped.</summary>
    SafeMode,

    /// <summary>It serves, and somebody should look at it.</summary>
    Degraded,

    /// <summary>Requests fail because of it.</summary>
    Blocker,
}

/// <summary>
/// Looks at one part of the program, or at a server that it needs: for the self-test, the operations page and <c>GptFunctions doctor</c>. One class
/// for each, registered by its room as <see cref="ICheck"/>. It changes nothing and leaves nothing behind, sees the same in every process (what this
/// one does not run is read from the database or the broker), and may read with a statement of its own.
/// </summary>
internal interface ICheck
{
    /// <summary>In <c>/__selftest</c>, in metrics and in the runbook: lower case, for good.</summary>
    string Name { get; }

    /// <summary>What it means when the check fails, or does not end in time.</summary>
    CheckState WhenUnknown => CheckState.Degraded;

    /// <summary>Whatever this throws is a finding, too.</summary>
    /// <param name="finding">What is found; ok until something is said. Nobody reads it before the task has ended.</param>
    /// <param name="cancellationToken">The time is over: nobody waits any more, and nothing may be left running.</param>
    Task RunAsync(Finding finding, CancellationToken cancellationToken);
}

/// <summary>What a check found.</summary>
internal sealed class Finding
{
    public CheckState State { get; private set; }

    /// <summary>Sentences for operators: what is wrong and what to do. Null when nothing is. No secret.</summary>
    public string? Error { get; private set; }

    /// <summary>Figures and names for operators, by name in snake_case. No secret.</summary>
    public JsonObject Details { get; } = [];

    public void Say(CheckState state, string problem)
    {
        State = (CheckState)Math.Max((int)State, (int)state);
        Error = Error is null ? problem : $"{Error} {problem}";
    }
}
