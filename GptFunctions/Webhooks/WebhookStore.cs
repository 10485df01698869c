using GptFunctions.Data;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>An event as operators see it.</summary>
internal sealed record RecordedEvent
{
    public required string Source { get; init; }

    public required string EventId { get; init; }

    public required string Type { get; init; }

    public required string? Subject { get; init; }

    public required string Status { get; init; }

    public required int Attempts { get; init; }

    public required DateTimeOffset? EventAt { get; init; }

    public required DateTimeOffset ReceivedAt { get; init; }

    public required DateTimeOffset ProcessedAt { get; init; }

    public required string? Error { get; init; }
}

/// <summary>The inbox: claims events, and records those that failed.</summary>
internal sealed class WebhookStore(Database database)
{
    /// <summary>
    /// The one place that decides whether an event takes effect, or is a duplicate or stale: a function, because each of its statements must see what
    /// was committed before it (V007_Webhooks.sql). It records what becomes of the event, in the caller's transaction.
    /// </summary>
    private static readonly Sql Claim = new("SELECT webhook_claim(@source, @event_id, @type, @subject, @event_at, @is_handled, @event_order, @now)");

    // Not while another delivery handles the event: its result will count, and this one must not wait for it.
    private static readonly Sql RecordFailure = new("""
        INSERT INTO webhook_events AS known (source, event_id, type, subject, status, attempts, event_at, received_at, processed_at, error, payload)
        SELECT @source, @event_id, @type, @subject, 'failed', 1, @event_at, @received_at, greatest(@received_at, @failed_at), @error, @payload
        WHERE pg_try_advisory_xact_lock(hashtextextended(@source || ' ' || @event_id, 0))
        ON CONFLICT (source, event_id) DO UPDATE SET
            attempts = known.attempts + 1,
            processed_at = excluded.processed_at,
            error = excluded.error,
            payload = excluded.payload
        WHERE known.status = 'failed'
        """);

    private static readonly Sql FindPayload = new("""
        SELECT payload
        FROM webhook_events
        WHERE source = @source AND event_id = @event_id AND status = 'failed'
        """);

    private static readonly Sql List = new("""
        SELECT source, event_id, type, subject, status, attempts, event_at, received_at, processed_at, error
        FROM webhook_events
        WHERE (@source::text IS NULL OR source = @source) AND (@status::text IS NULL OR status = @status)
        ORDER BY processed_at DESC
        LIMIT @count
        """);

    /// <returns>
    /// <c>completed</c>: the transaction goes on to make the changes. <c>ignored</c>, <c>skipped_stale</c>: it has none to make. Nothing was recorded of
    /// <c>already_completed</c> and, while another delivery handles the event, of <c>in_progress</c>.
    /// </returns>
    public static async Task<string> ClaimAsync(
        NpgsqlConnection connection, string source, WebhookEvent webhook, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var order = webhook.Order switch
        {
            EventOrder.Creation => "creation",
            EventOrder.Change => "change",
            EventOrder.Deletion => "deletion",
            _ => "none",
        };
        await using var command = Describe(new Statement(Claim), source, webhook)
            .Bind("is_handled", webhook.IsHandled).Bind("event_order", order).Bind("now", now).On(connection);
        return (string)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Keeps the payload of an event whose handling failed, unless somebody else has handled it meanwhile.</summary>
    public async Task RecordFailureAsync(
        string source, WebhookEvent webhook, byte[] payload, string error, DateTimeOffset receivedAt, DateTimeOffset failedAt)
    {
        var command = Describe(database.Change(RecordFailure), source, webhook)
            .Bind("received_at", receivedAt).Bind("failed_at", failedAt).Bind("error", error).Bind("payload", payload);
        await command.ExecuteAsync();
    }

    /// <summary>The payload of a failed event; null for any other.</summary>
    public async Task<byte[]?> FindPayloadAsync(string source, string eventId)
    {
        var command = database.LookUp(FindPayload).Bind("source", source).Bind("event_id", eventId);
        return await command.FirstAsync(reader => reader.Get<byte[]?>(0));
    }

    /// <summary>The newest events, of all sources or one, in every status or one.</summary>
    public async Task<IReadOnlyList<RecordedEvent>> ListAsync(string? source, string? status, int limit)
    {
        var command = database.Report(List).Bind("source", source).Bind("status", status).Bind("count", limit);
        return await command.AllAsync(reader => new RecordedEvent
        {
            Source = reader.GetString(0),
            EventId = reader.GetString(1),
            Type = reader.GetString(2),
            Subject = reader.Get<string?>(3),
            Status = reader.GetString(4),
            Attempts = reader.GetInt32(5),
            EventAt = reader.Get<DateTimeOffset?>(6),
            ReceivedAt = reader.GetFieldValue<DateTimeOffset>(7),
            ProcessedAt = reader.GetFieldValue<DateTimeOffset>(8),
            Error = reader.Get<string?>(9),
        });
    }

    private static TStatement Describe<TStatement>(TStatement statement, string source, WebhookEvent webhook)
        where TStatement : Statement =>
        statement.Bind("source", source).Bind("event_id", webhook.Id).Bind("type", webhook.Type).Bind("subject", webhook.Subject)
            .Bind("event_at", webhook.OccurredAt);
}
