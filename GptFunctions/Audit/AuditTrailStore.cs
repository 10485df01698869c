using System.Data;
using GptFunctions.Data;
using Npgsql;
using NpgsqlTypes;

namespace GptFunctions.Audit;

/// <summary>A row of the audit trail.</summary>
internal sealed record AuditRow(DateTimeOffset OccurredAt, Guid Id, string Type, string? Subject, string? ClientId, string? SessionId, string? CorrelationId, string? Address, string Metadata);

internal sealed class AuditTrailStore(NpgsqlDataSource dataSource)
{
    /// <summary>How many months have partitions: the one before, the present one, and three to come.</summary>
    public const int MonthsAhead = 5;

    private const string Insert = """
        INSERT INTO gpt_oauth_events (event_id, event_type, clerk_user_id, client_id, session_id, correlation_id, ip_address, metadata, source, occurred_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb, $9, $10)
        ON CONFLICT (occurred_at, event_id) DO NOTHING
        """;

    private const string Quarantine = "INSERT INTO audit_quarantine (reason, message) VALUES ($1, $2)";

    private const string CreatePartitions = "SELECT gpt_create_event_partitions($1, $2)";

    private const string RowColumns = "occurred_at, event_id, event_type, clerk_user_id, client_id, session_id, correlation_id, ip_address, metadata::text";

    // $5: only what this snapshot sees. Rows of before V013 are seen by all.
    private const string List = $"""
        SELECT {RowColumns} FROM gpt_oauth_events
        WHERE (occurred_at, event_id) > ($1, $2) AND ($3::text IS NULL OR clerk_user_id = $3)
          AND ($5::text IS NULL OR recorded_in IS NULL OR recorded_at < now() - {Longest} OR pg_visible_in_snapshot(recorded_in, $5::pg_snapshot))
        ORDER BY occurred_at, event_id LIMIT $4
        """;

    private const string Look = "SELECT pg_current_snapshot()::text";

    // What this snapshot sees and that of $1 did not. By transactions, because they become visible in another order than they begin. Whoever
    // copies the trail from a dump brings numbers along that mean nothing here; such rows are old.
    private const string Follow = $"""
        SELECT {RowColumns} FROM gpt_oauth_events
        WHERE recorded_in >= pg_snapshot_xmin($1::pg_snapshot) AND NOT pg_visible_in_snapshot(recorded_in, $1::pg_snapshot)
          AND recorded_at >= now() - {Longest} AND ($2::text IS NULL OR clerk_user_id = $2)
        ORDER BY recorded_in, occurred_at, event_id
        """;

    // Longer than any transaction that records an event, and than anybody is halted between two looks.
    private const string Longest = "interval '1 day'";

    /// <summary>Nothing happens when the event is there already.</summary>
    public async Task InsertAsync(AuditEvent row, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(Insert);
        command.Bind(row.Id);
        command.Bind(row.Type);
        command.Bind(row.Subject);
        command.Bind(row.ClientId);
        command.Bind(row.SessionId);
        command.Bind(row.CorrelationId);
        command.Bind(row.Address);
        command.Bind(row.Metadata);
        command.Bind(row.Source);
        command.Bind(row.OccurredAt);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public async Task QuarantineAsync(string reason, ReadOnlyMemory<byte> message, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(Quarantine);
        command.Bind(reason);
        command.Bind(message.ToArray());
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Makes sure that there are partitions from the month before <paramref name="now"/> on; returns how many are new.</summary>
    public async Task<int> CreatePartitionsAsync(DateTimeOffset now, int months, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(CreatePartitions);
        command.Bind(DateOnly.FromDateTime(now.UtcDateTime).AddMonths(-1));
        command.Bind(months);
        return (int)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>What can be seen now, for <see cref="FollowAsync"/>.</summary>
    public async Task<string> LookAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(Look);
        return (string)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Rows after a position, oldest first.</summary>
    /// <param name="seen">Only rows that could be seen in this look; null for all.</param>
    public async Task<IReadOnlyList<AuditRow>> ListAsync(
        DateTimeOffset since, Guid after, string? subject, string? seen, int count, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(List);
        command.Bind(since);
        command.Bind(after);
        command.Bind(subject);
        command.Bind(count);
        command.Bind(seen);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<AuditRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(Read(reader));
        }

        return rows;
    }

    /// <summary>Tells each row that could not be seen in a look, and can be now; none is skipped, whenever it happened and however late it was committed.</summary>
    /// <returns>What can be seen now.</returns>
    public async Task<string> FollowAsync(string seen, string? subject, Action<AuditRow> tell, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellationToken); // both statements see the same
        await using var look = new NpgsqlCommand(Look, connection, transaction);
        var now = (string)(await look.ExecuteScalarAsync(cancellationToken))!;
        await using var follow = new NpgsqlCommand(Follow, connection, transaction);
        follow.Bind(seen);
        follow.Bind(subject);
        await using var reader = await follow.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            tell(Read(reader));
        }

        return now;
    }

    private static AuditRow Read(NpgsqlDataReader reader) => new(
        reader.GetFieldValue<DateTimeOffset>(0), reader.GetGuid(1), reader.GetString(2), reader.Get<string?>(3), reader.Get<string?>(4),
        reader.Get<string?>(5), reader.Get<string?>(6), reader.Get<string?>(7), reader.GetString(8));
}
