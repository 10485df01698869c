using GptFunctions.Data;
using Npgsql;

namespace GptFunctions.Audit;

/// <summary>An event on its way.</summary>
/// <param name="Position">Its place in the order in which events were written.</param>
/// <param name="Envelope">JSON in UTF-8.</param>
internal readonly record struct OutboxMessage(long Position, string RoutingKey, byte[] Envelope);

/// <param name="Waiting">Rows in the outbox.</param>
/// <param name="Oldest">When the oldest of them occurred; null when there are none.</param>
internal sealed record OutboxBacklog(long Waiting, DateTimeOffset? Oldest);

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

    private const string Backlog = "SELECT count(*), min(occurred_at) FROM outbox_messages";

    /// <summary>
    /// Hands messages over in their order, up to 500 at a time, and deletes those whose positions come back; in one transaction, so that
    /// all are there again if this process dies in between. Ends early when nothing of a batch was delivered.
    /// </summary>
    /// <returns>How many were delivered, how many were not, and whether more may wait.</returns>
    public async Task<(int Delivered, int Kept, bool HasMore)> MoveAsync(Func<IReadOnlyList<OutboxMessage>, Task<long[]>> deliver, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var batch = await TakeTurnAsync(connection, cancellationToken) ? await ClaimAsync(connection, 0, cancellationToken) : [];
        long[] delivered = [];
        var (total, kept, hasMore) = (0, 0, false);
        for (var number = 1; batch.Count > 0; number++)
        {
            hasMore = batch.Count == BatchSize;
            var goesOn = hasMore && number < MostBatches && !cancellationToken.IsCancellationRequested;
            var delivering = deliver(batch);
            List<OutboxMessage> next;
            try
            {
                next = await TurnOverAsync(connection, delivered, goesOn ? batch[^1].Position : null); // while the broker works
            }
            finally
            {
                delivered = await delivering;
            }

            total += delivered.Length;
            kept += batch.Count - delivered.Length;
            batch = delivered.Length > 0 ? next : [];
        }

        await TurnOverAsync(connection, delivered, null);
        await transaction.CommitAsync(CancellationToken.None);
        return (total, kept, hasMore && delivered.Length > 0);
    }

    public async Task<OutboxBacklog> ReadBacklogAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(Backlog);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return new OutboxBacklog(reader.GetInt64(0), reader.Get<DateTimeOffset?>(1));
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
