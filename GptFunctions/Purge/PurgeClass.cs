using GptFunctions.Data;

namespace GptFunctions.Purge;

/// <summary>
/// One kind of row that is purged. The statements take @now and @cutoff (now less the retention), Delete also @limit and @position (where the
/// batch before ended).
/// </summary>
/// <param name="Name">In the log and in <c>maintenance_runs</c>, with <c>_deleted</c> behind it.</param>
/// <param name="Delete">
/// Deletes one batch; yields how many rows, the position of the last one, how many sessions went with them, and whether others are at work.
/// </param>
/// <param name="Count">How many rows a purge would delete.</param>
/// <param name="Start">The position before the first row.</param>
internal sealed record PurgeClass(string Name, Sql Delete, Sql Count, object Start)
{
    public const string Sessions = "expired_sessions";

    /// <summary>How many rows a purge has left behind; as <see cref="Count"/>, unless rows become due while it runs.</summary>
    public Sql CountLeft { get; init; } = Count;

    // Of tokens and sessions, as in the indexes of V006. A token that has expired is refused before anybody looks whether it was
    // rotated, so it can be no replay.
    private const string Ended = "least(expires_at, revoked_at)";

    private const string HasTokens = $"EXISTS (SELECT FROM gpt_refresh_tokens token WHERE token.session_id = gpt_sessions.id AND {Ended} >= @cutoff)";

    // A session whose last token is gone can do nothing any more. Only a token that was never rotated can have been the last one. Locked
    // sessions are skipped, not waited for (everybody else locks a session before its tokens); they go when they expire.
    private const string Orphans = $"""
        DELETE FROM gpt_sessions WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM gpt_sessions WHERE id = ANY (ARRAY(SELECT last_of FROM gone WHERE last_of IS NOT NULL)) AND NOT {HasTokens}
            FOR UPDATE SKIP LOCKED))
        RETURNING 1
        """;

    private static readonly Sql CountSessions = new($"""
        SELECT count(*) FROM (
            SELECT id FROM gpt_sessions WHERE {Ended} < @cutoff
            UNION
            SELECT id FROM gpt_sessions
            WHERE id IN (SELECT session_id FROM gpt_refresh_tokens WHERE {Ended} < @cutoff AND rotated_at IS NULL) AND NOT {HasTokens}) sessions
        """);

    // Not while somebody is signing in with it for the first time.
    private const string IsUnusedClient = """
        created_at < @now - interval '30 days' AND kind IN ('registered', 'metadata_document') AND last_used_at IS NULL
        AND NOT EXISTS (SELECT FROM gpt_authorization_requests request WHERE request.client_id = gpt_clients.client_id AND request.expires_at > @now)
        AND NOT EXISTS (SELECT FROM gpt_authorization_codes code WHERE code.client_id = gpt_clients.client_id AND code.expires_at > @now)
        """;

    private const string EmailIsOld = "customer_email IS NOT NULL AND decided_at < @now - interval '30 days'";

    private const string UsageIsOld = "day < (@now AT TIME ZONE 'UTC')::date - 90";

    private const string CounterIsOld = "month < date_trunc('month', @now AT TIME ZONE 'UTC') - interval '13 months'";

