using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Audit;

/// <summary>A message that is no event, as operators see it.</summary>
/// <param name="Bytes">How long it is; <paramref name="Message"/> may be its beginning only.</param>
internal sealed record QuarantinedMessage(long Id, DateTimeOffset ReceivedAt, string Reason, byte[] Message, int Bytes);

/// <summary>Messages that were no events when they came, until an operator decides about them.</summary>
internal sealed class QuarantineStore(Database database, OutboxSignal outbox)
{
    /// <summary>Of a message that is listed.</summary>
    public const int MostShown = 4000;

    private static readonly Sql List = new("""
        SELECT id, received_at, reason, substring(message FOR @most), length(message)
        FROM audit_quarantine
        WHERE id < @before
        ORDER BY id DESC
        LIMIT @count
        """);

    private static readonly Sql Count = new("SELECT count(*) FROM (SELECT FROM audit_quarantine LIMIT @most) counted");

    private static readonly Sql Take = new("DELETE FROM audit_quarantine WHERE id = @id RETURNING message");

    private static readonly Sql TellReturned = new(OperatorAct.Tell(
        MessageService.Returned, "(VALUES (1))",
        "'from', 'quarantine', 'message_id', @id::bigint, 'count', 1, 'event_id', @event_id::uuid, 'event_type', @type::text"));

    // What is thrown away is known by its digest for good.
    private static readonly Sql Discard = new($"""
        WITH discarded AS (
            DELETE FROM audit_quarantine
            WHERE id = @id
            RETURNING id, received_at, reason, message
        ), event AS (
            {OperatorAct.Tell(MessageService.Discarded, "discarded",
                "'from', 'quarantine', 'message_id', id, 'kept_because', reason, 'received_at', received_at, "
                    + "'bytes', length(message), 'sha256', encode(sha256(message), 'hex')")}
        )
        SELECT count(*) > 0 FROM discarded
        """);

    /// <summary>The newest messages before an id.</summary>
    public Task<List<QuarantinedMessage>> ListAsync(long before, int count) =>
        database.Report(List).Bind("before", before).Bind("count", count).Bind("most", MostShown).AllAsync(reader => new QuarantinedMessage(
            reader.GetInt64(0), reader.GetFieldValue<DateTimeOffset>(1), reader.GetString(2), reader.GetFieldValue<byte[]>(3), reader.GetInt32(4)));

    /// <summary>How many there are, up to <paramref name="most"/>.</summary>
    public Task<long> CountAsync(int most) => database.Report(Count).Bind("most", most).FirstAsync(reader => reader.GetInt64(0));

    /// <summary>Takes a message into the trail after all, and out of the quarantine, in one transaction.</summary>
    /// <returns>Null when done, else why not: then it stays.</returns>
    public async Task<string?> ReturnAsync(long id, OperatorAct act, Occasion occasion)
    {
        var problem = await database.RunAsync(Database.ChangeLimit, async (connection, cancellationToken) =>
        {
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken); // rolled back unless committed
            await using var take = new Statement(Take).Bind("id", id).On(connection);
            if (await take.ExecuteScalarAsync(cancellationToken) is not byte[] message)
            {
                return $"There is no message {id} in the quarantine.";
            }

            if (AuditEvent.Parse(message, out var reason) is not { } row)
            {
                return $"Message {id} is no event: {reason}.";
            }

            try
            {
                await using var batch = new NpgsqlBatch(connection);
                batch.Add(AuditTrailStore.ToInsert(row));
                batch.Add(new Statement(TellReturned).Bind("id", id).Bind("event_id", row.Id).Bind("type", row.Type).Bind(act).Bind(occasion));
                await batch.ExecuteNonQueryAsync(cancellationToken);
            }
            catch (PostgresException error) when (AuditTrail.IsOfTheEvent(error))
            {
                return $"PostgreSQL cannot store message {id}: {error.MessageText}.";
            }

            await transaction.CommitAsync(cancellationToken);
            return null;
        });
        outbox.Raise();
        return problem;
    }

    /// <summary>Deletes a message for good; false when there is none.</summary>
    public async Task<bool> DiscardAsync(long id, OperatorAct act, Occasion occasion)
    {
        var isDone = await database.Change(Discard).Bind("id", id).Bind(act).Bind(occasion).FirstAsync(reader => reader.GetBoolean(0));
        outbox.Raise();
        return isDone;
    }
}
