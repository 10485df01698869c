using GptFunctions.Purge;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Purge;

/// <summary>purge.md 1: 100,000 rows of each class around its limit, one run.</summary>
public sealed class PurgeClassesTests(PurgeClassesFixture fixture) : IClassFixture<PurgeClassesFixture>
{
    private const string Ended = "least(expires_at, revoked_at)";
    private static readonly string RetentionEnd = Limit(30);

    public static TheoryData<string, string, string, string> Classes => new()
    {
        { "expired_auth_codes", "gpt_authorization_codes", "expires_at", RetentionEnd },
        { "authorization_requests", "gpt_authorization_requests", "expires_at", Limit(0) },
        { "page_sessions", "page_sessions", "expires_at", Limit(0) },
        { "used_assertions", "gpt_client_assertions", "expires_at", Limit(0) },
        { "unused_clients", "gpt_clients WHERE kind = 'registered'", "created_at", RetentionEnd },
        { "maintenance_runs", "maintenance_runs WHERE job = 'earlier'", "started_at", Limit(400) },
        { "idle_rate_limits", "rate_limits", "tat", "now()" },
        { "webhook_events", "webhook_events WHERE status <> 'failed'", "processed_at", RetentionEnd },
        { "failed_webhook_events", "webhook_events WHERE status = 'failed'", "processed_at", Limit(90) },
        { "finished_countdowns", "countdowns WHERE status IN ('completed', 'cancelled')", "finished_at", RetentionEnd },
        { "finished_callbacks", "verification_callbacks WHERE status <> 'dead'", "finished_at", RetentionEnd },
        { "customer_emails", "verification_sessions WHERE customer_email IS NOT NULL", "decided_at", RetentionEnd },
        { "usage_units", "usage_units", "taken_at", Limit(1) },
        { "refusals", "refusals", "hour", RetentionEnd },
        { "refused_requests", "refused_requests", "at", RetentionEnd },
        { "hourly_counts", "hourly_counts", "hour", RetentionEnd },
        { "sign_ins", "sign_ins", "at", RetentionEnd },
        { "gone_replicas", "replicas", "seen_at", Limit(1) },
    };

    [Theory]
    [MemberData(nameof(Classes))]
    public async Task Run_deletes_the_rows_before_the_limit_and_no_others(string name, string rows, string time, string limit)
    {
        Assert.Equal(50_000, fixture.Run.Deleted[name]);
        Assert.Equal(
            "0 50000",
            await fixture.Database.ScalarAsync<string>(
                $"SELECT concat_ws(' ', count(*) FILTER (WHERE {time} < {limit}), count(*)) FROM (SELECT * FROM {rows}) left_over"));
    }

    [Fact]
    public async Task Run_deletes_tokens_revoked_or_expired_before_the_limit_and_no_others()
    {
        // Half of the 100,000, both tokens of a thousand abandoned sessions, and the first token of a thousand waiting ones.
        Assert.Equal(50_000 + (3 * PurgeRows.Families), fixture.Run.Deleted["revoked_tokens"]);
        Assert.Equal(0, await fixture.Database.CountAsync("gpt_refresh_tokens", $"{Ended} < {RetentionEnd}"));
        // The other half, the newest of each family, the second of waiting sessions, and those of sessions that stay.
        Assert.Equal(50_000 + PurgeRows.Families + PurgeRows.Families + PurgeRows.SessionsWithToken, await fixture.Database.CountAsync("gpt_refresh_tokens"));
    }

    [Fact]
    public async Task Run_deletes_sessions_that_ended_before_the_limit_with_their_tokens_and_orphans()
    {
        Assert.Equal(50_000 + PurgeRows.Families, fixture.Run.Deleted["expired_sessions"]);
        Assert.Equal(0, await fixture.Database.CountAsync("gpt_sessions", $"{Ended} < {RetentionEnd}"));
        Assert.Equal(50_000 + (2 * PurgeRows.Families), await fixture.Database.CountAsync("gpt_sessions"));
        Assert.Equal(PurgeRows.Families, await fixture.Database.CountAsync("generate_series(0, 999) n JOIN gpt_sessions ON id = md5('waiting' || n)::uuid"));
    }

    /// <summary>An active countdown is still to come, a dead one waits for an operator.</summary>
    [Fact]
    public async Task Run_leaves_active_and_dead_countdowns_alone() =>
        Assert.Equal(200, await fixture.Database.CountAsync("countdowns", "status IN ('active', 'dead')"));

    /// <summary>"Counters older than 13 months go": of the month that is 14 months ago and before, as anybody reads a calendar.</summary>
    [Fact]
    public async Task Run_leaves_the_counters_of_this_month_and_of_thirteen_before_it()
    {
        var oldest = new DateOnly(PurgeRows.Present.Year, PurgeRows.Present.Month, 1).AddMonths(-13);
        Assert.Equal((PurgeRows.Months - 14) * 100_000 / PurgeRows.Months, fixture.Run.Deleted["usage_counters"]);
        Assert.Equal(
            $"{oldest:yyyy-MM-dd} 14", await fixture.Database.ScalarAsync<string>("SELECT min(month) || ' ' || count(DISTINCT month) FROM usage_counters"));
    }

