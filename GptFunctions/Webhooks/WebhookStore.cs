using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
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

    /// <summary>Of the last handling, in milliseconds; null of an event that had nothing to change.</summary>
    public required int? DurationMs { get; init; }

    public required string? Error { get; init; }
}

/// <summary>Which events are asked for; null stands for all.</summary>
internal sealed record WebhookFilter
{
    public string? Source { get; init; }

    public string? Type { get; init; }

    public string? Status { get; init; }

    public string? Subject { get; init; }

    /// <summary>Handled at this time or after.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>Handled before this time.</summary>
    public DateTimeOffset? Until { get; init; }
}

/// <summary>Where a list of events goes on: behind this event.</summary>
internal sealed record WebhookPosition(DateTimeOffset ProcessedAt, string Source, string EventId);

/// <summary>A failed event that is to be handled again.</summary>
internal sealed record FailedEvent(string Source, string EventId, DateTimeOffset ProcessedAt);

/// <summary>The events that failed, and the operators who have them handled again.</summary>
internal sealed class WebhookStore(Database database)
{
    public const string Replayed = "gpt.operator.webhook_replayed";

    // Not while another delivery handles the event: its result will count, and this one must not wait for it.
    private const string Failure = """
        INSERT INTO webhook_events AS known
            (source, event_id, type, subject, status, attempts, event_at, received_at, processed_at, duration_ms, error, payload)
        SELECT @source, @event_id, @type, @subject, 'failed', 1, @event_at, @received_at, greatest(@received_at, @failed_at), @duration_ms, @error, @payload
        WHERE pg_try_advisory_xact_lock(hashtextextended(@source || ' ' || @event_id, 0))
        ON CONFLICT (source, event_id) DO UPDATE SET
            attempts = known.attempts + 1,
            processed_at = excluded.processed_at,
            duration_ms = excluded.duration_ms,
            error = excluded.error,
            payload = excluded.payload
        WHERE known.status = 'failed'
        """;

    private const string Unreadable = """
        UPDATE webhook_events
        SET attempts = attempts + 1, processed_at = greatest(received_at, @failed_at), duration_ms = NULL, error = @error
        WHERE source = @source AND event_id = @event_id AND status = 'failed'
        """;

    private static readonly Sql RecordFailure = new(Failure);
    private static readonly Sql RecordFailedReplay = Told(Failure);
    private static readonly Sql RecordUnreadable = new(Unreadable);
    private static readonly Sql RecordUnreadableReplay = Told(Unreadable);

    private static readonly Sql TellReplay = new(OperatorAct.Tell(Replayed, "(VALUES (1))",
        "'source', @source::text, 'event_id', @event_id::text, 'type', @type::text, 'subject', @subject::text, 'outcome', @outcome::text"));

    private static readonly Sql FindPayload = new("""
        SELECT payload
        FROM webhook_events
        WHERE source = @source AND event_id = @event_id AND status = 'failed' AND (@before::timestamptz IS NULL OR processed_at < @before)
        """);

    /// <summary>The audit event of a replay that an operator asked for, for the transaction of what it changed.</summary>
    public static Statement ToReplayed(string source, WebhookEvent webhook, string outcome, OperatorAct act, Occasion occasion) =>
        new Statement(TellReplay)
            .Bind("source", source).Bind("event_id", webhook.Id).Bind("type", webhook.Type).Bind("subject", webhook.Subject).Bind("outcome", outcome)
            .Bind(act).Bind(occasion);

    /// <summary>Keeps the payload of an event whose handling failed, unless somebody else has handled it meanwhile.</summary>
    /// <param name="replay">Of an operator who had it handled again; null for a delivery.</param>
    /// <returns>False when nothing was kept: somebody else has handled the event, or is handling it.</returns>
    public async Task<bool> RecordFailureAsync(
        string source, WebhookEvent webhook, byte[] payload, string error, DateTimeOffset receivedAt, DateTimeOffset failedAt,
        (OperatorAct Act, Occasion Occasion)? replay = null)
    {
        var command = Describe(database.Change(replay is null ? RecordFailure : RecordFailedReplay), source, webhook)
            .Bind("received_at", receivedAt).Bind("failed_at", failedAt).Bind("error", error).Bind("payload", payload)
            .Bind("duration_ms", (int)Math.Clamp((failedAt - receivedAt).TotalMilliseconds, 0, int.MaxValue));
        return await Bind(command, replay).ExecuteAsync() > 0;
    }

    /// <summary>Notes of a failed event that what was kept of it cannot be read any more.</summary>
    /// <inheritdoc cref="RecordFailureAsync"/>
    public Task RecordUnreadableAsync(
        string source, string eventId, string error, DateTimeOffset failedAt, (OperatorAct Act, Occasion Occasion)? replay = null) =>
        Bind(database.Change(replay is null ? RecordUnreadable : RecordUnreadableReplay)
            .Bind("source", source).Bind("event_id", eventId).Bind("error", error).Bind("failed_at", failedAt), replay).ExecuteAsync();

    /// <summary>The payload of a failed event; null for any other.</summary>
    /// <param name="failedBefore">Only of one that has not failed again since; null for any.</param>
    public async Task<byte[]?> FindPayloadAsync(string source, string eventId, DateTimeOffset? failedBefore)
    {
        var command = database.LookUp(FindPayload).Bind("source", source).Bind("event_id", eventId).Bind("before", failedBefore);
        return await command.FirstAsync(reader => reader.Get<byte[]?>(0));
    }

    private static Sql Told(string change) => new($"""
        WITH changed AS (
            {change}
            RETURNING source, event_id, type, subject, error
        )
        {OperatorAct.Tell(Replayed, "changed",
            "'source', source, 'event_id', event_id, 'type', type, 'subject', subject, 'outcome', 'failed', 'error', error")}
        """);

    private static LimitedStatement Bind(LimitedStatement statement, (OperatorAct Act, Occasion Occasion)? replay) =>
        replay is { } by ? statement.Bind(by.Act).Bind(by.Occasion) : statement;

    private static TStatement Describe<TStatement>(TStatement statement, string source, WebhookEvent webhook)
        where TStatement : Statement =>
        statement.Bind("source", source).Bind("event_id", webhook.Id).Bind("type", webhook.Type).Bind("subject", webhook.Subject)
            .Bind("event_at", webhook.OccurredAt);
}
