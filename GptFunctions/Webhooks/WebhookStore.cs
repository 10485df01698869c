using GptFunctions.Audit;
using GptFunctions.Data;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>An event as operators see it.</summary>
internal sealed record RecordedEvent(
    string Source, string EventId, string Type, string? Subject, string Status, int Attempts, DateTimeOffset? EventAt, DateTimeOffset ReceivedAt, DateTimeOffset ProcessedAt, string? Error);

/// <summary>The inbox: one transaction holds the claim of an event, its changes, their audit events and its completion.</summary>
internal sealed class WebhookStore(Database database, OutboxSignal outbox)
{
    /// <summary>When the server is silent; a handler that takes its time has a limit of its own, before this one.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private static readonly Sql Commit = new("COMMIT");

    private static readonly Sql Claim = new("SELECT webhook_claim(@source, @event_id, @type, @subject, @event_at, @is_handled, @event_order, @now)");

    // Not while another delivery handles the event: its result will count, and this one must not wait for it.
    private static readonly Sql RecordFailure = new("""
        INSERT INTO webhook_events AS known (source, event_id, type, subject, status, attempts, event_at, received_at, processed_at, error, payload)
        SELECT @source, @event_id, @type, @subject, 'failed', 1, @event_at, @received_at, greatest(@received_at, @failed_at), @error, @payload
        WHERE pg_try_advisory_xact_lock(hashtextextended(@source || ' ' || @event_id, 0))
        ON CONFLICT (source, event_id) DO UPDATE SET attempts = known.attempts + 1, processed_at = excluded.processed_at, error = excluded.error, payload = excluded.payload
        WHERE known.status = 'failed'
        """);

    private static readonly Sql FindPayload = new("SELECT payload FROM webhook_events WHERE source = @source AND event_id = @event_id AND status = 'failed'");

    private static readonly Sql List = new("""
        SELECT source, event_id, type, subject, status, attempts, event_at, received_at, processed_at, error FROM webhook_events
        WHERE (@source::text IS NULL OR source = @source) AND (@status::text IS NULL OR status = @status)
        ORDER BY processed_at DESC LIMIT @count
        """);

    /// <summary>Claims the event and, if it is to take effect, makes its changes: two round trips, of which the first begins the transaction and the second commits it.</summary>
    /// <param name="limit">How long that may take.</param>
    public Task<WebhookResult> HandleAsync(IWebhookSource source, WebhookEvent webhook, NpgsqlBatch changes, DateTimeOffset now, CancellationToken limit) =>
        database.RunAsync(Patience, async (connection, cancellationToken) =>
        {
            using var both = CancellationTokenSource.CreateLinkedTokenSource(limit, cancellationToken);
            return await HandleAsync(connection, source, webhook, changes, now, both.Token);
        });

    /// <summary>Keeps the payload of an event whose handling failed, unless somebody else has handled it meanwhile.</summary>
    public async Task RecordFailureAsync(string source, WebhookEvent webhook, byte[] payload, string error, DateTimeOffset receivedAt, DateTimeOffset failedAt)
    {
        var command = database.Change(RecordFailure)
            .Bind("source", source).Bind("event_id", webhook.Id).Bind("type", webhook.Type).Bind("subject", webhook.Subject)
            .Bind("event_at", webhook.OccurredAt).Bind("received_at", receivedAt).Bind("failed_at", failedAt).Bind("error", error)
            .Bind("payload", payload);
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
        return await command.AllAsync(reader => new RecordedEvent(
            reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.Get<string?>(3), reader.GetString(4), reader.GetInt32(5),
            reader.Get<DateTimeOffset?>(6), reader.GetFieldValue<DateTimeOffset>(7), reader.GetFieldValue<DateTimeOffset>(8), reader.Get<string?>(9)));
    }

    private async Task<WebhookResult> HandleAsync(
        NpgsqlConnection connection, IWebhookSource source, WebhookEvent webhook, NpgsqlBatch changes, DateTimeOffset now, CancellationToken cancellationToken)
    {
        changes.Add(new Statement(Commit));
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken); // sent with the claim; rolled back unless committed
        var claimed = await ClaimAsync(connection, source.Name, webhook, now, cancellationToken);
        if (claimed is "in_progress" or "already_completed")
        {
            return claimed == "in_progress" ? WebhookResult.InProgress : WebhookResult.Duplicate;
        }

        if (claimed != "completed")
        {
            await transaction.CommitAsync(cancellationToken);
            return claimed == "ignored" ? WebhookResult.Ignored : WebhookResult.SkippedStale;
        }

        changes.Connection = connection;
        WebhookResult result;
        await using (var reader = await changes.ExecuteReaderAsync(cancellationToken))
        {
            result = await source.AnswerAsync(reader, webhook, cancellationToken);
            while (await reader.NextResultAsync(cancellationToken))
            {
                // Until the commit has answered, nothing has happened.
            }
        }

        outbox.Raise();
        return result;
    }

    private static async Task<string> ClaimAsync(NpgsqlConnection connection, string source, WebhookEvent webhook, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = new Statement(Claim)
            .Bind("source", source).Bind("event_id", webhook.Id).Bind("type", webhook.Type).Bind("subject", webhook.Subject)
            .Bind("event_at", webhook.OccurredAt).Bind("is_handled", webhook.IsHandled)
            .Bind("event_order", webhook.Order switch { EventOrder.Creation => "creation", EventOrder.Change => "change", EventOrder.Deletion => "deletion", _ => "none" })
            .Bind("now", now).On(connection);
        return (string)(await command.ExecuteScalarAsync(cancellationToken))!;
    }
}
