namespace GptFunctions.Countdowns;

/// <summary>
/// Parts of statements that schedule and cancel countdowns, for the statement that makes the change they belong to: both commit together. Either is
/// harmless when it was done before. @now is now.
/// </summary>
internal static class CountdownStatements
{
    /// <summary>
    /// Starts a countdown for each row (kind, subject, due_at) of the statement's part <c>due</c>; one that runs already is left as it is.
    /// </summary>
    public const string Schedule = """
        INSERT INTO countdowns (id, kind, subject, due_at, next_attempt_at, created_at)
        SELECT uuid_v7(@now), kind, subject, due_at, due_at, @now
        FROM due
        ON CONFLICT (kind, subject) WHERE status = 'active' DO NOTHING
        """;

    /// <summary>The same, but one that runs already gets the new time. One that is being worked off waits for that, and then starts anew.</summary>
    public const string Reschedule = """
        INSERT INTO countdowns (id, kind, subject, due_at, next_attempt_at, created_at)
        SELECT uuid_v7(@now), kind, subject, due_at, due_at, @now
        FROM due
        ON CONFLICT (kind, subject) WHERE status = 'active' DO UPDATE SET
            due_at = excluded.due_at,
            next_attempt_at = excluded.next_attempt_at,
            lease_until = NULL
        """;

    /// <summary>Cancels the active countdowns of each row (kind, subject) of the statement's part <c>over</c>.</summary>
    public const string Cancel = """
        UPDATE countdowns
        SET status = 'cancelled', finished_at = @now, lease_until = NULL
        FROM over
        WHERE countdowns.kind = over.kind AND countdowns.subject = over.subject AND countdowns.status = 'active'
        """;
}
