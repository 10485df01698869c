using System.Globalization;
using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Tests.Audit;
using GptFunctions.Tests.Support;
using Npgsql;

namespace GptFunctions.Tests.Deployment;

/// <summary>infra/postgres/roles.sql: what each role can do, and above all what it cannot.</summary>
[Collection(AuditQueueTurns.Name)] // roles belong to the server: the classes that make them take turns
public sealed class DatabaseRolesTests(DatabaseRolesFixture fixture) : IClassFixture<DatabaseRolesFixture>
{
    private const string Refused = PostgresErrorCodes.InsufficientPrivilege;
    private readonly RolesDatabase roles = fixture.Roles;

    [Theory]
    [InlineData("UPDATE gpt_oauth_events SET client_id = 'x'")]
    [InlineData("DELETE FROM gpt_oauth_events")]
    [InlineData("TRUNCATE gpt_oauth_events")]
    [InlineData("DELETE FROM gpt_oauth_events_other")]
    [InlineData("TRUNCATE gpt_oauth_events_other")]
    [InlineData("DROP TABLE gpt_oauth_events_other")]
    [InlineData("ALTER TABLE gpt_oauth_events DISABLE TRIGGER append_only")]
    [InlineData("SET session_replication_role = replica")]
    [InlineData("INSERT INTO schema_migrations (version, name, checksum) VALUES (999, 'x', 'x')")]
    [InlineData("DELETE FROM schema_migrations")]
    [InlineData("DELETE FROM users")]
    [InlineData("TRUNCATE users CASCADE")]
    [InlineData("CREATE TABLE mine ()")]
    [InlineData("CREATE TEMP TABLE mine ()")]
    [InlineData("CREATE SCHEMA mine")]
    [InlineData("CREATE FUNCTION mine() RETURNS int LANGUAGE sql RETURN 1")]
    [InlineData("ALTER TABLE users ADD COLUMN x int")]
    [InlineData("ALTER TABLE users DISABLE ROW LEVEL SECURITY")]
    [InlineData("CREATE INDEX ON users (email)")]
    [InlineData("DROP TABLE users")]
    [InlineData("SET ROLE gpt_owner")]
    [InlineData("CREATE ROLE mine")]
    [InlineData("COPY users TO '/tmp/users'")]
    public async Task Application_is_refused(string sql) => Assert.Equal(Refused, await RolesDatabase.TryAsync(roles.ApplicationUrl, sql));

    /// <summary>Made after roles.sql ran, with the default rights; the triggers that the partition inherits refuse.</summary>
    [Theory]
    [InlineData("UPDATE gpt_oauth_events_2035_05 SET client_id = 'x'")]
    [InlineData("DELETE FROM gpt_oauth_events_2035_05")]
    [InlineData("TRUNCATE gpt_oauth_events_2035_05")]
    [InlineData("DROP TABLE gpt_oauth_events_2035_05")]
    public async Task Application_is_refused_at_partitions_that_it_made_itself(string sql)
    {
        await using var application = NpgsqlDataSource.Create(new DatabaseSettings { Url = roles.ApplicationUrl, PoolSize = 1 }.ToConnectionString());
        await new AuditTrailStore(application).CreatePartitionsAsync(new DateTimeOffset(2035, 5, 1, 0, 0, 0, TimeSpan.Zero), 2, CancellationToken.None);
        Assert.Null(
            await RolesDatabase.TryAsync(
                roles.ApplicationUrl,
                "INSERT INTO gpt_oauth_events (event_id, event_type, metadata, source, occurred_at) VALUES (gen_random_uuid(), 'x', '{}', 'test', "
                    + "'2035-05-15T00:00:00Z')"));
        Assert.Equal(Refused, await RolesDatabase.TryAsync(roles.ApplicationUrl, sql));
    }

    [Theory]
    [InlineData("INSERT INTO users (id, clerk_user_id, created_at) VALUES (gen_random_uuid(), 'x', now())")]
    [InlineData("UPDATE users SET email = 'x'")]
    [InlineData("DELETE FROM gpt_sessions")]
    [InlineData("SELECT secret_hashes FROM gpt_clients")]
    [InlineData("SELECT * FROM gpt_clients")]
    [InlineData("SELECT token_hash FROM gpt_refresh_tokens")]
    [InlineData("SELECT rotated_to FROM gpt_refresh_tokens")]
    [InlineData("SELECT FROM gpt_authorization_codes")]
    [InlineData("SELECT FROM gpt_authorization_requests")]
    [InlineData("SELECT payload FROM webhook_events")]
    [InlineData("SELECT envelope FROM outbox_messages")]
    [InlineData("SELECT message FROM audit_quarantine")]
    [InlineData("SELECT customer_email FROM verification_sessions")]
    [InlineData("SELECT payload FROM countdowns")]
    [InlineData("SELECT FROM rate_limits")]
    [InlineData("SELECT FROM gpt_oauth_events_other")] // past the policies of gpt_oauth_events
    [InlineData("SELECT gpt_create_event_partitions('2040-01-01', 1)")]
    [InlineData("SELECT gpt_make_room_within(gen_random_uuid(), NULL, NULL, 0, 0, now())")]
    [InlineData("CREATE TEMP TABLE mine ()")]
    [InlineData("SET ROLE gpt_app")]
    public async Task Reader_is_refused(string sql) =>
        Assert.Equal(Refused, await RolesDatabase.TryAsync(roles.ReaderUrl, "BEGIN READ WRITE; " + sql));

