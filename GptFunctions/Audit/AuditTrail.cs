using System.Diagnostics;
using System.Text.Json;
using GptFunctions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace GptFunctions.Audit;

/// <summary>Writes events to the audit trail, each once however often it is delivered. What is no event is put into quarantine.</summary>
internal sealed partial class AuditTrail(AuditTrailStore store, AuditMetrics metrics, TimeProvider clock, ILogger<AuditTrail> logger)
{
    private const string DataException = "22"; // classes of SQLSTATE
    private const string ProgramLimitExceeded = "54";

    /// <summary>Records one message of the queue.</summary>
    /// <exception cref="Npgsql.NpgsqlException">The database is away: the message must be delivered again.</exception>
    public async Task RecordAsync(ReadOnlyMemory<byte> message, CancellationToken cancellationToken)
    {
        if (AuditEvent.Parse(message, out var problem) is { } parsed)
        {
            using var span = EventSpans.StartProcess(parsed);
            try
            {
                problem = await TryInsertAsync(parsed, cancellationToken);
            }
            catch (Exception error)
            {
                span?.SetStatus(ActivityStatusCode.Error, error.GetType().Name);
                throw;
            }
        }

        if (problem is not null)
        {
            metrics.Consumed("quarantined");
            LogQuarantined(problem);
            await store.QuarantineAsync(problem, message, cancellationToken);
        }
    }

    /// <summary>Null, or what the database cannot store of it: U+0000, half a surrogate pair, a number out of range, a text too long for an index.</summary>
    private async Task<string?> TryInsertAsync(AuditEvent row, CancellationToken cancellationToken)
    {
        try
        {
            if (await store.InsertAsync(row, cancellationToken))
            {
                metrics.Recorded(clock.GetUtcNow() - row.OccurredAt);
            }
            else
            {
                metrics.Consumed("duplicate");
            }

            return null;
        }
        catch (PostgresException error) when (IsOfTheEvent(error))
        {
            return "PostgreSQL cannot store it: " + error.MessageText;
        }
    }

    /// <summary>Whether PostgreSQL has no room for the content of an event.</summary>
    public static bool IsOfTheEvent(PostgresException error) => error.SqlState[..2] is DataException or ProgramLimitExceeded;

    /// <summary>Makes the monthly partitions that the trail will need.</summary>
    /// <returns>How many were missing.</returns>
    public Task<int> CreatePartitionsAsync(DateTimeOffset now, CancellationToken cancellationToken) =>
        store.CreatePartitionsAsync(now, AuditTrailStore.MonthsAhead, cancellationToken);

    /// <summary>Records messages straight from the outbox.</summary>
    public async Task<Delivery> RecordAsync(IReadOnlyList<OutboxMessage> messages, CancellationToken cancellationToken)
    {
        foreach (var message in messages)
        {
            await RecordAsync(message.Envelope, cancellationToken);
        }

        return new Delivery([.. messages.Select(message => message.Position)], []);
    }

    [LoggerMessage(3010, LogLevel.Error, "A message of the audit queue is no event and was put into audit_quarantine: {Reason}")]
    private partial void LogQuarantined(string reason);
}

/// <summary>An event as its envelope tells it.</summary>
internal sealed record AuditEvent
{
    public required Guid Id { get; init; }
    public required string Type { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required string Source { get; init; }
    public string? CorrelationId { get; init; }

    /// <summary>Of the span that the event came from.</summary>
    public string? TraceParent { get; init; }

    public string? Subject { get; init; }
    public string? ClientId { get; init; }
    public string? SessionId { get; init; }
    public string? Address { get; init; }

    /// <summary>The payload as JSON text.</summary>
    public required string Metadata { get; init; }

    /// <summary>Null, with the reason, for anything that is not an envelope.</summary>
    public static AuditEvent? Parse(ReadOnlyMemory<byte> message, out string? problem)
    {
        try
        {
            using var document = JsonDocument.Parse(message);
            var root = document.RootElement;
            problem = root.ValueKind != JsonValueKind.Object ? "not a JSON object"
                : !Member(root, "event_id", JsonValueKind.String).TryGetGuid(out var id) ? "event_id is not a UUID"
                : root.TextOrNull("event_type") is not { Length: > 0 } type ? "event_type is missing"
                : !Member(root, "timestamp", JsonValueKind.String).TryGetDateTimeOffset(out var at) ? "timestamp is not RFC 3339"
                : Member(root, "payload", JsonValueKind.Object).ValueKind != JsonValueKind.Object ? "payload is not an object"
                : null;
            return problem is null ? Read(root) : null;
        }
        catch (JsonException)
        {
            problem = "not JSON";
            return null;
        }
        catch (InvalidOperationException)
        {
            problem = "a text holds half a surrogate pair";
            return null;
        }
    }

    private static AuditEvent Read(JsonElement root)
    {
        var payload = root.GetProperty("payload");
        return new AuditEvent
        {
            Id = root.GetProperty("event_id").GetGuid(),
            Type = root.TextOrNull("event_type")!,
            OccurredAt = root.GetProperty("timestamp").GetDateTimeOffset().ToUniversalTime(),
            Source = root.TextOrNull("source_service") ?? "unknown",
            CorrelationId = root.TextOrNull("correlation_id"),
            TraceParent = root.TextOrNull("traceparent"),
            Subject = payload.TextOrNull("clerk_user_id"),
            ClientId = payload.TextOrNull("client_id"),
            SessionId = payload.TextOrNull("session_id"),
            Address = payload.TextOrNull("ip_address"),
            Metadata = payload.GetRawText(),
        };
    }

    private static readonly JsonElement Empty = JsonElement.Parse("\"\"");

    // An element of the wanted kind, or one that converts to nothing.
    private static JsonElement Member(JsonElement parent, string name, JsonValueKind kind) =>
        parent.TryGetProperty(name, out var value) && value.ValueKind == kind ? value : Empty;
}