    /// <summary>Everything that is purged, in this order. Audit events (gpt_oauth_events) are not, ever.</summary>
    public static IReadOnlyList<PurgeClass> All { get; } =
    [
        Of("expired_auth_codes", "gpt_authorization_codes", "expires_at < @cutoff", orderedBy: "expires_at"),
        new("revoked_tokens",
            Statement("gpt_refresh_tokens", $"{Ended} < @cutoff", Ended, more: ", CASE WHEN rotated_at IS NULL THEN session_id END AS last_of", Orphans),
            Counting("gpt_refresh_tokens", $"{Ended} < @cutoff"), DateTimeOffset.MinValue),
        Of(Sessions, "gpt_sessions", $"{Ended} < @cutoff", Ended) with { Count = CountSessions, CountLeft = CountSessions },
        // Nothing is left that they could be needed for.
        Of("authorization_requests", "gpt_authorization_requests", "expires_at < @now", orderedBy: "expires_at"),
        Of("page_sessions", "page_sessions", "expires_at < @now", orderedBy: "expires_at"),
        Of("webhook_events", "webhook_events", "processed_at < @cutoff AND status <> 'failed'", orderedBy: "processed_at"),
        Of("failed_webhook_events", "webhook_events", "processed_at < @now - interval '90 days' AND status = 'failed'", orderedBy: "processed_at"),
        Of("finished_countdowns", "countdowns", "finished_at < @now - interval '30 days' AND status IN ('completed', 'cancelled')", orderedBy: "finished_at"),
        Of("finished_callbacks", "verification_callbacks", "finished_at < @now - interval '30 days' AND status IN ('sent', 'skipped')",
            orderedBy: "finished_at"),
        // The order stays, whom to write to does not.
        new("customer_emails",
            Statement("verification_sessions", EmailIsOld, "decided_at", change: "UPDATE verification_sessions SET customer_email = NULL"),
            Counting("verification_sessions", EmailIsOld), DateTimeOffset.MinValue),
        new("usage_counters",
            Statement("usage_counters", CounterIsOld, "month"), Counting("usage_counters", CounterIsOld), DateOnly.MinValue),
        // Nobody gives anything back a day later.
        Of("usage_units", "usage_units", "taken_at < @now - interval '1 day'", orderedBy: "taken_at"),
        Of("refusals", "refusals", "hour < @cutoff", orderedBy: "hour"),
        Of("refused_requests", "refused_requests", "at < @cutoff", orderedBy: "at"),
        Of("hourly_counts", "hourly_counts", "hour < @cutoff", orderedBy: "hour"),
        Of("sign_ins", "sign_ins", "at < @cutoff", orderedBy: "at"),
        new("client_usage", Statement("client_usage", UsageIsOld, "day"), Counting("client_usage", UsageIsOld), DateOnly.MinValue),
        // Of processes that were killed; the others have taken theirs along.
        Of("gone_replicas", "replicas", "seen_at < @now - interval '1 day'", orderedBy: "seen_at"),
        Of("used_assertions", "gpt_client_assertions", "expires_at < @now", orderedBy: "expires_at"),
        Of("unused_clients", "gpt_clients", IsUnusedClient, orderedBy: "created_at"),
        new("idle_rate_limits", // by the clock that wrote them; in the order of their key, because an index on tat would slow down every try
            Statement("rate_limits", "tat < now()", orderedBy: "key", last: "decode(max(encode(position, 'hex')), 'hex')"),
            Counting("rate_limits", "tat < now()"), Array.Empty<byte>())
        {
            CountLeft = Counting("rate_limits", "tat < now() - interval '10 minutes'"), // longer than a run
        },
        Of("maintenance_runs", "maintenance_runs", "started_at < @now - interval '400 days'", orderedBy: "started_at"),
    ];

    private static PurgeClass Of(string name, string table, string condition, string orderedBy) =>
        new(name, Statement(table, condition, orderedBy), Counting(table, condition), DateTimeOffset.MinValue);

    private static Sql Counting(string table, string condition) => new($"SELECT count(*) FROM {table} WHERE {condition}");

    // By ctid: three times as fast as by primary key. From where the last batch ended: else each one would step over the dead index
    // entries of all before it, which stay as long as any transaction is older than they are. The commit need not wait for the disk: if a
    // crash brings the rows of a batch back, the next run deletes them again.
    // Whether somebody else is at work right now: then the next batch can wait. What cleans up behind a batch is nobody.
    private const string IsBusy = """
        EXISTS (
            SELECT FROM pg_stat_activity
            WHERE state = 'active' AND backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid())
        """;

    private static Sql Statement(
        string table, string condition, string orderedBy,
        string more = "", string alsoSessions = "SELECT FROM gone LIMIT 0", string last = "max(position)", string? change = null) => new($"""
        WITH gone AS (
            {change ?? $"DELETE FROM {table}"}
            WHERE ctid = ANY (ARRAY(
                SELECT ctid
                FROM {table}
                WHERE {condition} AND {orderedBy} >= @position
                ORDER BY {orderedBy}
                LIMIT @limit
                FOR UPDATE SKIP LOCKED))
            RETURNING {orderedBy} AS position{more}
        ), sessions AS (
            {alsoSessions}
        )
        SELECT count(*), {last}, (SELECT count(*) FROM sessions), {IsBusy}, set_config('synchronous_commit', 'off', true)
        FROM gone
        """);
}
