using GptFunctions.Purge;
using GptFunctions.Tests.Support;
using Npgsql;

namespace GptFunctions.Tests.Purge;

/// <summary>purge.md 3 to 5: one run at a time, the time budget, errors, and what a run says. A database for each test.</summary>
public sealed class PurgeRunTests : IAsyncDisposable
{
    private const int Count = 10_000; // half of them due: five batches
    private readonly List<TestDatabase> databases = [];

    [Fact]
    public async Task Run_says_what_it_did_in_one_log_line_and_one_row()
    {
        var database = await CreateAsync(codes: true);
        var bench = new PurgeBench(database, PurgeRows.Present);
        await bench.RunAsync(report: (_, _) => bench.Clock.Pass(TimeSpan.FromSeconds(1)));
        string[] names =
        [
            "expired_auth_codes_deleted", "revoked_tokens_deleted", "expired_sessions_deleted", "authorization_requests_deleted", "page_sessions_deleted",
            "webhook_events_deleted",
            "failed_webhook_events_deleted", "finished_countdowns_deleted", "finished_callbacks_deleted", "customer_emails_deleted", "usage_counters_deleted",
            "usage_units_deleted", "refusals_deleted", "refused_requests_deleted", "hourly_counts_deleted", "sign_ins_deleted",
            "client_usage_deleted", "gone_replicas_deleted", "used_assertions_deleted", "unused_clients_deleted", "idle_rate_limits_deleted",
            "maintenance_runs_deleted",
            "audit_partitions_created", "batches", "duration_ms", "completed", "rows_left", "failed",
        ];
        var (_, text, fields) = Assert.Single(bench.Log.Lines, line => line.Id == 4001);
        Assert.Equal(names, fields.Select(field => field.Key));
        var (outcome, counts) = await bench.ReadRecordAsync();
        Assert.Equal("completed", outcome);
        Assert.Equal(
            """purge {"expired_auth_codes_deleted":5000,"revoked_tokens_deleted":0,"expired_sessions_deleted":"""
                + """0,"authorization_requests_deleted":0,"page_sessions_deleted":0,"webhook_events_deleted":0,"failed_webhook_events_deleted":"""
                + """0,"finished_countdowns_deleted":0,"finished_callbacks_deleted":"""
                + """0,"customer_emails_deleted":0,"usage_counters_deleted":0,"usage_units_deleted":0,"refusals_deleted":"""
                + """0,"refused_requests_deleted":0,"hourly_counts_deleted":0,"sign_ins_deleted":0,"client_usage_deleted":"""
                + """0,"gone_replicas_deleted":0,"used_assertions_deleted":0,"unused_clients_deleted":"""
                + """0,"idle_rate_limits_deleted":0,"maintenance_runs_deleted":"""
                + """0,"audit_partitions_created":5,"batches":27,"duration_ms":27000,"completed":true,"rows_left":0,"failed":null}""",
            text);
        Assert.Equal(names.Order(StringComparer.Ordinal), counts.EnumerateObject().Select(count => count.Name).Order(StringComparer.Ordinal));
        Assert.Equal(5000, counts.GetProperty("expired_auth_codes_deleted").GetInt32());
        Assert.Equal(
            1,
            await database.CountAsync(
                "maintenance_runs", $"started_at = {PurgeRows.Sql(PurgeRows.Present)} AND finished_at = started_at + interval '27 seconds'"));
    }

    [Fact]
    public async Task Run_creates_the_audit_partitions_of_the_months_to_come()
    {
        var database = await CreateAsync();
        await new PurgeBench(database, PurgeRows.Present).RunAsync();
        Assert.NotNull(await database.ScalarAsync<string>($"SELECT to_regclass('gpt_oauth_events_{PurgeRows.Present.AddMonths(3):yyyy_MM}')::text"));
    }

