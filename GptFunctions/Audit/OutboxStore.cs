using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Audit;

/// <summary>An event on its way.</summary>
/// <param name="Position">Its place in the order in which events were written.</param>
/// <param name="Envelope">JSON in UTF-8.</param>
/// <param name="TraceParent">The trace that it belongs to; null for none.</param>
internal readonly record struct OutboxMessage(long Position, string RoutingKey, byte[] Envelope, string? TraceParent);

/// <summary>What became of a batch; whatever is not named stays where it is.</summary>
/// <param name="Delivered">Positions that are out.</param>
/// <param name="Unroutable">Positions that the receiver takes from nobody: they stand in nobody's way.</param>
internal readonly record struct Delivery(long[] Delivered, long[] Unroutable);

/// <summary>What a round did.</summary>
/// <param name="Kept">How many were not delivered.</param>
/// <param name="HasMore">Whether more may wait.</param>
internal readonly record struct Moved(int Delivered, int Kept, bool HasMore);

/// <param name="Waiting">Rows in the outbox.</param>
/// <param name="Oldest">When the oldest of them occurred; null when there are none.</param>
/// <param name="Stranded">Rows that were set aside.</param>
internal sealed record OutboxBacklog(long Waiting, DateTimeOffset? Oldest, long Stranded);

/// <summary>Events of one kind that were set aside.</summary>
internal sealed record StrandedEvents(string RoutingKey, long Count, DateTimeOffset Oldest, DateTimeOffset SetAsideAt);

internal sealed class OutboxStore(NpgsqlDataSource dataSource)
{
    private const int BatchSize = 500;
    private const int MostBatches = 20; // in one transaction

    private const long RelayLock = 0x6770_7466_0002;

    // One relay publishes at a time over all processes: that is what keeps a user's events in order. If its machine vanishes, the server ends
    // the transaction, long before the network would.
    private static readonly Sql TakeTurn = new("SELECT pg_try_advisory_xact_lock(@lock) FROM set_config('idle_in_transaction_session_timeout', '30s', true)");

    private static readonly Sql Claim = new("""
        SELECT position, routing_key, envelope::text, envelope ->> 'traceparent'
        FROM outbox_messages
        WHERE position > @after
        ORDER BY position
        LIMIT @count
        """);

    private static readonly Sql Delete = new("DELETE FROM outbox_messages WHERE position = ANY (@positions)");

    private static readonly Sql Backlog = new("SELECT count(*), min(occurred_at), (SELECT count(*) FROM outbox_stranded) FROM outbox_messages");

    private static readonly Sql SetAside = new("""
        WITH gone AS (
            DELETE FROM outbox_messages
            WHERE position = ANY (@positions)
            RETURNING position, event_id, routing_key, envelope, occurred_at
        )
        INSERT INTO outbox_stranded (position, event_id, routing_key, envelope, occurred_at)
        SELECT position, event_id, routing_key, envelope, occurred_at FROM gone
        """);

    private static readonly Sql ListStranded = new("""
        SELECT routing_key, count(*), min(occurred_at), max(stranded_at)
        FROM outbox_stranded
        GROUP BY routing_key
        ORDER BY routing_key
        """);

    // At the end of the queue, in their order.
    private static readonly Sql Requeue = new($"""
        WITH back AS (
            DELETE FROM outbox_stranded
            WHERE @routing_key::text IS NULL OR routing_key = @routing_key
            RETURNING position, event_id, routing_key, envelope, occurred_at
        ), requeued AS (
            INSERT INTO outbox_messages (event_id, routing_key, envelope, occurred_at)
            SELECT event_id, routing_key, envelope, occurred_at FROM back ORDER BY position
        ), total AS (
            SELECT count(*) AS count FROM back HAVING count(*) > 0
        ), event AS (
            {OperatorAct.Tell(MessageService.Returned, "total", "'from', 'stranded', 'count', count, 'event_type', @routing_key::text")}
        )
        SELECT coalesce((SELECT count FROM total), 0)
        """);

