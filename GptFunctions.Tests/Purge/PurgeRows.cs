using System.Globalization;
using GptFunctions.Tests.Support;
using Npgsql;

namespace GptFunctions.Tests.Purge;

/// <summary>
/// Rows by the hundred thousand, half of them due: number n of <see cref="Count"/> ended a microsecond before the limit of its class (n = Count /
/// 2), exactly on it
/// (n = Count / 2 + 1), or whole seconds earlier or later.
/// </summary>
/// <param name="isClockRunning">The purge's clock cannot be stopped: rows are an hour apart, and the limit is half an hour away from the nearest.</param>
internal sealed class PurgeRows(TestDatabase database, DateTimeOffset now, int count, bool isClockRunning = false)
{
    public const int Families = 1000;
    public const int SessionsWithToken = 5000; // on either side of the limit
    public const int Months = 100;
    public const int Days = 200;

    public int Count { get; } = count;

    /// <summary>A microsecond is all that PostgreSQL keeps.</summary>
    public static DateTimeOffset Present { get; } = new(
        TimeProvider.System.GetUtcNow().Ticks / TimeSpan.TicksPerSecond * TimeSpan.TicksPerSecond, TimeSpan.Zero);

    public async Task AddOwnersAsync() => await ExecuteAsync("""
        INSERT INTO users (id, clerk_user_id, created_at) VALUES ('00000000-0000-7000-8000-000000000001', 'user_purge', now());
        INSERT INTO gpt_clients (client_id, name, kind, auth_methods, secret_hashes, redirect_uris, scopes, require_pkce, created_at)
        VALUES ('purge', 'Purge', 'confidential', '{client_secret_post}', '{}', '{https://client.example}', '{jobs:read}', false, now() - interval '900 days')
        """);

    public Task AddCodesAsync() => ExecuteAsync($"""
        INSERT INTO gpt_authorization_codes (code_hash, client_id, user_id, scopes, resource, created_at, expires_at, used_at, session_id)
        SELECT {Hash("code")}, 'purge', {User}, '{Scope}', 'r', ended - interval '60 seconds', ended, CASE WHEN n % 2 = 0 THEN ended END,
            CASE WHEN n % 2 = 0 THEN gen_random_uuid() END
        FROM ({Ends("30 days")}) ends
        """);

    /// <summary>
    /// Tokens of families that live on: rotated ones that expire, and one in three revoked. The newest of each family is good for another month.
    /// </summary>
    public Task AddTokensAsync() => ExecuteAsync($"""
        INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at)
        SELECT {SessionId("family")}, 'purge', {User}, '{Scope}', '{Scope}', 'r', {Sql(now)} - interval '90 days', {Sql(now)},
            {Sql(now)} + interval '90 days' FROM generate_series(0, {Families - 1}) n;
        INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at, rotated_at, rotated_to, revoked_at)
        SELECT {Hash("token")}, md5('family' || n % {Families})::uuid, n / {Families}, ended - interval '60 days',
               CASE WHEN n % 3 = 0 THEN {Sql(now)} + interval '30 days' ELSE ended END,
               CASE WHEN n % 3 > 0 THEN ended - interval '30 days' END, CASE WHEN n % 3 > 0 THEN '\x00'::bytea END, CASE WHEN n % 3 = 0 THEN ended END
        FROM ({Ends("30 days")}) ends;
        INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at)
        SELECT {Hash("newest")}, {SessionId("family")}, 1000000, {Sql(now)}, {Sql(now)} + interval '30 days' FROM generate_series(0, {Families - 1}) n
        """);

    /// <summary>
    /// Two tokens a session, the first one due. Of "abandoned" sessions the second one is due as well, of "waiting" ones it lies exactly on the
    /// limit.
    /// </summary>
    public Task AddIdleFamiliesAsync() => ExecuteAsync($"""
        INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at)
        SELECT md5(kind || n)::uuid, 'purge', {User}, '{Scope}', '{Scope}', 'r', {Sql(now)} - interval '90 days', {Sql(now)} - interval '60 days',
            {Sql(now)} + interval '90 days'
        FROM generate_series(0, {Families - 1}) n, unnest(ARRAY['abandoned', 'waiting']) kind;
        INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at, rotated_at, rotated_to)
        SELECT sha256((kind || generation || '-' || n)::bytea), md5(kind || n)::uuid, generation, {Sql(now)} - interval '80 days',
               {Sql(now)} - interval '30 days' - CASE WHEN kind = 'waiting' AND generation = 1 THEN interval '0' ELSE interval '1 microsecond' END,
               CASE WHEN generation = 0 THEN {Sql(now)} - interval '79 days' END, CASE WHEN generation = 0 THEN '\x00'::bytea END
        FROM generate_series(0, {Families - 1}) n, unnest(ARRAY['abandoned', 'waiting']) kind, generate_series(0, 1) generation
        """);

