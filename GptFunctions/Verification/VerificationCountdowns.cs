using GptFunctions.Audit;
using GptFunctions.Countdowns;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Verification;

/// <summary>
/// An order that nobody decided by its deadline: its refund is due. The refund itself is another system's work, which is told by a callback.
/// </summary>
internal sealed class VerificationExpiry : ICountdownHandler
{
    public const string KindName = "verification.expiry";
    public const string Expired = "gpt.countdown.verification_expired";

    private static readonly Sql Expire = new($"""
        WITH expired AS (
            UPDATE verification_sessions
            SET status = 'refund_due', decided_at = @now
            WHERE order_id = @order_id AND status = 'pending_verification'
            RETURNING order_id
        ), callback AS (
            {CallbackStore.Insert("expired", CallbackStore.RefundDue)}
        )
        {Outbox.Tell(Expired, "expired", "'order_id', order_id, 'countdown_id', @id")}
        """);

    public string Kind => KindName;

    public void AddEffect(NpgsqlBatch batch, DueCountdown countdown, Occasion occasion) =>
        batch.Add(new Statement(Expire).Bind("order_id", countdown.Subject).Bind("id", countdown.Id).Bind(occasion));
}

/// <summary>Some time before the deadline somebody may want to remind the customer.</summary>
internal sealed class VerificationReminder : ICountdownHandler
{
    public const string KindName = "verification.reminder";
    public const string Reminded = "gpt.countdown.verification_reminder";

    private static readonly Sql Remind = new($"""
        WITH pending AS (
            SELECT order_id
            FROM verification_sessions
            WHERE order_id = @order_id AND status = 'pending_verification'
            FOR UPDATE
        ), callback AS (
            {CallbackStore.Insert("pending", CallbackStore.Reminder)}
        )
        {Outbox.Tell(Reminded, "pending", "'order_id', order_id, 'countdown_id', @id")}
        """);

    public string Kind => KindName;

    public void AddEffect(NpgsqlBatch batch, DueCountdown countdown, Occasion occasion) =>
        batch.Add(new Statement(Remind).Bind("order_id", countdown.Subject).Bind("id", countdown.Id).Bind(occasion));
}