    [Fact]
    public async Task Run_leaves_the_usage_of_today_and_of_ninety_days_before_it()
    {
        Assert.Equal((PurgeRows.Days - 91) * 100_000 / PurgeRows.Days, fixture.Run.Deleted["client_usage"]);
        Assert.Equal(
            $"{DateOnly.FromDateTime(PurgeRows.Present.UtcDateTime).AddDays(-90):yyyy-MM-dd} 91",
            await fixture.Database.ScalarAsync<string>("SELECT min(day) || ' ' || count(DISTINCT day) FROM client_usage"));
    }

    /// <summary>The order stays for those who ask how it ended.</summary>
    [Fact]
    public async Task Run_takes_the_address_of_an_order_and_leaves_the_order() =>
        Assert.Equal(100_000, await fixture.Database.CountAsync("verification_sessions", "status = 'verified' AND order_total = 1"));

    [Fact]
    public async Task Run_leaves_audit_events_users_and_other_clients_alone()
    {
        Assert.Equal(3 * 365, await fixture.Database.CountAsync("gpt_oauth_events"));
        Assert.Equal(1, await fixture.Database.CountAsync("users"));
        Assert.Equal(1, await fixture.Database.CountAsync("gpt_clients", "kind <> 'registered'"));
    }

    [Theory]
    [InlineData("gpt_refresh_tokens", "session_id", "gpt_sessions", "id")]
    [InlineData("gpt_sessions", "client_id", "gpt_clients", "client_id")]
    [InlineData("gpt_authorization_codes", "client_id", "gpt_clients", "client_id")]
    [InlineData("gpt_authorization_requests", "client_id", "gpt_clients", "client_id")]
    public async Task Run_leaves_no_row_without_its_parent(string table, string column, string parent, string key) =>
        Assert.Equal(0, await fixture.Database.CountAsync($"{table} child", $"NOT EXISTS (SELECT FROM {parent} parent WHERE parent.{key} = child.{column})"));

    [Fact]
    public void Count_before_the_run_says_what_the_run_then_deletes() =>
        Assert.Equal(fixture.Run.Deleted.Select(count => (count.Key, count.Value)), fixture.Counted);

    [Fact]
    public void Count_deletes_nothing() => Assert.Equal(fixture.RowsBefore, fixture.RowsAfterCount);

    [Theory]
    [InlineData("expired_auth_codes", "gpt_authorization_codes_expires_at_idx")]
    [InlineData("revoked_tokens", "gpt_refresh_tokens_ended")]
    [InlineData("revoked_tokens", "gpt_sessions_pkey")]
    [InlineData("expired_sessions", "gpt_sessions_ended")]
    [InlineData("authorization_requests", "gpt_authorization_requests_expires_at_idx")]
    [InlineData("page_sessions", "page_sessions_expires_at_idx")]
    [InlineData("used_assertions", "gpt_client_assertions_expired")]
    [InlineData("unused_clients", "gpt_clients_unused")]
    [InlineData("idle_rate_limits", "rate_limits_pkey")]
    [InlineData("maintenance_runs", "maintenance_runs_started_at_idx")]
    [InlineData("webhook_events", "webhook_events_done")]
    [InlineData("failed_webhook_events", "webhook_events_failed")]
    [InlineData("finished_countdowns", "countdowns_finished")]
    [InlineData("finished_callbacks", "verification_callbacks_finished")]
    [InlineData("customer_emails", "verification_sessions_decided")]
    [InlineData("usage_counters", "usage_counters_pkey")]
    [InlineData("usage_units", "usage_units_taken")]
    [InlineData("refusals", "refusals_pkey")]
    [InlineData("refused_requests", "refused_requests_at")]
    [InlineData("hourly_counts", "hourly_counts_pkey")]
    [InlineData("sign_ins", "sign_ins_at")]
    [InlineData("client_usage", "client_usage_day")]
    [InlineData("gone_replicas", "replicas_seen")]
    public void Delete_is_an_index_scan_with_and_without_known_parameters(string name, string index) => Assert.All(fixture.Plans[name], plan =>
    {
        Assert.Contains(" using " + index, plan, StringComparison.Ordinal);
        Assert.DoesNotMatch("Seq Scan on (?!pg_)", plan);
    });

    [Fact]
    public async Task Foreign_keys_that_a_deleted_client_or_session_sets_off_have_indexes() =>
        Assert.Equal(0, await fixture.Database.CountAsync("pg_constraint key", """
            contype = 'f' AND confrelid IN ('gpt_clients'::regclass, 'gpt_sessions'::regclass)
            AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = key.conrelid AND indkey[0] = key.conkey[1] AND indpred IS NULL)
            """));

