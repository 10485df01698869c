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

    private static readonly Sql Open = new($"""
        WITH opened AS (
            INSERT INTO verification_sessions AS session (order_id, customer_email, order_total, status, deadline, created_at) VALUES (@order_id, @customer_email, @order_total, 'pending_verification', @now + @lifetime, @now)
            ON CONFLICT (order_id) DO UPDATE SET customer_email = excluded.customer_email, order_total = excluded.order_total
            WHERE session.customer_email IS NULL -- it was decided before the order came
            RETURNING order_id, status
        ), due AS (
            SELECT kind, order_id AS subject, @now + after AS due_at FROM opened, (VALUES ('{Expiry}', @lifetime), ('{Reminder}', @remind_after)) countdown (kind, after)
            WHERE status = 'pending_verification' AND after <= @lifetime
        ), countdowns AS (
            {CountdownStatements.Schedule}
        ), event AS (
            {Outbox.Tell(AuditEvents.VerificationOpened, "opened", "'order_id', order_id")}
        )
        SELECT count(*) > 0 FROM opened
        """);

    private static readonly Sql Decide = new($"""
        WITH decided AS (
            INSERT INTO verification_sessions AS session (order_id, status, created_at, decided_at) VALUES (@order_id, @status, @now, @now)
            ON CONFLICT (order_id) DO UPDATE SET status = excluded.status, decided_at = excluded.decided_at
            WHERE session.status = 'pending_verification' AND session.deadline > @now
            RETURNING order_id
        ), over AS (
            SELECT kind, order_id AS subject FROM decided, (VALUES ('{Expiry}'), ('{Reminder}')) countdown (kind)
        ), countdowns AS (
            {CountdownStatements.Cancel}
        ), event AS (
            {Outbox.Tell("@event_type", "decided", "'order_id', order_id")}
        )
        SELECT count(*) > 0 FROM decided
        """);

    // A statement of its own, so that it sees what another delivery committed meanwhile.
    private static readonly Sql Read = new("SELECT status, deadline, status IN ('pending_verification', 'refund_due') AND deadline <= @now FROM verification_sessions WHERE order_id = @order_id");

    // What came too late changes nothing. Not even the event is recorded, so that each delivery of it gets the same answer.
    private static readonly Sql Forget = new("""
        DELETE FROM webhook_events USING verification_sessions session
        WHERE source = @source AND event_id = @event_id AND session.order_id = @order_id AND session.status IN ('pending_verification', 'refund_due') AND session.deadline <= @now
        """);

    public static void AddOpen(NpgsqlBatch batch, Order order, TimeSpan lifetime, Occasion occasion)
    {
        batch.Add(new Statement(Open)
            .Bind("order_id", order.Id).Bind("customer_email", order.CustomerEmail).Bind("order_total", order.Total).Bind("lifetime", lifetime)
            .Bind("remind_after", RemindAfter).Bind(occasion));
        AddRead(batch, order.Id, occasion);
    }

    public static void AddDecide(NpgsqlBatch batch, string orderId, bool isApproval, (string Source, string Id) webhook, Occasion occasion)
    {
        batch.Add(new Statement(Decide)
            .Bind("order_id", orderId).Bind("status", isApproval ? "verified" : "declined")
            .Bind("event_type", isApproval ? AuditEvents.Verified : AuditEvents.VerificationDeclined).Bind(occasion));
        AddRead(batch, orderId, occasion);

        batch.Add(new Statement(Forget).Bind("source", webhook.Source).Bind("event_id", webhook.Id).Bind("order_id", orderId).Bind(occasion));
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

    private static void AddRead(NpgsqlBatch batch, string orderId, Occasion occasion)
    {
        batch.Add(new Statement(Read).Bind("order_id", orderId).Bind(occasion));
    }
}
