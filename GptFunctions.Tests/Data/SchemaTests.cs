using GptFunctions.Tests.Support;
using Npgsql;

namespace GptFunctions.Tests.Data;

/// <summary>data.md 4: the tables themselves refuse what must never be, whatever the code does.</summary>
public sealed class SchemaTests(SchemaFixture fixture) : IClassFixture<SchemaFixture>
{
    private const string Hash = "sha256(gen_random_uuid()::text::bytea)";
    private const string User = "'00000000-0000-0000-0000-000000000001'";
    private const string Session = "'00000000-0000-0000-0000-000000000002'";

    /// <summary>References that need no index: what they point to is deleted in the test named, or never.</summary>
    private static readonly Dictionary<string, string> UnindexedForeignKeys = new(StringComparer.Ordinal)
    {
        ["gpt_authorization_codes.user_id"] = "partial index on unused codes; users are tombstones, not deleted",
        ["gpt_sessions.user_id"] = "partial index on live sessions; users are tombstones, not deleted",
        ["gpt_authorization_requests.user_id"] = "partial index on requests that have one",
    };

    [Theory]
    [InlineData("UPDATE gpt_refresh_tokens SET generation = 0 WHERE generation = 1", "23505")] // two tokens of one generation
    [InlineData(
        $"INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at) VALUES ({Hash}, {Session}, 0, now(), now() + interval "
            + "'1 day')",
        "23505")]
    [InlineData("UPDATE gpt_refresh_tokens SET generation = -1", "23514")]
    [InlineData("UPDATE gpt_refresh_tokens SET rotated_at = now()", "23514")] // rotated to nothing
    [InlineData("UPDATE gpt_refresh_tokens SET expires_at = created_at", "23514")]
    [InlineData("UPDATE gpt_refresh_tokens SET token_hash = 'short'", "23514")]
    [InlineData("UPDATE gpt_authorization_codes SET expires_at = created_at + interval '300.001 seconds'", "23514")]
    [InlineData("UPDATE gpt_authorization_codes SET expires_at = created_at", "23514")]
    [InlineData("UPDATE gpt_authorization_codes SET used_at = now()", "23514")] // used, but no session
    [InlineData("UPDATE gpt_authorization_codes SET user_id = gen_random_uuid()", "23503")]
    [InlineData("UPDATE gpt_clients SET require_pkce = false WHERE client_id = 'public'", "23514")]
    [InlineData("UPDATE gpt_clients SET secret_hashes = ARRAY['x'::bytea] WHERE client_id = 'public'", "23514")]
    [InlineData("UPDATE gpt_clients SET auth_methods = '{none,client_secret_post}' WHERE client_id = 'public'", "23514")]
    [InlineData("UPDATE gpt_clients SET auth_methods = '{}'", "23514")]
    [InlineData("UPDATE gpt_clients SET auth_methods = '{client_secret_jwt}' WHERE client_id = 'confidential'", "23514")]
    [InlineData("UPDATE gpt_clients SET secret_hashes = ARRAY['a', 'b', 'c']::bytea[] WHERE client_id = 'confidential'", "23514")]
    [InlineData("UPDATE gpt_clients SET kind = 'other'", "23514")]
    [InlineData("UPDATE gpt_clients SET kind = 'metadata_document' WHERE client_id = 'public'", "23514")] // read when?
    [InlineData("UPDATE gpt_clients SET auth_methods = '{private_key_jwt}', secret_hashes = '{}' WHERE client_id = 'confidential'", "23514")] // no keys
    [InlineData("UPDATE gpt_clients SET registration_hash = sha256('same')", "23505")]
    [InlineData("UPDATE gpt_clients SET name = ''", "23514")]
    [InlineData("UPDATE gpt_clients SET scopes = '{}'", "23514")]
    [InlineData("UPDATE gpt_sessions SET granted_scopes = scopes || '{more}'", "23514")]
    [InlineData("UPDATE gpt_sessions SET revoked_at = now()", "23514")] // without a reason
    [InlineData("UPDATE gpt_sessions SET expires_at = created_at", "23514")]
    [InlineData("UPDATE gpt_authorization_requests SET user_id = " + User, "23514")] // known, but never signed in
    [InlineData("UPDATE gpt_authorization_requests SET decided_at = now()", "23514")] // decided by nobody
    [InlineData("UPDATE gpt_authorization_requests SET expires_at = created_at", "23514")]
    [InlineData("INSERT INTO users (id, clerk_user_id, created_at) VALUES (gen_random_uuid(), 'user_schema', now())", "23505")]
    [InlineData("INSERT INTO users (id, clerk_user_id, created_at) VALUES (gen_random_uuid(), '', now())", "23514")]
    [InlineData("INSERT INTO outbox_messages VALUES (gen_random_uuid(), '', '{}', now())", "23514")]
    // Nothing to replay.
    [InlineData(
        "INSERT INTO webhook_events (source, event_id, type, status, attempts, received_at, processed_at) VALUES ('clerk', 'msg', 'type', 'failed', 1, "
            + "now(), now())",
        "23514")]
    // Kept for nothing.
    [InlineData(
        "INSERT INTO webhook_events (source, event_id, type, status, attempts, received_at, processed_at, payload) VALUES ('clerk', 'msg', 'type', "
            + "'completed', 1, now(), now(), 'x')",
        "23514")]
    [InlineData("INSERT INTO webhook_subjects (source, subject) VALUES ('clerk', 'user')", "23514")] // known for nothing
    [InlineData("INSERT INTO verification_sessions (order_id, status, created_at) VALUES ('o', 'pending_verification', now())", "23514")] // without a deadline
    [InlineData("INSERT INTO verification_sessions (order_id, status, created_at) VALUES ('o', 'verified', now())", "23514")] // decided never
    // Finished never.
    [InlineData(
        "INSERT INTO countdowns (id, kind, subject, due_at, next_attempt_at, created_at, status) VALUES (gen_random_uuid(), 'k', 's', now(), now(), now(), "
            + "'completed')",
        "23514")]
    // Early.
    [InlineData(
        "INSERT INTO countdowns (id, kind, subject, due_at, next_attempt_at, created_at) VALUES (gen_random_uuid(), 'k', 's', now(), now() - interval '1 "
            + "s', now())",
        "23514")]
    // Twice.
    [InlineData(
        "INSERT INTO countdowns (id, kind, subject, due_at, next_attempt_at, created_at) SELECT gen_random_uuid(), 'k', 's', now(), now(), now() FROM "
            + "generate_series(1, 2)",
        "23505")]
    public async Task Row_that_must_never_be_is_refused(string sql, string sqlState)
    {
        var refusal = await Assert.ThrowsAsync<PostgresException>(() => fixture.Database.ExecuteAsync(sql));
        Assert.Equal(sqlState, refusal.SqlState);
    }

