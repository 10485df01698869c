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

    private const string List = """
        SELECT occurred_at, event_id, event_type, clerk_user_id, client_id, session_id, correlation_id, ip_address, metadata::text FROM gpt_oauth_events
        WHERE (occurred_at, event_id) > ($1, $2) AND ($3::text IS NULL OR clerk_user_id = $3)
        ORDER BY occurred_at, event_id LIMIT $4
        """;

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

    /// <summary>Rows after a position, oldest first.</summary>
    public async Task<IReadOnlyList<AuditRow>> ListAsync(DateTimeOffset since, Guid after, string? subject, int count, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(List);
        command.Bind(since);
        command.Bind(after);
        command.Bind(subject);
        command.Bind(count);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<AuditRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(new AuditRow(
                reader.GetFieldValue<DateTimeOffset>(0), reader.GetGuid(1), reader.GetString(2), reader.Get<string?>(3), reader.Get<string?>(4), reader.Get<string?>(5), reader.Get<string?>(6), reader.Get<string?>(7), reader.GetString(8)));
        }

        return rows;
    }
}
