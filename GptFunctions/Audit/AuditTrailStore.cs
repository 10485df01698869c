using System.Data;
using GptFunctions.Data;
using Npgsql;
using NpgsqlTypes;

namespace GptFunctions.Audit;

/// <summary>A row of the audit trail.</summary>
internal sealed record AuditRow
{
    public required DateTimeOffset OccurredAt { get; init; }

    public required Guid Id { get; init; }

    public required string Type { get; init; }

    public required string? Subject { get; init; }

    public required string? ClientId { get; init; }

    public required string? SessionId { get; init; }

    public required string? CorrelationId { get; init; }

    public required string? Address { get; init; }

    /// <summary>A JSON object: the payload, but what has columns of its own.</summary>
    public required string Metadata { get; init; }
}

internal sealed class AuditTrailStore(NpgsqlDataSource dataSource)
{
    /// <summary>How many months have partitions: the one before, the present one, and three to come.</summary>
    public const int MonthsAhead = 5;

    private static readonly Sql Insert = new("""
        INSERT INTO gpt_oauth_events (event_id, event_type, clerk_user_id, client_id, session_id, correlation_id, ip_address, metadata, source, occurred_at)
        VALUES (@event_id, @event_type, @subject, @client_id, @session_id, @correlation_id, @address, @metadata::text::jsonb, @source, @occurred_at)
        ON CONFLICT (occurred_at, event_id) DO NOTHING
        """);

    private static readonly Sql Quarantine = new("INSERT INTO audit_quarantine (reason, message) VALUES (@reason, @message)");

    private static readonly Sql CreatePartitions = new("SELECT gpt_create_event_partitions(@first_month, @months)");

    public const string RowColumns = "occurred_at, event_id, event_type, clerk_user_id, client_id, session_id, correlation_id, ip_address, metadata::text";

    // @seen: only what this snapshot sees. Rows of before V013 are seen by all.
    private static readonly FilteredSql List = new(
        $$"""
        SELECT {{RowColumns}}
        FROM gpt_oauth_events
        WHERE (occurred_at, event_id) > (@after, @after_id) {filters}
          AND (@seen::text IS NULL OR recorded_in IS NULL OR recorded_at < now() - {{Longest}} OR pg_visible_in_snapshot(recorded_in, @seen::pg_snapshot))
        ORDER BY occurred_at, event_id
        LIMIT @count
        """, AuditSearchStore.Conditions);

    private static readonly Sql Look = new("SELECT pg_current_snapshot()::text");

    // What this snapshot sees and that of @seen did not. By transactions, because they become visible in another order than they begin. Whoever
    // copies the trail from a dump brings numbers along that mean nothing here; such rows are old.
    private static readonly FilteredSql Follow = new(
        $$"""
        SELECT {{RowColumns}}
        FROM gpt_oauth_events
        WHERE recorded_in >= pg_snapshot_xmin(@seen::pg_snapshot) AND NOT pg_visible_in_snapshot(recorded_in, @seen::pg_snapshot)
          AND recorded_at >= now() - {{Longest}} {filters}
        ORDER BY recorded_in, occurred_at, event_id
        """, AuditSearchStore.Conditions);

    // Longer than any transaction that records an event, and than anybody is halted between two looks.
    private const string Longest = "interval '1 day'";

    /// <summary>Nothing happens when the event is there already.</summary>
    /// <returns>False for an event that is there already.</returns>
    public async Task<bool> InsertAsync(AuditEvent row, CancellationToken cancellationToken)
    {
        await using var command = ToInsert(row).On(dataSource);
        return await command.ExecuteNonQueryAsync(cancellationToken) > 0;
    }

    /// <summary>The same for a transaction of the caller's own.</summary>
    public static Statement ToInsert(AuditEvent row) => new Statement(Insert)
        .Bind("event_id", row.Id).Bind("event_type", row.Type).Bind("subject", row.Subject).Bind("client_id", row.ClientId)
        .Bind("session_id", row.SessionId).Bind("correlation_id", row.CorrelationId).Bind("address", row.Address).Bind("metadata", row.Metadata)
        .Bind("source", row.Source).Bind("occurred_at", row.OccurredAt);

    public async Task QuarantineAsync(string reason, ReadOnlyMemory<byte> message, CancellationToken cancellationToken)
    {
        await using var command = new Statement(Quarantine).Bind("reason", reason).Bind("message", message.ToArray()).On(dataSource);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Makes sure that there are partitions from the month before <paramref name="now"/> on; returns how many are new.</summary>
    public async Task<int> CreatePartitionsAsync(DateTimeOffset now, int months, CancellationToken cancellationToken)
    {
        await using var command = new Statement(CreatePartitions)
            .Bind("first_month", DateOnly.FromDateTime(now.UtcDateTime).AddMonths(-1)).Bind("months", months).On(dataSource);
        return (int)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>What can be seen now, for <see cref="FollowAsync"/>.</summary>
    public async Task<string> LookAsync(CancellationToken cancellationToken)
    {
        await using var command = new Statement(Look).On(dataSource);
        return (string)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Rows after a place, oldest first.</summary>
    /// <param name="seen">Only rows that could be seen in this look; null for all.</param>
    public async Task<IReadOnlyList<AuditRow>> ListAsync(
        AuditFilter filter, AuditPlace after, string? seen, int count, CancellationToken cancellationToken)
    {
        await using var command = AuditSearchStore.Bind(new Statement(List.With(AuditSearchStore.Given(filter))), filter)
            .Bind("after", after.OccurredAt).Bind("after_id", after.Id).Bind("count", count).Bind("seen", seen).On(dataSource);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<AuditRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(Read(reader));
        }

        return rows;
    }

    /// <summary>
    /// Tells each row that could not be seen in a look, and can be now; none is skipped, whenever it happened and however late it was committed.
    /// </summary>
    /// <returns>What can be seen now.</returns>
    public async Task<string> FollowAsync(string seen, AuditFilter filter, Action<AuditRow> tell, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellationToken); // both statements see the same
        await using var look = new Statement(Look).On(connection);
        var now = (string)(await look.ExecuteScalarAsync(cancellationToken))!;
        await using var follow = AuditSearchStore.Bind(new Statement(Follow.With(AuditSearchStore.Given(filter))), filter)
            .Bind("seen", seen).On(connection);
        await using var reader = await follow.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            tell(Read(reader));
        }

        return now;
    }

    public static AuditRow Read(NpgsqlDataReader reader) => new()
    {
        OccurredAt = reader.GetFieldValue<DateTimeOffset>(0),
        Id = reader.GetGuid(1),
        Type = reader.GetString(2),
        Subject = reader.Get<string?>(3),
        ClientId = reader.Get<string?>(4),
        SessionId = reader.Get<string?>(5),
        CorrelationId = reader.Get<string?>(6),
        Address = reader.Get<string?>(7),
        Metadata = reader.GetString(8),
    };
}