    [Fact]
    public async Task Run_beside_another_one_says_so_and_does_nothing()
    {
        var database = await CreateAsync(codes: true);
        var (first, second) = (new PurgeBench(database, PurgeRows.Present), new PurgeBench(database, PurgeRows.Present));
        using var secondIsDone = new SemaphoreSlim(0, 1);
        var firstIsAtWork = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var firstRun = Task.Run(() => first.RunAsync((_, _) =>
        {
            if (firstIsAtWork.TrySetResult())
            {
                Assert.True(secondIsDone.Wait(TimeSpan.FromSeconds(20)));
            }
        }));
        await firstIsAtWork.Task;
        Assert.Null(await second.Purge.RunAsync(null, null, CancellationToken.None));
        secondIsDone.Release();
        Assert.Equal("Purge: another run holds the lock", Assert.Single(second.Log.Lines).Text);
        Assert.Equal(Count / 2, (await firstRun).Deleted["expired_auth_codes"]);
        Assert.Equal(1, await database.CountAsync("maintenance_runs"));
    }

    [Fact]
    public async Task Runs_at_once_do_the_work_once_and_leave_no_lock()
    {
        var database = await CreateAsync(codes: true, tokens: true);
        var runs = await Task.WhenAll(
            Enumerable.Range(0, 4).Select(
                _ => Task.Run(() => new PurgeBench(database, PurgeRows.Present).Purge.RunAsync(null, null, CancellationToken.None))));
        Assert.Equal(Count / 2, runs.Sum(run => run?.Deleted["expired_auth_codes"] ?? 0));
        Assert.Equal(Count / 2, runs.Sum(run => run?.Deleted["revoked_tokens"] ?? 0));
        Assert.Equal(
            0,
            await database.CountAsync("pg_locks", "locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"));
    }

    [Fact]
    public async Task Run_that_is_out_of_time_says_what_is_left_and_the_next_one_finishes()
    {
        var database = await CreateAsync(codes: true, tokens: true);
        var bench = new PurgeBench(database, PurgeRows.Present);
        var run = await bench.RunAsync(report: (_, deleted) => bench.Clock.Pass(deleted == 2000 ? TimeSpan.FromMinutes(5) : TimeSpan.Zero));
        Assert.Equal(2000, run.Deleted["expired_auth_codes"]);
        Assert.Equal(0, run.Deleted["revoked_tokens"]);
        Assert.Equal(3000 + (Count / 2), run.Left);
        var (outcome, counts) = await bench.ReadRecordAsync();
        Assert.Equal("cut_short", outcome);
        Assert.False(counts.GetProperty("completed").GetBoolean());
        Assert.Equal(3000 + (Count / 2), counts.GetProperty("rows_left").GetInt32());
        Assert.Equal(5, run.PartitionsCreated); // the audit trail cannot wait

        var next = await new PurgeBench(database, PurgeRows.Present).RunAsync();
        Assert.Equal("completed", next.Outcome);
        Assert.Equal((3000, Count / 2, 0), (next.Deleted["expired_auth_codes"], next.Deleted["revoked_tokens"], next.Left));
    }

    [Fact]
    public async Task Run_that_is_told_to_stop_ends_after_its_batch_and_is_recorded()
    {
        var database = await CreateAsync(codes: true);
        var bench = new PurgeBench(database, PurgeRows.Present);
        using var stopping = new CancellationTokenSource();
        var run = await bench.Purge.RunAsync(null, (_, _) => stopping.Cancel(), stopping.Token);
        Assert.Equal((1000, "cut_short", null), (run!.Deleted["expired_auth_codes"], run.Outcome, run.Left));
        Assert.Equal("cut_short", (await bench.ReadRecordAsync()).Outcome);
        Assert.Equal(Count - 1000, await database.CountAsync("gpt_authorization_codes"));
        Assert.Equal("completed", (await new PurgeBench(database, PurgeRows.Present).RunAsync()).Outcome); // the lock is free
    }

