using GptFunctions.Audit;
using GptFunctions.Countdowns;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>What a shop says of an order.</summary>
internal sealed record Order(string Id, string CustomerEmail, decimal Total);

/// <summary>A verification session after an event.</summary>
/// <param name="HasChanged">Whether this event changed it.</param>
/// <param name="IsTooLate">Whether this event came after the deadline.</param>
internal sealed record VerificationSession(string Status, DateTimeOffset? Deadline, bool HasChanged, bool IsTooLate);

/// <summary>Verification sessions: opened by an order, decided once, before the deadline. Either event may come first.</summary>
internal static class VerificationStore
{
    private const string Expiry = "verification.expiry";
    private const string Reminder = "verification.reminder";
    private static readonly TimeSpan RemindAfter = TimeSpan.FromHours(24);

    private const string Open = $"""
        WITH opened AS (
            INSERT INTO verification_sessions AS session (order_id, customer_email, order_total, status, deadline, created_at) VALUES ($2, $3, $4, 'pending_verification', $1 + $5, $1)
            ON CONFLICT (order_id) DO UPDATE SET customer_email = excluded.customer_email, order_total = excluded.order_total
            WHERE session.customer_email IS NULL -- it was decided before the order came
            RETURNING order_id, status
        ), due AS (
            SELECT kind, order_id AS subject, $1 + after AS due_at FROM opened, (VALUES ('{Expiry}', $5), ('{Reminder}', $6)) countdown (kind, after)
            WHERE status = 'pending_verification' AND after <= $5
        ), countdowns AS (
            {CountdownStatements.Schedule}
        ), event AS (
            INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
            SELECT $7, '{AuditEvents.VerificationOpened}', $1, event_envelope($7, '{AuditEvents.VerificationOpened}', $1, $8, jsonb_build_object('order_id', order_id, 'ip_address', $9)) FROM opened
        )
        SELECT count(*) > 0 FROM opened
        """;

    private const string Decide = $"""
        WITH decided AS (
            INSERT INTO verification_sessions AS session (order_id, status, created_at, decided_at) VALUES ($2, $3, $1, $1)
            ON CONFLICT (order_id) DO UPDATE SET status = excluded.status, decided_at = excluded.decided_at
            WHERE session.status = 'pending_verification' AND session.deadline > $1
            RETURNING order_id
        ), over AS (
            SELECT kind, order_id AS subject FROM decided, (VALUES ('{Expiry}'), ('{Reminder}')) countdown (kind)
        ), countdowns AS (
            {CountdownStatements.Cancel}
        ), event AS (
            INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
            SELECT $4, $5, $1, event_envelope($4, $5, $1, $6, jsonb_build_object('order_id', order_id, 'ip_address', $7)) FROM decided
        )
        SELECT count(*) > 0 FROM decided
        """;

    // A statement of its own, so that it sees what another delivery committed meanwhile.
    private const string Read = "SELECT status, deadline, status IN ('pending_verification', 'refund_due') AND deadline <= $2 FROM verification_sessions WHERE order_id = $1";

    // What came too late changes nothing. Not even the event is recorded, so that each delivery of it gets the same answer.
    private const string Forget = """
        DELETE FROM webhook_events USING verification_sessions session
        WHERE source = $1 AND event_id = $2 AND session.order_id = $3 AND session.status IN ('pending_verification', 'refund_due') AND session.deadline <= $4
        """;

    public static void AddOpen(NpgsqlBatch batch, Order order, TimeSpan lifetime, RequestOrigin origin, DateTimeOffset now)
    {
        var open = batch.Add(Open);
        open.Bind(now);
        open.Bind(order.Id);
        open.Bind(order.CustomerEmail);
        open.Bind(order.Total);
        open.Bind(lifetime);
        open.Bind(RemindAfter);
        open.Bind(Guid.CreateVersion7(now));
        open.Bind(origin.CorrelationId);
        open.Bind(origin.Address);
        AddRead(batch, order.Id, now);
    }

    public static void AddDecide(NpgsqlBatch batch, string orderId, bool isApproval, (string Source, string Id) webhook, RequestOrigin origin, DateTimeOffset now)
    {
        var decide = batch.Add(Decide);
        decide.Bind(now);
        decide.Bind(orderId);
        decide.Bind(isApproval ? "verified" : "declined");
        decide.Bind(Guid.CreateVersion7(now));
        decide.Bind(isApproval ? AuditEvents.Verified : AuditEvents.VerificationDeclined);
        decide.Bind(origin.CorrelationId);
        decide.Bind(origin.Address);
        AddRead(batch, orderId, now);

        var forget = batch.Add(Forget);
        forget.Bind(webhook.Source);
        forget.Bind(webhook.Id);
        forget.Bind(orderId);
        forget.Bind(now);
    }

    /// <summary>The session from the results of <see cref="AddOpen"/> or <see cref="AddDecide"/>.</summary>
    public static async Task<VerificationSession> ReadAsync(NpgsqlDataReader reader, CancellationToken cancellationToken)
    {
        await reader.ReadAsync(cancellationToken);
        var hasChanged = reader.GetBoolean(0);
        await reader.NextResultAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return new VerificationSession(reader.GetString(0), reader.Get<DateTimeOffset?>(1), hasChanged, !hasChanged && reader.GetFieldValue<bool?>(2) == true);
    }

    private static void AddRead(NpgsqlBatch batch, string orderId, DateTimeOffset now)
    {
        var read = batch.Add(Read);
        read.Bind(orderId);
        read.Bind(now);
    }
}
