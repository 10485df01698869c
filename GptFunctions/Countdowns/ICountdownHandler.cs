using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Countdowns;

/// <summary>A countdown whose time has come.</summary>
/// <param name="Subject">Whom or what it is about.</param>
/// <param name="Payload">A JSON object, as it was scheduled.</param>
/// <param name="Attempts">How many have failed before.</param>
internal sealed record DueCountdown(Guid Id, string Kind, string Subject, DateTimeOffset DueAt, string Payload, int Attempts);

/// <summary>
/// What happens when countdowns of one kind are due. A new kind is one class and its line in the setup of its feature. What it does outside the
/// database must go by a row that it writes here: a process may die after any statement, and then the countdown is due once more.
/// </summary>
internal interface ICountdownHandler
{
    string Kind { get; }

    /// <summary>
    /// Adds the statements of the effect, its audit events included. They are committed together with the end of the countdown, or not at all.
    /// Locks are taken here in the order in which a cancellation takes them: first what the countdown is about, then the countdown.
    /// </summary>
    void AddEffect(NpgsqlBatch batch, DueCountdown countdown, Occasion occasion);
}