    /// <summary>Sessions that expired or were revoked, in turns; those around the limit have a token that itself is good for another month.</summary>
    public Task AddSessionsAsync() => ExecuteAsync($"""
        INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at, revoked_at, revoke_reason)
        SELECT {SessionId("session")}, 'purge', {User}, '{Scope}', '{Scope}', 'r', ended - interval '90 days', ended,
            ended + interval '1 day' * (n % 2), CASE WHEN n % 2 = 1 THEN ended END, CASE WHEN n % 2 = 1 THEN 'user' END
        FROM ({Ends("30 days")}) ends;
        INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at)
        SELECT {Hash("session")}, {SessionId("session")}, 0, {Sql(now)} - interval '1 day', {Sql(now)} + interval '30 days'
        FROM generate_series({(Count / 2) + 1 - SessionsWithToken}, {(Count / 2) + SessionsWithToken}) n
        """);

    public Task AddRequestsAsync() => ExecuteAsync($"""
        INSERT INTO gpt_authorization_requests (id, browser_hash, client_id, redirect_uri, redirect_uri_given, scopes, resource, created_at, expires_at)
        SELECT gen_random_uuid(), {Hash("browser")}, 'purge', 'https://client.example', true, '{Scope}', 'r', ended - interval '10 minutes', ended
        FROM ({Ends("0 days")}) ends
        """);

    public Task AddPageSessionsAsync() => ExecuteAsync($"""
        INSERT INTO page_sessions (token_hash, user_id, form_key, created_at, last_seen, expires_at)
        SELECT {Hash("page")}, {User}, {Hash("form")}, ended - interval '8 hours', ended - interval '7 hours', ended FROM ({Ends("0 days")}) ends
        """);

    public Task AddClientsAsync() => ExecuteAsync($$"""
        INSERT INTO gpt_clients (client_id, name, kind, auth_methods, redirect_uris, scopes, require_pkce, created_at)
        SELECT 'registered-' || n, 'Registered', 'registered', '{none}', '{https://client.example}', '{{Scope}}', true, ended FROM ({{Ends("30 days")}}) ends
        """);

    public Task AddAssertionsAsync() => ExecuteAsync($"""
        INSERT INTO gpt_client_assertions (client_id, jti_hash, use_id, expires_at)
        SELECT 'purge', {Hash("assertion")}, gen_random_uuid(), ended FROM ({Ends("0 days")}) ends
        """);

    /// <summary>By the database's clock, which cannot be stopped: an hour lies between those that are due and those that are not.</summary>
    public Task AddRateLimitsAsync() =>
        ExecuteAsync(
            $"""
            INSERT INTO rate_limits (key, tat)
            SELECT {Hash("bucket")},
                   now() + interval '1 second' * (n - {Count / 2}) + CASE WHEN n > {Count / 2} THEN interval '1 hour' ELSE interval '-1 second' END
            FROM generate_series(1, {Count}) n
            """);

    public Task AddRunsAsync() =>
        ExecuteAsync(
            $$"""
            INSERT INTO maintenance_runs (job, started_at, finished_at, outcome, counts)
            SELECT 'earlier', ended, ended, 'completed', '{}' FROM ({{Ends("400 days")}}) ends
            """);

    /// <summary>The same times for both: done events go after 30 days, failed ones after 90.</summary>
    public Task AddWebhookEventsAsync() => ExecuteAsync($"""
        INSERT INTO webhook_events (source, event_id, type, status, attempts, received_at, processed_at)
        SELECT 'clerk', 'msg_' || n, 'user.updated', (ARRAY['completed', 'ignored', 'skipped_stale'])[1 + n % 3], 1, ended, ended
        FROM ({Ends("30 days")}) ends;
        INSERT INTO webhook_events (source, event_id, type, status, attempts, received_at, processed_at, error, payload)
        SELECT 'stripe', 'evt_' || n, 'invoice.paid', 'failed', 1, ended, ended, 'error', 'payload' FROM ({Ends("90 days")}) ends
        """);

    /// <summary>And as many that are over, but wait for an operator (dead), or have not come to their end.</summary>
    public Task AddCountdownsAsync() => ExecuteAsync($"""
        INSERT INTO countdowns (id, kind, subject, due_at, next_attempt_at, created_at, status, finished_at)
        SELECT gen_random_uuid(), 'test', n || status, ended, ended, ended - interval '1 day', status, CASE WHEN status <> 'active' THEN ended END
        FROM ({Ends("30 days")}) ends, LATERAL unnest(ARRAY[CASE WHEN n % 2 = 0 THEN 'completed' ELSE 'cancelled' END,
            CASE WHEN n % 1000 = 0 THEN 'dead' END, CASE WHEN n % 1000 = 1 THEN 'active' END]) status
        WHERE status IS NOT NULL
        """);

