using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Countdowns;

/// <summary>How the countdowns stand.</summary>
/// <param name="Late">Due for longer than a run may take to come.</param>
/// <param name="Oldest">How long the one that has waited longest has been due, in seconds.</param>
internal sealed record CountdownState(long Late, double Oldest, long Dead);

/// <summary>The pauses between attempts, each twice as long as the one before, and how many attempts there are.</summary>
internal sealed record Retries(TimeSpan First, TimeSpan Longest, int Most);

internal sealed class CountdownStore(Database database, OutboxSignal outbox)
{
    public const string Dead = "gpt.countdown.dead";
    public const string Replayed = "gpt.operator.countdown_replayed";
    public const string Cancelled = "gpt.operator.countdown_cancelled";
    private const string Ended = "GF002"; // raised by gpt_complete_countdown

    // By the database's clock alone. A lease that is over belongs to a process that died, or that comes too late to be the first.
    private static readonly Sql Claim = new("""
        UPDATE countdowns
        SET lease_until = now() + @lease
        FROM (SELECT id
              FROM countdowns
              WHERE status = 'active' AND next_attempt_at <= now() AND (lease_until IS NULL OR lease_until <= now()) AND kind = ANY (@kinds)
              ORDER BY next_attempt_at
              LIMIT @count
              FOR UPDATE SKIP LOCKED) due
        WHERE countdowns.id = due.id
        RETURNING countdowns.id, kind, subject, due_at, payload::text, attempts
        """);

    private static readonly Sql Complete = new("SELECT gpt_complete_countdown(@id)");

    private static readonly Sql Release = new("UPDATE countdowns SET lease_until = NULL WHERE id = ANY (@ids) AND status = 'active'");

    private static readonly Sql Fail = new($"""
        WITH failed AS (
            UPDATE countdowns
            SET attempts = attempts + @attempt,
                last_error = @error,
                lease_until = NULL,
                next_attempt_at = now() + least(@first_pause * power(2, attempts), @longest_pause),
                status = CASE WHEN attempts + @attempt >= @most_attempts THEN 'dead' ELSE 'active' END,
                finished_at = CASE WHEN attempts + @attempt >= @most_attempts THEN now() END
            WHERE id = @id AND status = 'active'
            RETURNING id, kind, subject, attempts, last_error, status
        ), dead AS (
            SELECT * FROM failed WHERE status = 'dead'
        ), event AS (
            {Outbox.Tell(Dead, "dead",
                "'countdown_id', id, 'kind', kind, 'subject', subject, 'attempts', attempts, 'error', last_error")}
        )
        SELECT count(*) > 0 FROM dead
        """);

    private static readonly Sql Replay = new($"""
        WITH replayed AS (
            UPDATE countdowns
            SET status = 'active', attempts = 0, next_attempt_at = greatest(now(), due_at), finished_at = NULL
            WHERE id = @id AND status = 'dead'
            RETURNING id, kind, subject
        ), event AS (
            {OperatorAct.Tell(Replayed, "replayed", "'countdown_id', id, 'kind', kind, 'subject', subject")}
        )
        SELECT count(*) > 0 FROM replayed
        """);

    private static readonly Sql Cancel = new($"""
        WITH cancelled AS (
            UPDATE countdowns
            SET status = 'cancelled', finished_at = now(), lease_until = NULL
            WHERE id = @id AND status IN ('active', 'dead')
            RETURNING id, kind, subject
        ), event AS (
            {OperatorAct.Tell(Cancelled, "cancelled", "'countdown_id', id, 'kind', kind, 'subject', subject")}
        )
        SELECT count(*) > 0 FROM cancelled
        """);

    private static readonly Sql State = new("""
        SELECT count(*) FILTER (WHERE next_attempt_at < now() - @patience),
               coalesce(extract(epoch FROM now() - min(next_attempt_at)), 0)::double precision,
               (SELECT count(*) FROM countdowns WHERE status = 'dead')
        FROM countdowns
        WHERE status = 'active' AND next_attempt_at <= now()
        """);

    /// <summary>Takes what is due, the oldest first; it is nobody else's for the time of the lease.</summary>
    public Task<List<DueCountdown>> ClaimAsync(string[] kinds, int count, TimeSpan lease) =>
        database.Change(Claim).Bind("kinds", kinds).Bind("count", count).Bind("lease", lease)
            .AllAsync(reader => new DueCountdown(
                reader.GetGuid(0), reader.GetString(1), reader.GetString(2), reader.GetFieldValue<DateTimeOffset>(3), reader.GetString(4),
                reader.GetInt32(5)));

    /// <summary>Commits an effect and the end of its countdown; false when the countdown had ended before, and nothing happened.</summary>
    public async Task<bool> CompleteAsync(ICountdownHandler handler, DueCountdown countdown, Occasion occasion)
    {
        try
        {
            await database.RunAsync(Database.ChangeLimit, async (connection, cancellationToken) =>
            {
                await using var batch = new NpgsqlBatch(connection); // one round trip and one transaction
                handler.AddEffect(batch, countdown, occasion);
                batch.Add(new Statement(Complete).Bind("id", countdown.Id));
                return await batch.ExecuteNonQueryAsync(cancellationToken);
            });
        }
        catch (PostgresException error) when (error.SqlState == Ended)
        {
            return false;
        }

        outbox.Raise();
        return true;
    }

    /// <summary>Puts a countdown off after a failure, longer each time; true when it was the last attempt.</summary>
    /// <param name="attempt">1, or 0 when it does not count.</param>
    public async Task<bool> FailAsync(DueCountdown countdown, string error, int attempt, Retries retries, Occasion occasion)
    {
        var isDead = await database.Change(Fail)
            .Bind("id", countdown.Id).Bind("error", error).Bind("attempt", attempt).Bind("first_pause", retries.First)
            .Bind("longest_pause", retries.Longest).Bind("most_attempts", retries.Most).Bind(occasion)
            .FirstAsync(reader => reader.GetBoolean(0));
        outbox.Raise();
        return isDead;
    }

    /// <summary>Gives back what was claimed and not begun.</summary>
    public Task ReleaseAsync(Guid[] ids) => database.Change(Release).Bind("ids", ids).ExecuteAsync();

    /// <summary>Makes a dead countdown active again; false when there is none of this id.</summary>
    /// <exception cref="PostgresException">23505: another one of its kind and subject is active.</exception>
    public Task<bool> ReplayAsync(Guid id, OperatorAct act, Occasion occasion) => ChangeAsync(Replay, id, act, occasion);

    /// <summary>Ends an active or dead countdown without its effect; false when there is none of this id.</summary>
    public Task<bool> CancelAsync(Guid id, OperatorAct act, Occasion occasion) => ChangeAsync(Cancel, id, act, occasion);

    public async Task<CountdownState> ReadStateAsync(TimeSpan patience) =>
        (await database.LookUp(State).Bind("patience", patience)
            .FirstAsync(reader => new CountdownState(reader.GetInt64(0), reader.GetDouble(1), reader.GetInt64(2))))!;

    private async Task<bool> ChangeAsync(Sql sql, Guid id, OperatorAct act, Occasion occasion)
    {
        var isDone = await database.Change(sql).Bind("id", id).Bind(act).Bind(occasion).FirstAsync(reader => reader.GetBoolean(0));
        outbox.Raise();
        return isDone;
    }
}
