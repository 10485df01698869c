using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;
using NpgsqlTypes;

namespace GptFunctions.Gateway;

/// <summary>How an audited call ended.</summary>
/// <param name="Id">The event of its attempt.</param>
/// <param name="Status">What the caller got; null when the call was skipped.</param>
/// <param name="Took">From the request to the end of the answer.</param>
internal sealed record ActionResult(Guid Id, int? Status, TimeSpan Took, DateTimeOffset At);

/// <summary>
/// Attempts and results of audited calls. Each event is written in the transaction that opens or closes the call, so a call has exactly one of
/// each in the end.
/// </summary>
internal sealed class ActionStore(Database database)
{
    private static readonly Sql Begin = new($"""
        WITH opened AS (
            INSERT INTO gpt_open_actions (id, event_type, correlation_id, payload, traceparent)
            VALUES (@id, @event_type, @correlation_id, @payload, @traceparent)
        )
        {Outbox.Write("@event_type", "(VALUES (1))", "@payload || jsonb_build_object('action_id', @id, 'status', NULL)", id: "@id")}
        """);

    private static readonly Sql End = new($"""
        WITH ended AS (
            DELETE FROM gpt_open_actions action
            USING unnest(@ids, @statuses, @durations, @ends) AS result (id, status, took, at)
            WHERE action.id = result.id
            RETURNING action.*, result.status, result.took, result.at
        )
        {Outbox.Write("event_type || '.result'", "(SELECT * FROM ended ORDER BY at)",
            "payload || jsonb_build_object('action_id', id, 'status', coalesce(to_jsonb(status), '\"skipped\"'), 'duration_ms', took)", "at", "correlation_id",
            traceParent: "traceparent")}
        """);

    private static readonly Sql See = new("UPDATE gpt_open_actions SET seen_at = now(), suspected_at = NULL WHERE id = ANY (@ids)");

    private static readonly Sql Close = new($"""
        WITH dead AS (
            DELETE FROM gpt_open_actions WHERE id = ANY (ARRAY(
                SELECT id FROM gpt_open_actions WHERE suspected_at < now() - @grace LIMIT 1000 FOR UPDATE SKIP LOCKED))
            RETURNING *
        )
        {Outbox.Write("event_type || '.result'", "dead",
            "payload || jsonb_build_object('action_id', id, 'status', 'unknown', 'duration_ms', NULL)", "now()", "correlation_id", traceParent: "traceparent")}
        """);

    private static readonly Sql Suspect = new("UPDATE gpt_open_actions SET suspected_at = now() WHERE seen_at < now() - @silence AND suspected_at IS NULL");

    /// <summary>Records an attempt.</summary>
    /// <param name="payload">A JSON object.</param>
    public async Task BeginAsync(Guid id, string eventType, Occasion occasion, string payload, DateTimeOffset at)
    {
        var command = database.Change(Begin).Bind(occasion).Bind("id", id).Bind("event_type", eventType).BindJson("payload", payload).Bind("now", at);
        await command.ExecuteAsync();
    }

    /// <summary>Records how calls ended; returns how many of them were open.</summary>
    public async Task<int> EndAsync(IReadOnlyCollection<ActionResult> results)
    {
        var command = database.Change(End)
            .Bind("ids", results.Select(result => result.Id).ToArray()).Bind("statuses", results.Select(result => result.Status).ToArray())
            .Bind("durations", results.Select(result => (long)result.Took.TotalMilliseconds).ToArray())
            .Bind("ends", results.Select(result => result.At).ToArray());
        return await command.ExecuteAsync();
    }

    /// <summary>Says that somebody still sees to these calls.</summary>
    public async Task SeeAsync(Guid[] ids)
    {
        var command = database.Change(See).Bind("ids", ids);
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
        var close = database.Change(Close).Bind("grace", grace);
        var closed = await close.ExecuteAsync();
        var suspect = database.Change(Suspect).Bind("silence", silence);
        await suspect.ExecuteAsync();
        return closed;
    }
}