    /// <summary>Orders that ended, each with a callback that did.</summary>
    public Task AddOrdersAsync() => ExecuteAsync($"""
        INSERT INTO verification_sessions (order_id, customer_email, order_total, status, deadline, created_at, decided_at)
        SELECT 'order-' || n, 'customer@example.com', 1, 'verified', ended, ended - interval '1 day', ended FROM ({Ends("30 days")}) ends;
        INSERT INTO verification_callbacks (id, type, order_id, status, next_attempt_at, created_at, finished_at)
        SELECT gen_random_uuid(), 'verification.reminder', 'order-' || n, CASE WHEN n % 2 = 0 THEN 'sent' ELSE 'skipped' END, ended, ended, ended
        FROM ({Ends("30 days")}) ends
        """);

    /// <summary>Units, and counters of a hundred months.</summary>
    public Task AddUsageAsync() => ExecuteAsync($"""
        INSERT INTO usage_units (id, user_id, quota, month, taken_at)
        SELECT gen_random_uuid(), gen_random_uuid(), 'applications', date_trunc('month', ended), ended FROM ({Ends("1 day")}) ends;
        INSERT INTO usage_counters (month, user_id, quota, used)
        SELECT date_trunc('month', {Sql(now)} AT TIME ZONE 'UTC') - n % {Months} * interval '1 month', gen_random_uuid(), 'applications', 1
        FROM generate_series(1, {Count}) n
        """);

    /// <summary>What is counted for operators' pages, and who ran.</summary>
    public Task AddStatisticsAsync() => ExecuteAsync($$"""
        INSERT INTO refusals (hour, endpoint, reason, client_id, count)
        SELECT ended, '/oauth/token', 'refresh_expired', 'purge', 1 FROM ({{Ends("30 days")}}) ends;
        INSERT INTO refused_requests (id, at, method, endpoint, status, reason, correlation_id, sent)
        SELECT gen_random_uuid(), ended, 'POST', '/oauth/token', 400, 'refresh_expired', 'id', '{}' FROM ({{Ends("30 days")}}) ends;
        INSERT INTO hourly_counts (hour, kind, outcome, count) SELECT ended, 'refresh', 'granted', 1 FROM ({{Ends("30 days")}}) ends;
        INSERT INTO sign_ins (id, at, client_id, redirect_uri)
        SELECT gen_random_uuid(), ended, 'purge', 'https://client.example' FROM ({{Ends("30 days")}}) ends;
        INSERT INTO replicas (instance, name, role, version, safe_mode, started_at, seen_at, batch)
        SELECT gen_random_uuid(), 'pod', 'http', '1', false, ended, ended, 1 FROM ({{Ends("1 day")}}) ends;
        INSERT INTO client_usage (client_id, user_id, day, calls, last_call_at)
        SELECT 'purge', gen_random_uuid(), ({{Sql(now)}} AT TIME ZONE 'UTC')::date - n % {{Days}}, 1, {{Sql(now)}} FROM generate_series(1, {{Count}}) n
        """);

    public async Task AddAuditEventsAsync(int years) => await ExecuteAsync($$"""
        INSERT INTO gpt_oauth_events (event_id, event_type, metadata, source, occurred_at)
        SELECT gen_random_uuid(), 'gpt.oauth.authorize', '{}', 'gpt-functions', now() - n * interval '1 day' FROM generate_series(1, {{years * 365}}) n
        """);

    /// <summary>Without looking up each row's parents, and for longer than an app's statement may take.</summary>
    public async Task ExecuteAsync(string sql)
    {
        await using var connection = await database.Source.OpenConnectionAsync();
        await using var command = new NpgsqlCommand(
            $"SET session_replication_role = replica; {sql}; RESET session_replication_role", connection)
        {
            CommandTimeout = 120,
        };
        await command.ExecuteNonQueryAsync();
    }

    public static string Sql(DateTimeOffset time) => string.Create(CultureInfo.InvariantCulture, $"timestamptz '{time.UtcDateTime:O}'");

    private const string User = "uuid '00000000-0000-7000-8000-000000000001'";
    private const string Scope = "{jobs:read}";

    private string Ends(string age) => isClockRunning ? $"""
        SELECT n, {Sql(now)} - interval '{age}' + interval '30 minutes' + (n - {Count / 2 + 1}) * interval '1 hour' AS ended FROM generate_series(1, {Count}) n
        """ : $"""
        SELECT n, {Sql(now)} - interval '{age}' + (n - {Count / 2 + 1}) * interval '1 second'
               + CASE WHEN n <= {Count / 2} THEN interval '999999 microseconds' ELSE interval '0' END AS ended
        FROM generate_series(1, {Count}) n
        """;

    private static string Hash(string kind) => $"sha256(('{kind}' || n)::bytea)";

    private static string SessionId(string kind) => $"md5('{kind}' || n)::uuid";
}
