using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;

namespace GptFunctions.Verification;

/// <summary>A callback whose time has come, with what is known of its order now.</summary>
internal sealed record Callback
{
    public required Guid Id { get; init; }

    public required string Type { get; init; }

    public required int Attempts { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Since when it is tried: since it was written, or started anew by an operator.</summary>
    public required DateTimeOffset TriedSince { get; init; }

    public required string OrderId { get; init; }

    public required string? CustomerEmail { get; init; }

    public required decimal? OrderTotal { get; init; }

    public required DateTimeOffset? Deadline { get; init; }

    public required DateTimeOffset? DecidedAt { get; init; }

    /// <summary>A reminder of an order that has been decided meanwhile reminds of nothing.</summary>
    public required bool IsMoot { get; init; }
}

/// <summary>An order as its operators see it.</summary>
internal sealed record OrderVerification(string OrderId, string Status, DateTimeOffset? Deadline, double? HoursRemaining, DateTimeOffset? DecidedAt)
{
    public IReadOnlyList<OrderCallback> Callbacks { get; init; } = [];
}

/// <summary>What another system was told of an order, or is to be.</summary>
internal sealed record OrderCallback(string Id, string Type, string Status, int Attempts, DateTimeOffset? NextAttemptAt, string? LastError);

/// <summary>Callbacks that are to be sent: at least once each.</summary>
internal sealed class CallbackStore(Database database, OutboxSignal outbox)
{
    public const string Sent = "gpt.countdown.callback_sent";
    public const string Skipped = "gpt.countdown.callback_skipped";
    public const string Dead = "gpt.countdown.callback_dead";
    public const string RefundDue = "verification.refund_due";
    public const string Reminder = "verification.reminder";

    private static readonly Sql Claim = new($"""
        WITH due AS (
            SELECT id
            FROM verification_callbacks
            WHERE status = 'pending' AND next_attempt_at <= now() AND (lease_until IS NULL OR lease_until <= now())
            ORDER BY next_attempt_at
            LIMIT @count
            FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE verification_callbacks callback
            SET lease_until = now() + @lease
            FROM due
            WHERE callback.id = due.id
            RETURNING callback.*
        )
        SELECT claimed.id, claimed.type, claimed.attempts, claimed.created_at, claimed.order_id,
               session.customer_email, session.order_total, session.deadline, session.decided_at,
               claimed.type = '{Reminder}' AND session.status <> 'pending_verification', coalesce(claimed.replayed_at, claimed.created_at)
        FROM claimed
        JOIN verification_sessions session ON session.order_id = claimed.order_id
        """);

    private static readonly Sql Finish = new($"""
        WITH finished AS (
            UPDATE verification_callbacks
            SET status = @status, attempts = attempts + @attempt, last_error = @error, lease_until = NULL, finished_at = now()
            WHERE id = @id AND status = 'pending'
            RETURNING id, type, order_id, status, attempts, last_error
        )
        {Outbox.Tell("@event_type", "finished",
            "'callback_id', id, 'callback', type, 'order_id', order_id, 'status', status, 'attempts', attempts, 'error', last_error")}
        """);

    private static readonly Sql PutOff = new("""
        UPDATE verification_callbacks
        SET attempts = attempts + 1, last_error = @error, lease_until = NULL, next_attempt_at = now() + @pause
        WHERE id = @id AND status = 'pending'
        """);

    private static readonly Sql Find = new("""
        SELECT status, deadline,
               CASE WHEN status = 'pending_verification' THEN greatest(extract(epoch FROM deadline - now()), 0)::double precision / 3600 END,
               decided_at
        FROM verification_sessions
        WHERE order_id = @order_id
        """);

    private static readonly Sql FindCallbacks = new("""
        SELECT id, type, status, attempts, CASE WHEN status = 'pending' THEN next_attempt_at END, last_error
        FROM verification_callbacks
        WHERE order_id = @order_id
        ORDER BY created_at
        """);

    /// <summary>The part of a statement that writes the callback of each row (order_id) of <paramref name="rows"/>; @id is the countdown's.</summary>
    public static string Insert(string rows, string type) => $"""
        INSERT INTO verification_callbacks (id, type, order_id, next_attempt_at, created_at)
        SELECT @id, '{type}', order_id, @now, @now
        FROM {rows}
        """;

    /// <summary>Takes callbacks that are due; they are nobody else's for the time of the lease.</summary>
    public Task<List<Callback>> ClaimAsync(int count, TimeSpan lease) =>
        database.Change(Claim).Bind("count", count).Bind("lease", lease).AllAsync(reader => new Callback
        {
            Id = reader.GetGuid(0),
            Type = reader.GetString(1),
            Attempts = reader.GetInt32(2),
            CreatedAt = reader.GetFieldValue<DateTimeOffset>(3),
            OrderId = reader.GetString(4),
            CustomerEmail = reader.Get<string?>(5),
            OrderTotal = reader.Get<decimal?>(6),
            Deadline = reader.Get<DateTimeOffset?>(7),
            DecidedAt = reader.Get<DateTimeOffset?>(8),
            IsMoot = reader.GetBoolean(9),
            TriedSince = reader.GetFieldValue<DateTimeOffset>(10),
        });

    /// <summary>Ends a callback, with its audit event.</summary>
    /// <param name="status">sent, skipped or dead.</param>
    /// <param name="attempt">1 when it was tried, else 0.</param>
    public async Task FinishAsync(Guid id, string status, int attempt, string? error, Occasion occasion)
    {
        await database.Change(Finish)
            .Bind("id", id).Bind("status", status).Bind("attempt", attempt).Bind("error", error).Bind(occasion)
            .Bind("event_type", status switch
            {
                "sent" => Sent,
                "skipped" => Skipped,
                _ => Dead,
            })
            .ExecuteAsync();
        outbox.Raise();
    }

    public Task PutOffAsync(Guid id, string error, TimeSpan pause) =>
        database.Change(PutOff).Bind("id", id).Bind("error", error).Bind("pause", pause).ExecuteAsync();

    /// <summary>Null when there is no such order.</summary>
    public async Task<OrderVerification?> FindAsync(string orderId)
    {
        var order = await database.LookUp(Find).Bind("order_id", orderId).FirstAsync(reader => new OrderVerification(
            orderId, reader.GetString(0), reader.Get<DateTimeOffset?>(1), reader.Get<double?>(2), reader.Get<DateTimeOffset?>(3)));
        return order is null ? null : order with
        {
            Callbacks = await database.LookUp(FindCallbacks).Bind("order_id", orderId).AllAsync(reader => new OrderCallback(
                reader.GetGuid(0).ToString(), reader.GetString(1), reader.GetString(2), reader.GetInt32(3), reader.Get<DateTimeOffset?>(4),
                reader.Get<string?>(5))),
        };
    }
}
