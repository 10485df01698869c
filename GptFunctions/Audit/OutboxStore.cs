using GptFunctions.Data;
using Npgsql;

namespace GptFunctions.Audit;

/// <summary>An event on its way.</summary>
/// <param name="Position">Its place in the order in which events were written.</param>
/// <param name="Envelope">JSON in UTF-8.</param>
internal readonly record struct OutboxMessage(long Position, string RoutingKey, byte[] Envelope);

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
    private const string TakeTurn = "SELECT pg_try_advisory_xact_lock($1) FROM set_config('idle_in_transaction_session_timeout', '30s', true)";

    private const string Claim = "SELECT position, routing_key, envelope::text FROM outbox_messages WHERE position > $1 ORDER BY position LIMIT $2";

    private const string Delete = "DELETE FROM outbox_messages WHERE position = ANY ($1)";

    private const string Backlog = "SELECT count(*), min(occurred_at), (SELECT count(*) FROM outbox_stranded) FROM outbox_messages";

    private const string SetAside = """
        WITH gone AS (DELETE FROM outbox_messages WHERE position = ANY ($1) RETURNING position, event_id, routing_key, envelope, occurred_at)
        INSERT INTO outbox_stranded (position, event_id, routing_key, envelope, occurred_at)
        SELECT position, event_id, routing_key, envelope, occurred_at FROM gone
        """;

    private const string ListStranded = """
        SELECT routing_key, count(*), min(occurred_at), max(stranded_at) FROM outbox_stranded GROUP BY routing_key ORDER BY routing_key
        """;

    // At the end of the queue, in their order.
    private const string Requeue = """
        WITH back AS (DELETE FROM outbox_stranded WHERE $1::text IS NULL OR routing_key = $1 RETURNING position, event_id, routing_key, envelope, occurred_at)
        INSERT INTO outbox_messages (event_id, routing_key, envelope, occurred_at)
        SELECT event_id, routing_key, envelope, occurred_at FROM back ORDER BY position
        """;

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
        await using var command = dataSource.CreateCommand(SetAside);
        command.Bind(positions);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public async Task<IReadOnlyList<StrandedEvents>> ListStrandedAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(ListStranded);
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
    public async Task<int> RequeueAsync(string? routingKey, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(Requeue);
        command.Bind(routingKey);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public async Task<OutboxBacklog> ReadBacklogAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(Backlog);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return new OutboxBacklog(reader.GetInt64(0), reader.Get<DateTimeOffset?>(1), reader.GetInt64(2));
    }

    private static async Task<bool> TakeTurnAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(TakeTurn, connection);
        command.Bind(RelayLock);
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Deletes what is out and claims what comes after a position. Not cancelled: what is out and not deleted would be published again.</summary>
    private static async Task<List<OutboxMessage>> TurnOverAsync(NpgsqlConnection connection, long[] delivered, long? after)
    {
        if (delivered.Length > 0)
        {
            await using var delete = new NpgsqlCommand(Delete, connection);
            delete.Bind(delivered);
            await delete.ExecuteNonQueryAsync(CancellationToken.None);
        }

        return after is { } position ? await ClaimAsync(connection, position, CancellationToken.None) : [];
    }

    private static async Task<List<OutboxMessage>> ClaimAsync(NpgsqlConnection connection, long after, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(Claim, connection);
        command.Bind(after);
        command.Bind(BatchSize);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var messages = new List<OutboxMessage>();
        while (await reader.ReadAsync(cancellationToken))
        {
            messages.Add(new OutboxMessage(reader.GetInt64(0), reader.GetString(1), reader.GetFieldValue<byte[]>(2)));
        }

        return messages;
    }
}