    [Fact]
    public async Task Run_with_an_error_in_one_class_does_the_others_and_fails()
    {
        var database = await CreateAsync(codes: true, tokens: true);
        await BreakAsync(database, "gpt_authorization_codes", "RAISE EXCEPTION 'the codes are broken'");
        var bench = new PurgeBench(database, PurgeRows.Present);
        var error = await Assert.ThrowsAsync<PurgeFailedException>(() => bench.RunAsync());
        Assert.Equal("The purge failed in expired_auth_codes; the rest is done.", error.Message);
        Assert.Equal("the codes are broken", Assert.IsType<PostgresException>(error.InnerException).MessageText);
        Assert.Equal((0, Count / 2, 5), (error.Run.Deleted["expired_auth_codes"], error.Run.Deleted["revoked_tokens"], error.Run.PartitionsCreated));
        Assert.Equal(Count, await database.CountAsync("gpt_authorization_codes"));
        var (outcome, counts) = await bench.ReadRecordAsync();
        Assert.Equal(("failed", "expired_auth_codes"), (outcome, counts.GetProperty("failed").GetString()));
        Assert.Contains("\"completed\":false", Assert.Single(bench.Log.Lines, line => line.Id == 4001).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_whose_connections_die_does_the_other_classes_and_fails()
    {
        var database = await CreateAsync(codes: true, tokens: true);
        // The one with the lock too.
        await BreakAsync(database, "gpt_authorization_codes", "PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()");
        var bench = new PurgeBench(database, PurgeRows.Present);
        var error = await Assert.ThrowsAsync<PurgeFailedException>(() => bench.RunAsync());
        Assert.Equal(["expired_auth_codes"], error.Run.Errors.Keys);
        Assert.Equal((0, Count / 2), (error.Run.Deleted["expired_auth_codes"], error.Run.Deleted["revoked_tokens"]));
        Assert.Equal("failed", (await bench.ReadRecordAsync()).Outcome);
    }

    /// <summary>Only a batch may be lost in a crash: what comes after it on the same connection waits for the disk again.</summary>
    [Fact]
    public async Task Run_leaves_no_connection_that_commits_without_waiting_for_the_disk()
    {
        var database = await CreateAsync(codes: true);
        await database.ExecuteAsync(
            "CREATE TABLE seen (setting text); CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES "
                + "(current_setting('synchronous_commit')); RETURN NEW; END $$; CREATE TRIGGER see AFTER INSERT ON maintenance_runs FOR EACH ROW EXECUTE "
                + "FUNCTION see()");
        await new PurgeBench(database, PurgeRows.Present).RunAsync();
        await new PurgeBench(database, PurgeRows.Present).RunAsync();
        Assert.Equal("on on", await database.ScalarAsync<string>("SELECT string_agg(setting, ' ') FROM seen"));
        Assert.Equal("on", await database.ScalarAsync<string>("SHOW synchronous_commit"));
    }

    [Fact]
    public async Task Run_waits_for_no_locked_row()
    {
        var database = await CreateAsync(codes: true, tokens: true);
        await using (await database.HoldAsync(
            $"SELECT FROM gpt_authorization_codes WHERE expires_at < {PurgeRows.Sql(PurgeRows.Present)} - interval '30 days' ORDER BY expires_at LIMIT 10 "
                + "FOR UPDATE"))
        {
            var bench = new PurgeBench(database, PurgeRows.Present);
            var run = await bench.RunAsync();
            Assert.Equal((Count / 2) - 10, run.Deleted["expired_auth_codes"]);
            var (outcome, counts) = await bench.ReadRecordAsync(); // what was passed over is not claimed to be done
            Assert.Equal(("cut_short", false, 10), (outcome, counts.GetProperty("completed").GetBoolean(), counts.GetProperty("rows_left").GetInt32()));
        }

        var next = await new PurgeBench(database, PurgeRows.Present).RunAsync();
        Assert.Equal((10, "completed"), (next.Deleted["expired_auth_codes"], next.Outcome));
    }

    /// <summary>"Live traffic during a purge": batches make room for others, and do not dawdle when nobody is there.</summary>
    [Fact]
    public async Task Run_rests_between_batches_while_others_are_at_work()
    {
        var database = await CreateAsync(codes: true);
        var store = new PurgeStore(database.Source);
        var codes = PurgeClass.All[0];
        var window = new PurgeWindow(PurgeRows.Present, PurgeRows.Present - TimeSpan.FromDays(30));
        Assert.False((await store.DeleteAsync(codes, window, 10, codes.Start, CancellationToken.None)).IsBusy);
        await using var other = database.Source.CreateCommand("SELECT pg_sleep(10)");
        using var stop = new CancellationTokenSource();
        var atWork = other.ExecuteNonQueryAsync(stop.Token);
        await Wait.UntilAsync(async () => (await store.DeleteAsync(codes, window, 10, codes.Start, CancellationToken.None)).IsBusy);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => atWork);
    }

    [Fact]
    public async Task Run_keeps_a_registered_client_that_is_being_used_for_the_first_time()
    {
        var database = await CreateAsync();
        var now = PurgeRows.Sql(PurgeRows.Present); // by which the run goes, too
        await database.ExecuteAsync($$"""
            INSERT INTO gpt_clients (client_id, name, kind, auth_methods, redirect_uris, scopes, require_pkce, created_at, last_used_at)
            SELECT name, name, CASE name WHEN 'added-by-hand' THEN 'public' ELSE 'registered' END, '{none}', '{https://client.example}',
                '{jobs:read}', true, {{now}} - interval '31 days', CASE name WHEN 'used-once' THEN {{now}} - interval '31 days' END
            FROM unnest(ARRAY['never-used', 'added-by-hand', 'used-once', 'in-sign-in', 'with-a-code', 'gave-up']) name;
            INSERT INTO gpt_authorization_requests (id, browser_hash, client_id, redirect_uri, redirect_uri_given, scopes, resource, created_at, expires_at)
            SELECT gen_random_uuid(), sha256(name::bytea), name, 'https://client.example', true, '{jobs:read}', 'r', {{now}} - interval '1 hour',
                {{now}} + CASE name WHEN 'in-sign-in' THEN interval '5 minutes' ELSE interval '-5 minutes' END
            FROM unnest(ARRAY['in-sign-in', 'gave-up']) name;
            INSERT INTO gpt_authorization_codes (code_hash, client_id, user_id, scopes, resource, created_at, expires_at)
            SELECT sha256('x'), 'with-a-code', id, '{jobs:read}', 'r', {{now}} - interval '10 seconds', {{now}} + interval '50 seconds' FROM users;
            """);
        Assert.Equal(2, (await new PurgeBench(database, PurgeRows.Present).RunAsync()).Deleted["unused_clients"]);
        Assert.Equal(
            "added-by-hand in-sign-in purge used-once with-a-code",
            await database.ScalarAsync<string>("SELECT string_agg(client_id, ' ' ORDER BY client_id) FROM gpt_clients"));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var database in databases)
        {
            await database.DisposeAsync();
        }
    }

    private async Task<TestDatabase> CreateAsync(bool codes = false, bool tokens = false, [System.Runtime.CompilerServices.CallerMemberName] string test = "")
    {
        var database = await TestDatabase.CreateAsync(
            "purge_" + Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(test)))[..8]);
        databases.Add(database);
        var rows = new PurgeRows(database, PurgeRows.Present, Count);
        await rows.AddOwnersAsync();
        if (codes)
        {
            await rows.AddCodesAsync();
        }

        if (tokens)
        {
            await rows.AddTokensAsync();
        }

        return database;
    }

    private static Task BreakAsync(TestDatabase database, string table, string statement) => database.ExecuteAsync($"""
        CREATE FUNCTION break_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statement}; RETURN OLD; END $$;
        CREATE TRIGGER break_it BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION break_it()
        """);
}