    [Theory]
    [InlineData("users", 1)]
    [InlineData("gpt_sessions", 1)]
    [InlineData("gpt_refresh_tokens", 2)]
    [InlineData("gpt_consents", 1)]
    [InlineData("gpt_oauth_events", 3)]
    [InlineData("stripe_subscriptions", 1)]
    public async Task Reader_sees_the_rows_of_the_user_it_names_and_of_nobody_else(string table, int rows)
    {
        string Counting(string user) => $"SET gpt.user_id = '{user}'; SELECT count(*) FROM {table}";
        Assert.Equal("0", await RolesDatabase.ReadAsync(roles.ReaderUrl, $"SELECT count(*) FROM {table}"));
        Assert.Equal("0", await RolesDatabase.ReadAsync(roles.ReaderUrl, Counting("")));
        Assert.Equal("0", await RolesDatabase.ReadAsync(roles.ReaderUrl, Counting("user_nobody")));
        Assert.Equal(rows.ToString(CultureInfo.InvariantCulture), await RolesDatabase.ReadAsync(roles.ReaderUrl, Counting("user_ada")));
        Assert.Equal("1", await RolesDatabase.ReadAsync(roles.ReaderUrl, Counting("user_bob")));
        Assert.True(await roles.Database.CountAsync(table) > rows);
    }

    [Theory]
    [InlineData("SELECT client_id, name, redirect_uris, disabled_at FROM gpt_clients")]
    [InlineData("SELECT count(*), min(occurred_at) FROM outbox_messages")] // as in the runbook
    [InlineData("SELECT source, event_id, type, status, attempts FROM webhook_events")]
    [InlineData("SELECT started_at, finished_at - started_at AS took, outcome, counts FROM maintenance_runs ORDER BY started_at DESC LIMIT 10")]
    [InlineData("SELECT id, received_at, reason FROM audit_quarantine")]
    [InlineData("SELECT order_id, status, deadline FROM verification_sessions")]
    [InlineData("SELECT kind, status, due_at FROM countdowns")]
    [InlineData("SELECT max(version) FROM schema_migrations")]
    public async Task Reader_may_ask(string sql) => Assert.Null(await RolesDatabase.TryAsync(roles.ReaderUrl, sql));

    [Fact]
    public async Task Owner_sees_every_row_and_may_change_the_schema() =>
        Assert.Null(
            await RolesDatabase.TryAsync(roles.OwnerUrl, "BEGIN; ALTER TABLE users ADD COLUMN extra int; SELECT 1 / (count(*) - 1) FROM users; ROLLBACK"));

    [Fact]
    public async Task Script_again_changes_nothing_and_has_nothing_to_say()
    {
        const string Rights = """
            SELECT string_agg(x, E'\n' ORDER BY x) FROM (
                SELECT relname || ' ' || relowner::regrole || ' ' || coalesce(relacl::text, '') || ' ' || relrowsecurity::text AS x FROM pg_class
                WHERE relnamespace = 'public'::regnamespace
                UNION ALL SELECT attrelid::regclass || '.' || attname || ' ' || attacl::text FROM pg_attribute WHERE attacl IS NOT NULL
                UNION ALL SELECT tablename || ' ' || policyname || ' ' || roles::text || ' ' || qual FROM pg_policies
                UNION ALL SELECT oid::regprocedure || ' ' || proacl::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
                UNION ALL SELECT defaclrole::regrole || ' ' || defaclobjtype::text || ' ' || defaclacl::text FROM pg_default_acl
                UNION ALL SELECT datdba::regrole || ' ' || datacl::text FROM pg_database WHERE datname = current_database()) rights
            """;
        var before = await roles.Database.ScalarAsync<string>(Rights);
        Assert.Equal((0, ""), await roles.RunScriptAsync());
        Assert.Equal(before, await roles.Database.ScalarAsync<string>(Rights));
    }