    /// <summary>
    /// Hands messages over in their order, up to 500 at a time, and deletes those that were delivered; in one transaction, so that
    /// all are there again if this process dies in between. Ends early when nothing of a batch was delivered for a reason that meets the next one too.
    /// </summary>
    public async Task<Moved> MoveAsync(Func<IReadOnlyList<OutboxMessage>, Task<Delivery>> deliver, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var batch = await TakeTurnAsync(connection, cancellationToken) ? await ClaimAsync(connection, 0, cancellationToken) : [];
        var last = new Delivery([], []);
        var (total, kept, hasMore) = (0, 0, false);
        for (var number = 1; batch.Count > 0; number++)
        {
            hasMore = batch.Count == BatchSize;
            var goesOn = hasMore && number < MostBatches && !cancellationToken.IsCancellationRequested;
            var delivering = deliver(batch);
            List<OutboxMessage> next;
            try
            {
                next = await TurnOverAsync(connection, last.Delivered, goesOn ? batch[^1].Position : null); // while the broker works
            }
            finally
            {
                last = await delivering;
            }

            total += last.Delivered.Length;
            kept += batch.Count - last.Delivered.Length;
            batch = last.Delivered.Length > 0 || last.Unroutable.Length == batch.Count ? next : [];
        }

        await TurnOverAsync(connection, last.Delivered, null);
        await transaction.CommitAsync(CancellationToken.None);
        return new Moved(total, kept, hasMore && last.Delivered.Length > 0);
    }

    /// <summary>Takes messages out of everybody's way; returns how many.</summary>
    public async Task<int> SetAsideAsync(long[] positions, CancellationToken cancellationToken)
    {
        await using var command = new Statement(SetAside).Bind("positions", positions).On(dataSource);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public async Task<IReadOnlyList<StrandedEvents>> ListStrandedAsync(CancellationToken cancellationToken)
    {
        await using var command = new Statement(ListStranded).On(dataSource);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var kinds = new List<StrandedEvents>();
        while (await reader.ReadAsync(cancellationToken))
        {
            kinds.Add(new StrandedEvents(
                reader.GetString(0), reader.GetInt64(1), reader.GetFieldValue<DateTimeOffset>(2), reader.GetFieldValue<DateTimeOffset>(3)));
        }

        return kinds;
    }

    /// <summary>Puts what was set aside back into the outbox; returns how many.</summary>
    /// <param name="routingKey">Only events of this type; null for all.</param>
    public async Task<long> RequeueAsync(string? routingKey, OperatorAct act, Occasion occasion, CancellationToken cancellationToken)
    {
        await using var command = new Statement(Requeue).Bind("routing_key", routingKey).Bind(act).Bind(occasion).On(dataSource);
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    public async Task<OutboxBacklog> ReadBacklogAsync(CancellationToken cancellationToken)
    {
        await using var command = new Statement(Backlog).On(dataSource);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return new OutboxBacklog(reader.GetInt64(0), reader.Get<DateTimeOffset?>(1), reader.GetInt64(2));
    }

    private static async Task<bool> TakeTurnAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new Statement(TakeTurn).Bind("lock", RelayLock).On(connection);
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Deletes what is out and claims what comes after a position. Not cancelled: what is out and not deleted would be published again.</summary>
    private static async Task<List<OutboxMessage>> TurnOverAsync(NpgsqlConnection connection, long[] delivered, long? after)
    {
        if (delivered.Length > 0)
        {
            await using var delete = new Statement(Delete).Bind("positions", delivered).On(connection);
            await delete.ExecuteNonQueryAsync(CancellationToken.None);
        }

        return after is { } position ? await ClaimAsync(connection, position, CancellationToken.None) : [];
    }

    private static async Task<List<OutboxMessage>> ClaimAsync(NpgsqlConnection connection, long after, CancellationToken cancellationToken)
    {
        await using var command = new Statement(Claim).Bind("after", after).Bind("count", BatchSize).On(connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var messages = new List<OutboxMessage>();
        while (await reader.ReadAsync(cancellationToken))
        {
            messages.Add(new OutboxMessage(reader.GetInt64(0), reader.GetString(1), reader.GetFieldValue<byte[]>(2), reader.Get<string?>(3)));
        }

        return messages;
    }
}