    [Fact]
    public async Task Columns_that_a_refresh_or_a_rate_limit_updates_are_in_no_index() =>
        Assert.Equal(
            0,
            await fixture.Database.CountAsync(
                "pg_indexes",
                "tablename IN ('gpt_sessions', 'gpt_refresh_tokens') AND indexdef ~ 'last_active|rotated' OR tablename = 'rate_limits' AND indexdef ~ 'tat'"));

    private static string Limit(int days) => PurgeRows.Sql(PurgeRows.Present - TimeSpan.FromDays(days));
}

/// <summary>Fills a database, asks for the plans and the counts, then purges.</summary>
public sealed class PurgeClassesFixture : IAsyncLifetime
{
    internal TestDatabase Database { get; private set; } = null!;

    internal PurgeRun Run { get; private set; } = null!;

    internal IReadOnlyList<(string Class, long Rows)> Counted { get; private set; } = null!;

    internal string? RowsBefore { get; private set; }

    internal string? RowsAfterCount { get; private set; }

    /// <summary>By class: the plan for known parameters, and the one for any.</summary>
    internal Dictionary<string, string[]> Plans { get; } = new(StringComparer.Ordinal);

    public async Task InitializeAsync()
    {
        Database = await TestDatabase.CreateAsync(nameof(PurgeClassesTests));
        var rows = new PurgeRows(Database, PurgeRows.Present, 100_000);
        await rows.AddOwnersAsync();
        await Task.WhenAll(
            Task.Run(async () =>
            {
                await rows.AddTokensAsync();
                await rows.AddIdleFamiliesAsync();
                await rows.AddSessionsAsync();
            }),
            Task.Run(async () =>
            {
                await rows.AddCodesAsync();
                await rows.AddRequestsAsync();
                await rows.AddPageSessionsAsync();
                await rows.AddClientsAsync();
                await rows.AddAssertionsAsync();
                await rows.AddRateLimitsAsync();
                await rows.AddRunsAsync();
                await rows.AddAuditEventsAsync(years: 3);
                await rows.AddWebhookEventsAsync();
                await rows.AddCountdownsAsync();
                await rows.AddOrdersAsync();
                await rows.AddUsageAsync();
                await rows.AddStatisticsAsync();
            }));
        await rows.ExecuteAsync("ANALYZE");
        foreach (var kind in PurgeClass.All)
        {
            Plans[kind.Name] = [await ExplainAsync(kind, "force_custom_plan"), await ExplainAsync(kind, "force_generic_plan")];
        }

        var bench = new PurgeBench(Database, PurgeRows.Present);
        RowsBefore = await CountAllAsync();
        Counted = await bench.Purge.CountAsync(retention: null, CancellationToken.None);
        RowsAfterCount = await CountAllAsync();
        Run = await bench.RunAsync();
    }

    public async Task DisposeAsync() => await Database.DisposeAsync();

    private async Task<string> ExplainAsync(PurgeClass kind, string mode)
    {
        await using var connection = await Database.Source.OpenConnectionAsync();
        await using var command = connection.CreateCommand();
        var (start, first) = (kind.Start is byte[]) ? ("bytea", "''") : ("timestamptz", "'-infinity'");
        var (types, values) = (new List<string>(), new List<string>());
        foreach (var (type, value) in kind.Delete.Names.Select(name => name switch
        {
            "now" => ("timestamptz", PurgeRows.Sql(PurgeRows.Present)),
            "cutoff" => ("timestamptz", PurgeRows.Sql(PurgeRows.Present - TimeSpan.FromDays(30))),
            "limit" => ("int", "1000"),
            _ => (start, first),
        }))
        {
            types.Add(type);
            values.Add(value);
        }

        command.CommandText = $"""
            DISCARD PLANS; SET plan_cache_mode = {mode};
            PREPARE purge ({string.Join(", ", types)}) AS {kind.Delete.Text};
            EXPLAIN (COSTS OFF) EXECUTE purge ({string.Join(", ", values)});
            """;
        var lines = new List<string>();
        await using (var reader = await command.ExecuteReaderAsync())
        {
            do
            {
                while (await reader.ReadAsync())
                {
                    lines.Add(reader.GetString(0));
                }
            }
            while (await reader.NextResultAsync());
        }

        command.CommandText = "DEALLOCATE purge; RESET plan_cache_mode";
        await command.ExecuteNonQueryAsync();
        return string.Join('\n', lines);
    }

    private Task<string?> CountAllAsync() => Database.ScalarAsync<string>("""
        SELECT concat_ws(' ', (SELECT count(*) FROM gpt_authorization_codes), (SELECT count(*) FROM gpt_refresh_tokens), (SELECT count(*)
        FROM gpt_sessions), (SELECT count(*) FROM gpt_authorization_requests),
            (SELECT count(*) FROM gpt_clients), (SELECT count(*) FROM rate_limits), (SELECT count(*) FROM maintenance_runs),
            (SELECT count(*) FROM webhook_events), (SELECT count(*) FROM countdowns), (SELECT count(*) FROM gpt_client_assertions),
            (SELECT count(*) FROM page_sessions))
        """);
}
