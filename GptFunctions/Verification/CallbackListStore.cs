using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;

namespace GptFunctions.Verification;

/// <summary>A callback as operators see it.</summary>
internal sealed record CallbackRow
{
    public required Guid Id { get; init; }

    public required string Type { get; init; }

    public required string OrderId { get; init; }

    public required string Status { get; init; }

    public required int Attempts { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset NextAttemptAt { get; init; }

    public required DateTimeOffset? FinishedAt { get; init; }

    public required string? LastError { get; init; }
}

/// <summary>The callbacks as operators look at them and act on them.</summary>
internal sealed class CallbackListStore(Database database, OutboxSignal outbox)
{
    public const string Replayed = "gpt.operator.callback_replayed";
    public const string Cancelled = "gpt.operator.callback_cancelled";
    private const string Columns = "id, type, order_id, status, attempts, created_at, next_attempt_at, finished_at, last_error";
    private const string Members = "'callback_id', id, 'callback', type, 'order_id', order_id";

    private static readonly Sql ListPending = new($"""
        SELECT {Columns}
        FROM verification_callbacks
        WHERE status = 'pending' AND (next_attempt_at, id) > (@time, @id)
        ORDER BY next_attempt_at, id
        LIMIT @count
        """);

    private static readonly Sql ListDead = new($"""
        SELECT {Columns}
        FROM verification_callbacks
        WHERE status = 'dead' AND (finished_at, id) < (@time, @id)
        ORDER BY finished_at DESC, id DESC
        LIMIT @count
        """);

    private static readonly Sql ListFinished = new($"""
        SELECT {Columns}
        FROM verification_callbacks
        WHERE status IN ('sent', 'skipped') AND status = @status AND (finished_at, id) < (@time, @id)
        ORDER BY finished_at DESC, id DESC
        LIMIT @count
        """);

    private static readonly Sql Replay = new($"""
        WITH replayed AS (
            UPDATE verification_callbacks
            SET status = 'pending', attempts = 0, next_attempt_at = now(), finished_at = NULL, replayed_at = now()
            WHERE id = @id AND status = 'dead'
            RETURNING id, type, order_id
        ), event AS (
            {OperatorAct.Tell(Replayed, "replayed", Members)}
        )
        SELECT count(*) > 0 FROM replayed
        """);

    // One that is being sent right now may arrive all the same.
    private static readonly Sql Cancel = new($"""
        WITH cancelled AS (
            UPDATE verification_callbacks
            SET status = 'skipped', finished_at = now(), lease_until = NULL, last_error = 'cancelled by an operator'
            WHERE id = @id AND status IN ('pending', 'dead')
            RETURNING id, type, order_id
        ), event AS (
            {OperatorAct.Tell(Cancelled, "cancelled", Members)}
        )
        SELECT count(*) > 0 FROM cancelled
        """);

    public static IReadOnlyList<string> Statuses { get; } = ["pending", "sent", "skipped", "dead"];

    /// <summary>Pending ones by when they are tried next, the first first; others by when they ended, the last first.</summary>
    /// <param name="status">Of <see cref="Statuses"/>.</param>
    /// <param name="after">From behind this one.</param>
    public Task<List<CallbackRow>> ListAsync(string status, (DateTimeOffset Time, Guid Id)? after, int count)
    {
        var isPending = status == "pending";
        var (time, id) = after ?? (isPending ? (DateTimeOffset.MinValue, Guid.Empty) : (DateTimeOffset.MaxValue, Guid.AllBitsSet));
        return database.Report(isPending ? ListPending : status == "dead" ? ListDead : ListFinished)
            .Bind("time", time).Bind("id", id).Bind("count", count).BindIfUsed("status", status)
            .AllAsync(reader => new CallbackRow
            {
                Id = reader.GetGuid(0),
                Type = reader.GetString(1),
                OrderId = reader.GetString(2),
                Status = reader.GetString(3),
                Attempts = reader.GetInt32(4),
                CreatedAt = reader.GetFieldValue<DateTimeOffset>(5),
                NextAttemptAt = reader.GetFieldValue<DateTimeOffset>(6),
                FinishedAt = reader.Get<DateTimeOffset?>(7),
                LastError = reader.Get<string?>(8),
            });
    }

    /// <summary>Has a callback that was given up sent again, for as long as a new one; false when there is none of this id.</summary>
    public Task<bool> ReplayAsync(Guid id, OperatorAct act, Occasion occasion) => ChangeAsync(Replay, id, act, occasion);

    /// <summary>Ends a pending or dead callback without sending it; false when there is none of this id.</summary>
    public Task<bool> CancelAsync(Guid id, OperatorAct act, Occasion occasion) => ChangeAsync(Cancel, id, act, occasion);

    private async Task<bool> ChangeAsync(Sql sql, Guid id, OperatorAct act, Occasion occasion)
    {
        var isDone = await database.Change(sql).Bind("id", id).Bind(act).Bind(occasion).FirstAsync(reader => reader.GetBoolean(0));
        outbox.Raise();
        return isDone;
    }
}
