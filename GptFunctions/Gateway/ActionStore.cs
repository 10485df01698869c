using GptFunctions.Data;
using Npgsql;
using NpgsqlTypes;

namespace GptFunctions.Gateway;

/// <summary>How an audited call ended.</summary>
/// <param name="Id">The event of its attempt.</param>
/// <param name="Status">What the caller got.</param>
/// <param name="Took">From the request to the end of the answer.</param>
internal sealed record ActionResult(Guid Id, int Status, TimeSpan Took, DateTimeOffset At);

/// <summary>
/// Attempts and results of audited calls. Each event is written in the transaction that opens or closes the call, so a call has exactly one of
/// each in the end.
/// </summary>
internal sealed class ActionStore(Database database)
{
    private const string Begin = """
        WITH opened AS (INSERT INTO gpt_open_actions (id, event_type, correlation_id, payload) VALUES ($1, $2, $3, $4))
        INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
        VALUES ($1, $2, $5, event_envelope($1, $2, $5, $3, $4 || jsonb_build_object('action_id', $1, 'status', NULL)))
        """;

    private const string End = """
        WITH ended AS (
            DELETE FROM gpt_open_actions action USING unnest($1, $2, $3, $4) AS result (id, status, took, at) WHERE action.id = result.id
            RETURNING action.*, result.status, result.took, result.at, uuid_v7(result.at) AS event_id
        )
        INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
        SELECT event_id, event_type || '.result', at, event_envelope(event_id, event_type || '.result', at, correlation_id,
            payload || jsonb_build_object('action_id', id, 'status', status, 'duration_ms', took))
        FROM ended ORDER BY at
        """;

    private const string See = "UPDATE gpt_open_actions SET seen_at = now(), suspected_at = NULL WHERE id = ANY ($1)";

    private const string Close = """
        WITH dead AS (
            DELETE FROM gpt_open_actions WHERE id = ANY (ARRAY(
                SELECT id FROM gpt_open_actions WHERE suspected_at < now() - $1 LIMIT 1000 FOR UPDATE SKIP LOCKED))
            RETURNING *, uuid_v7(now()) AS event_id
        )
        INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
        SELECT event_id, event_type || '.result', now(), event_envelope(event_id, event_type || '.result', now(), correlation_id,
            payload || jsonb_build_object('action_id', id, 'status', 'unknown', 'duration_ms', NULL))
        FROM dead
        """;

    private const string Suspect = "UPDATE gpt_open_actions SET suspected_at = now() WHERE seen_at < now() - $1 AND suspected_at IS NULL";

    /// <summary>Records an attempt.</summary>
    /// <param name="payload">A JSON object.</param>
    public async Task BeginAsync(Guid id, string eventType, string correlationId, string payload, DateTimeOffset at)
    {
        var command = database.Change(Begin);
        command.Bind(id);
        command.Bind(eventType);
        command.Bind(correlationId);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = payload, NpgsqlDbType = NpgsqlDbType.Jsonb });
        command.Bind(at);
        await command.ExecuteAsync();
    }

    /// <summary>Records how calls ended; returns how many of them were open.</summary>
    public async Task<int> EndAsync(IReadOnlyCollection<ActionResult> results)
    {
        var command = database.Change(End);
        command.Bind(results.Select(result => result.Id).ToArray());
        command.Bind(results.Select(result => result.Status).ToArray());
        command.Bind(results.Select(result => (long)result.Took.TotalMilliseconds).ToArray());
        command.Bind(results.Select(result => result.At).ToArray());
        return await command.ExecuteAsync();
    }

    /// <summary>Says that somebody still sees to these calls.</summary>
    public async Task SeeAsync(Guid[] ids)
    {
        var command = database.Change(See);
        command.Bind(ids);
        await command.ExecuteAsync();
    }

    /// <summary>
    /// Closes the calls that nobody sees to. In two looks: whoever was kept from saying that it lives, as everybody is while the database is
    /// away, has the time between them to say it.
    /// </summary>
    /// <param name="silence">After which a call is suspected.</param>
    /// <param name="grace">After which a suspected call is closed.</param>
    /// <returns>How many were closed.</returns>
    public async Task<int> CloseAsync(TimeSpan silence, TimeSpan grace)
    {
        var close = database.Change(Close);
        close.Bind(grace);
        var closed = await close.ExecuteAsync();
        var suspect = database.Change(Suspect);
        suspect.Bind(silence);
        await suspect.ExecuteAsync();
        return closed;
    }
}
