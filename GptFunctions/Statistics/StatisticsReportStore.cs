using GptFunctions.Data;

namespace GptFunctions.Statistics;

/// <summary>A refusal of <c>refused_requests</c>.</summary>
/// <param name="Sent">A JSON object, see <see cref="Hosting.SentParameters"/>.</param>
internal sealed record RefusedEntry(
    Guid Id, DateTimeOffset At, string Endpoint, int Status, string Reason, string CorrelationId, string? UserAgent, string Sent);

/// <summary>A count of one hour; of refusals the outcome is the reason.</summary>
internal sealed record HourCount(DateTimeOffset Hour, string Kind, string Outcome, long Count);

/// <param name="From">The first hour, of 48.</param>
internal sealed record HourlyReport(DateTimeOffset From, IReadOnlyList<HourCount> Counts)
{
    public const int HoursShown = 48;
    public const string Refusal = "refusal";
}

/// <param name="IsAlive">Seen within two minutes.</param>
internal sealed record SeenReplica(string Name, string Role, string Version, bool IsSafeMode, DateTimeOffset StartedAt, DateTimeOffset SeenAt, bool IsAlive);

/// <summary>Reads what <see cref="StatisticsStore"/> writes.</summary>
internal sealed class StatisticsReportStore(Database database)
{
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(2);

    private static readonly Sql Usage = new("""
        SELECT client_id, sum(calls)::bigint, max(last_call_at)
        FROM client_usage
        WHERE user_id = @user_id AND day > @after
        GROUP BY client_id
        ORDER BY client_id
        """);

    // The newest day of each by the index of clients and days; a client has as many rows that day as it has people.
    private static readonly Sql LastUse = new("""
        SELECT client.id, last.at
        FROM unnest(@clients) AS client (id), LATERAL (
            SELECT max(last_call_at) AS at
            FROM client_usage
            WHERE client_id = client.id AND day = (SELECT max(day) FROM client_usage newest WHERE newest.client_id = client.id)) last
        WHERE last.at IS NOT NULL
        """);

    private static readonly Sql Refusals = new("""
        SELECT endpoint, reason, sum(count)::bigint, max(hour)
        FROM refusals
        WHERE client_id = @client_id AND hour >= @from
        GROUP BY endpoint, reason
        ORDER BY 3 DESC, 1, 2
        """);

    private static readonly Sql CountRefusals = new("""
        SELECT client_id, sum(count)::bigint
        FROM refusals
        WHERE client_id = ANY (@clients) AND hour >= @from
        GROUP BY client_id
        """);

    private static readonly Sql Newest = new("""
        SELECT id, at, endpoint, status, reason, correlation_id, user_agent, sent::text
        FROM refused_requests
        WHERE client_id = @client_id
        ORDER BY at DESC
        LIMIT @limit
        """);

    private static readonly Sql Hours = new($"""
        SELECT hour, kind, outcome, count
        FROM hourly_counts
        WHERE hour >= @from
        UNION ALL
        SELECT hour, '{HourlyReport.Refusal}', reason, sum(count)::bigint
        FROM refusals
        WHERE hour >= @from
        GROUP BY hour, reason
        """);

    private static readonly Sql Replicas = new("""
        SELECT name, role, version, safe_mode, started_at, seen_at, seen_at > @now - @silence::interval AS is_alive
        FROM replicas
        ORDER BY is_alive DESC, role, started_at DESC
        LIMIT 200
        """);

    public Task<List<UsageOfClient>> ReadUsageAsync(Guid userId, DateOnly after) => database.LookUp(Usage).Bind("user_id", userId).Bind("after", after)
        .AllAsync(static row => new UsageOfClient(row.GetString(0), row.GetInt64(1), row.GetFieldValue<DateTimeOffset>(2)));

    public async Task<Dictionary<string, DateTimeOffset>> ReadLastUseAsync(string[] clientIds) =>
        (await database.LookUp(LastUse).Bind("clients", clientIds).AllAsync(static row => (row.GetString(0), row.GetFieldValue<DateTimeOffset>(1))))
        .ToDictionary(StringComparer.Ordinal);

    public Task<List<RefusalsOfReason>> ReadRefusalsAsync(string clientId, DateTimeOffset from) =>
        database.LookUp(Refusals).Bind("client_id", clientId).Bind("from", from).AllAsync(static row =>
            new RefusalsOfReason(row.GetString(0), row.GetString(1), row.GetInt64(2), row.GetFieldValue<DateTimeOffset>(3)));

    public async Task<Dictionary<string, long>> CountRefusalsAsync(string[] clientIds, DateTimeOffset from) =>
        (await database.LookUp(CountRefusals).Bind("clients", clientIds).Bind("from", from)
            .AllAsync(static row => (row.GetString(0), row.GetInt64(1)))).ToDictionary(StringComparer.Ordinal);

    public Task<List<RefusedEntry>> ReadNewestAsync(string clientId, int limit) =>
        database.LookUp(Newest).Bind("client_id", clientId).Bind("limit", limit).AllAsync(static row => new RefusedEntry(
            row.GetGuid(0), row.GetFieldValue<DateTimeOffset>(1), row.GetString(2), row.GetInt32(3), row.GetString(4), row.GetString(5),
            row.Get<string?>(6), row.GetString(7)));

    public Task<List<HourCount>> ReadHoursAsync(DateTimeOffset from) => database.LookUp(Hours).Bind("from", from).AllAsync(static row =>
        new HourCount(row.GetFieldValue<DateTimeOffset>(0), row.GetString(1), row.GetString(2), row.GetInt64(3)));

    public Task<List<SeenReplica>> ReadReplicasAsync(DateTimeOffset now) =>
        database.LookUp(Replicas).Bind("now", now).Bind("silence", Silence).AllAsync(static row => new SeenReplica(
            row.GetString(0), row.GetString(1), row.GetString(2), row.GetBoolean(3), row.GetFieldValue<DateTimeOffset>(4),
            row.GetFieldValue<DateTimeOffset>(5), row.GetBoolean(6)));
}
