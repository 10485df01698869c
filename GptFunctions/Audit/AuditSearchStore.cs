using GptFunctions.Data;

namespace GptFunctions.Audit;

/// <summary>Looks things up in the audit trail. Each choice of filters is a statement of its own, for which V027 has an index.</summary>
internal sealed class AuditSearchStore(Database database)
{
    /// <summary>Those of <see cref="AuditFilter"/>, in the order of <see cref="Given"/>.</summary>
    public static readonly string[] Conditions =
    [
        "clerk_user_id = @subject", "client_id = @client_id", "session_id = @session_id", "event_type = @type", "event_type LIKE 'gpt.operator.%'",
        "correlation_id = @correlation_id", "occurred_at >= @since", "occurred_at < @until",
    ];

    private static readonly FilteredSql Newest = new(
        $$"""
        SELECT {{AuditTrailStore.RowColumns}}
        FROM gpt_oauth_events
        WHERE (occurred_at, event_id) < (@before, @before_id) {filters}
        ORDER BY occurred_at DESC, event_id DESC
        LIMIT @count
        """, Conditions);

    private static readonly FilteredSql Oldest = new(
        $$"""
        SELECT {{AuditTrailStore.RowColumns}}
        FROM gpt_oauth_events
        WHERE (occurred_at, event_id) > (@after, @after_id) {filters}
        ORDER BY occurred_at, event_id
        LIMIT @count
        """, Conditions);

    public static bool[] Given(AuditFilter filter) =>
    [
        filter.Subject is not null, filter.ClientId is not null, filter.SessionId is not null, filter.Type is not (null or AuditFilter.OfOperators),
        filter.Type is AuditFilter.OfOperators, filter.CorrelationId is not null, filter.Since is not null, filter.Until is not null,
    ];

    public static TStatement Bind<TStatement>(TStatement statement, AuditFilter filter)
        where TStatement : Statement => statement
        .BindIfUsed("subject", filter.Subject).BindIfUsed("client_id", filter.ClientId).BindIfUsed("session_id", filter.SessionId)
        .BindIfUsed("type", filter.Type).BindIfUsed("correlation_id", filter.CorrelationId)
        .BindIfUsed("since", filter.Since ?? default).BindIfUsed("until", filter.Until ?? default);

    /// <summary>Rows before a place, newest first.</summary>
    public async Task<IReadOnlyList<AuditRow>> NewestAsync(AuditFilter filter, AuditPlace? before, int count)
    {
        var statement = Bind(database.Report(Newest.With(Given(filter))), filter)
            .Bind("before", before?.OccurredAt ?? DateTimeOffset.MaxValue).Bind("before_id", before?.Id ?? Guid.AllBitsSet).Bind("count", count);
        return await statement.AllAsync(AuditTrailStore.Read);
    }

    /// <summary>Rows after a place, oldest first.</summary>
    public async Task<IReadOnlyList<AuditRow>> OldestAsync(AuditFilter filter, AuditPlace after, int count)
    {
        var statement = Bind(database.Report(Oldest.With(Given(filter))), filter)
            .Bind("after", after.OccurredAt).Bind("after_id", after.Id).Bind("count", count);
        return await statement.AllAsync(AuditTrailStore.Read);
    }
}