    [Fact]
    public async Task Code_may_live_for_300_seconds() =>
        await fixture.Database.ExecuteAsync("UPDATE gpt_authorization_codes SET expires_at = created_at + interval '300 seconds'");

    [Fact]
    public async Task Every_foreign_key_has_an_index_or_a_reason()
    {
        var unindexed = await fixture.ListAsync("""
            SELECT c.conrelid::regclass || '.' || string_agg(a.attname, ',' ORDER BY k.n)
            FROM pg_constraint c CROSS JOIN LATERAL unnest(c.conkey) WITH ORDINALITY k(attnum, n)
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
            WHERE c.contype = 'f' AND NOT EXISTS (
                SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indpred IS NULL AND (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey)
            GROUP BY c.oid, c.conrelid ORDER BY 1
            """);
        Assert.Equal(UnindexedForeignKeys.Keys.Order(StringComparer.Ordinal), unindexed.Order(StringComparer.Ordinal));
    }

    /// <summary>One index whose columns begin another's is paid for on every write and used by nothing.</summary>
    [Fact]
    public async Task No_index_repeats_another()
    {
        var repeated = await fixture.ListAsync("""
            SELECT one.indexrelid::regclass || ' in ' || other.indexrelid::regclass
            FROM pg_index one JOIN pg_index other ON other.indrelid = one.indrelid AND other.indexrelid <> one.indexrelid
            JOIN pg_class t ON t.oid = one.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = 'public'
            WHERE one.indpred IS NULL AND other.indpred IS NULL AND NOT one.indisunique
              AND (other.indkey::int2[])[0:array_length(one.indkey::int2[], 1) - 1] = one.indkey::int2[]
            """);
        Assert.Empty(repeated);
    }

    [Fact]
    public async Task Every_table_says_what_it_is_for()
    {
        var silent = await fixture.ListAsync("""
            SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'public' AND c.relkind IN ('r',
                'p') AND NOT c.relispartition AND c.relname <> 'schema_migrations' AND obj_description(c.oid) IS NULL
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
            """);
        Assert.Empty(silent);
    }

    [Fact]
    public async Task Every_point_in_time_has_a_time_zone() =>
        Assert.Empty(
            await fixture.ListAsync(
                "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public' AND data_type = 'timestamp without "
                    + "time zone'"));
}

public sealed class SchemaFixture : IAsyncLifetime
{
    internal TestDatabase Database { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Database = await TestDatabase.CreateAsync(nameof(SchemaTests));
        await Database.ExecuteAsync("""
            INSERT INTO users (id, clerk_user_id, created_at) VALUES ('00000000-0000-0000-0000-000000000001', 'user_schema', now());
            INSERT INTO gpt_clients (client_id, name, kind, auth_methods, secret_hashes, redirect_uris, scopes, require_pkce, created_at) VALUES
                ('confidential', 'C', 'confidential', '{client_secret_post}', ARRAY['x'::bytea], '{https://c.example/}', '{a,b}', false, now()),
                ('public', 'P', 'public', '{none}', '{}', '{https://p.example/}', '{a}', true, now());
            INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at)
                VALUES ('00000000-0000-0000-0000-000000000002', 'confidential', '00000000-0000-0000-0000-000000000001', '{a,b}', '{a}', 'r', now(),
                    now(), now() + interval '1 day');
            INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at)
                SELECT sha256(n::text::bytea), '00000000-0000-0000-0000-000000000002', n, now(), now() + interval '1 day' FROM generate_series(0, 1) n;
            INSERT INTO gpt_authorization_codes (code_hash, client_id, user_id, scopes, resource, created_at, expires_at)
                VALUES (sha256('code'), 'confidential', '00000000-0000-0000-0000-000000000001', '{a}', 'r', now(), now() + interval '60 seconds');
            INSERT INTO gpt_authorization_requests (id, browser_hash, client_id, redirect_uri, redirect_uri_given, scopes, resource, created_at, expires_at)
                VALUES (gen_random_uuid(), sha256('browser'), 'confidential', 'https://c.example/', true, '{a}', 'r', now(), now() + interval '10 minutes');
            """);
    }

    public async Task DisposeAsync() => await Database.DisposeAsync();

    internal async Task<List<string>> ListAsync(string sql)
    {
        await using var command = Database.Source.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync();
        var values = new List<string>();
        while (await reader.ReadAsync())
        {
            values.Add(reader.GetString(0));
        }

        return values;
    }
}