    /// <summary>The script is not run between a migration and the program that needs it.</summary>
    [Fact]
    public async Task Table_of_a_later_migration_is_the_applications_at_once_and_not_the_readers()
    {
        Assert.Null(await RolesDatabase.TryAsync(roles.OwnerUrl, "DROP TABLE IF EXISTS later; CREATE TABLE later (id int)"));
        Assert.Null(
            await RolesDatabase.TryAsync(roles.ApplicationUrl, "INSERT INTO later VALUES (1); UPDATE later SET id = 2; DELETE FROM later; SELECT FROM later"));
        Assert.Equal(Refused, await RolesDatabase.TryAsync(roles.ReaderUrl, "SELECT FROM later"));
        Assert.Contains("not in the list of roles.sql: later", (await roles.RunScriptAsync()).Said, StringComparison.Ordinal);
        Assert.Null(await RolesDatabase.TryAsync(roles.OwnerUrl, "DROP TABLE later"));
    }

    [Fact]
    public async Task Database_that_another_role_made_is_taken_over()
    {
        await using var database = await TestDatabase.CreateAsync(nameof(DatabaseRolesTests) + "_taken");
        Assert.Equal((0, ""), await roles.RunScriptAsync(database.Url));
        Assert.Equal(
            0,
            await database.CountAsync(
                "pg_class", "relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S') AND relowner <> 'gpt_owner'::regrole"));
        Assert.Equal(0, await database.CountAsync("pg_proc", "proname LIKE 'gpt%' AND proowner <> 'gpt_owner'::regrole"));
    }

    /// <summary>The way of the runbook to another password: a second role with the rights of the first.</summary>
    [Fact]
    public async Task Second_role_of_the_application_sees_and_may_do_the_same()
    {
        await roles.Database.ExecuteAsync("DROP ROLE IF EXISTS gpt_app_2; CREATE ROLE gpt_app_2 LOGIN PASSWORD 'second' IN ROLE gpt_app");
        var url = new UriBuilder(roles.ApplicationUrl) { UserName = "gpt_app_2", Password = "second" }.Uri.ToString();
        Assert.Equal("2", await RolesDatabase.ReadAsync(url, "SELECT count(*) FROM users"));
        Assert.Null(await RolesDatabase.TryAsync(url, "UPDATE users SET name = 'Ada' WHERE clerk_user_id = 'user_ada'"));
        Assert.Equal(Refused, await RolesDatabase.TryAsync(url, "DELETE FROM users"));
        await roles.Database.ExecuteAsync("DROP ROLE gpt_app_2");
    }

    [Fact]
    public async Task Application_leaves_connections_to_others() =>
        Assert.Equal("true 20 5", await roles.Database.ScalarAsync<string>("""
            SELECT concat_ws(' ', (app.rolconnlimit <= current_setting('max_connections')::int - 40)::text, owner.rolconnlimit, reader.rolconnlimit)
            FROM pg_roles app, pg_roles owner, pg_roles reader
            WHERE app.rolname = 'gpt_app' AND owner.rolname = 'gpt_owner' AND reader.rolname = 'gpt_readonly'
            """));
}

public sealed class DatabaseRolesFixture : IAsyncLifetime
{
    internal RolesDatabase Roles { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Roles = await RolesDatabase.CreateAsync(nameof(DatabaseRolesTests), []);
        // Two people: Ada has one of everything, two tokens and three events; Bob has one each. Then events and subscriptions of nobody.
        await Roles.Database.ExecuteAsync("""
            INSERT INTO users (id, clerk_user_id, created_at) VALUES (md5('ada')::uuid, 'user_ada', now()), (md5('bob')::uuid, 'user_bob', now());
            INSERT INTO gpt_clients (client_id, name, kind, auth_methods, redirect_uris, scopes, require_pkce, created_at)
            VALUES ('c', 'C', 'public', '{none}', '{https://c.example/}', '{a}', true, now());
            INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at)
                SELECT id, 'c', id, '{a}', '{a}', 'r', now(), now(), now() + interval '1 day' FROM users;
            INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at)
                SELECT sha256((clerk_user_id || n)::bytea), id, n, now(), now() + interval '1 day' FROM users, generate_series(0, 1) n
                WHERE n = 0 OR clerk_user_id = 'user_ada';
            INSERT INTO gpt_consents (user_id, client_id, redirect_host, scopes, granted_at) SELECT id, 'c', 'c.example', '{a}', now() FROM users;
            INSERT INTO stripe_subscriptions (subscription_id, clerk_user_id) VALUES ('sub_ada', 'user_ada'), ('sub_bob', 'user_bob'), ('sub_nobody', NULL);
            INSERT INTO gpt_oauth_events (event_id, event_type, clerk_user_id, metadata, source, occurred_at)
                SELECT gen_random_uuid(), 'x', CASE WHEN n <= 3 THEN 'user_ada' WHEN n = 4 THEN 'user_bob' END, '{}', 'test',
                    now() + n * interval '1 hour' FROM generate_series(1, 6) n;
            """);
    }

    public async Task DisposeAsync() => await Roles.DisposeAsync();
}
