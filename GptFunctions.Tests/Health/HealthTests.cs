using System.Net;
using System.Text.Json;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Health;

/// <summary>Issue 2, point 8: /health and /healthz depend on nothing; /ready on database, schema version and signing key, kept for two seconds.</summary>
public sealed class HealthTests : IAsyncLifetime
{
    private TestDatabase database = null!;
    private TestProxy network = null!;
    private TestApp app = null!;

    public async Task InitializeAsync()
    {
        database = await TestDatabase.CreateAsync(nameof(HealthTests));
        network = new TestProxy(database.Url);
        app = await TestApp.StartAsync(database, new() { ["DATABASE_URL"] = network.Url });
    }

    public async Task DisposeAsync()
    {
        await app.DisposeAsync();
        await network.DisposeAsync();
        await database.DisposeAsync();
    }

    [Fact]
    public async Task Ready_with_everything_in_place_is_200()
    {
        var (status, body) = await GetAsync("/ready");
        Assert.Equal((HttpStatusCode.OK, """{"status":"ready","checks":{"database":"ok","schema":"ok","signing_key":"ok"}}"""), (status, body));
    }

    [Fact]
    public async Task Database_unreachable_makes_ready_503_and_keeps_health_200_until_it_is_back()
    {
        await network.CutAsync();
        var (status, body) = await GetAsync("/ready");
        Assert.Equal(
            (
                HttpStatusCode.ServiceUnavailable,
                """{"status":"not_ready","checks":{"database":"failed","schema":"failed","signing_key":"ok"}}"""),
            (status, body));
        using (var told = await app.GetAsOperatorAsync("/ready"))
        {
            Assert.Equal(
                """{"status":"not_ready","checks":{"database":"the database does not answer","schema":"unknown","signing_key":"ok"}}""",
                await told.Content.ReadAsStringAsync());
        }

        Assert.Equal((HttpStatusCode.OK, """{"status":"healthy"}"""), await GetAsync("/health"));
        Assert.Equal(HttpStatusCode.OK, (await GetAsync("/healthz")).Status);

        network.Restore();
        app.Clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(HttpStatusCode.OK, (await GetAsync("/ready")).Status);
        Assert.Single(app.Log.Lines, "Warning 1062 Not ready: database: the database does not answer; schema: unknown ");
        Assert.Single(app.Log.Lines, "Information 1063 Ready again ");
    }

    /// <summary>architecture.md 3: an outage is 503, never an error that makes clients throw their credentials away.</summary>
    [Fact]
    public async Task Database_unreachable_is_503_at_the_token_endpoint_and_the_same_request_succeeds_later()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var flow = new OAuthFlow(app.Http);
        var tokens = await flow.TokensAsync(client, "user_outage");
        await network.CutAsync();
        var away = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "temporarily_unavailable"), (away.Status, away.Error));
        Assert.Equal(TimeSpan.FromSeconds(2), away.Headers.RetryAfter?.Delta);
        network.Restore();
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status);
    }

    [Fact]
    public async Task Ready_answer_is_kept_for_two_seconds()
    {
        await GetAsync("/ready");
        await network.CutAsync();
        app.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(HttpStatusCode.OK, (await GetAsync("/ready")).Status);
        app.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await GetAsync("/ready")).Status);
    }

    [Fact]
    public async Task Schema_too_old_is_503_and_says_what_to_do()
    {
        await database.ExecuteAsync("DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)");
        using var answer = await app.GetAsOperatorAsync("/ready");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        using var json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        Assert.Equal("ok", json.RootElement.GetProperty("checks").GetProperty("database").GetString());
        Assert.EndsWith("run 'GptFunctions setup'", json.RootElement.GetProperty("checks").GetProperty("schema").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Schema_missing_is_503()
    {
        await database.ExecuteAsync("DROP TABLE schema_migrations");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await GetAsync("/ready")).Status);
    }

    /// <summary>While a release rolls out, its setup has run already and the replicas of the one before must keep serving.</summary>
    [Fact]
    public async Task Schema_newer_than_the_program_is_ready()
    {
        await database.ExecuteAsync("INSERT INTO schema_migrations (version, name, checksum) VALUES (999, 'Later', 'x')");
        Assert.Equal(HttpStatusCode.OK, (await GetAsync("/ready")).Status);
    }

    [Fact]
    public async Task Relay_that_waits_for_the_broker_is_degraded_and_serves()
    {
        await using var relaying = await app.StartReplicaAsync(
            ("OUTBOX_RELAY", "true"), ("RABBITMQ_URL", "amqp://127.0.0.1:1"), ("AzureWebJobs.AuditConsumer.Disabled", "true"));
        await database.ExecuteAsync(
            "INSERT INTO outbox_messages (event_id, routing_key, envelope, occurred_at) VALUES (gen_random_uuid(), 'gpt.test', '{}', now())");
        await Wait.UntilAsync(async () =>
        {
            relaying.Clock.Advance(TimeSpan.FromSeconds(2));
            using var answer = await relaying.GetAsOperatorAsync("/ready");
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            return (await answer.Content.ReadAsStringAsync()).Contains("\"relay\":\"degraded: audit events wait in the outbox: ", StringComparison.Ordinal);
        });
        using var brief = await relaying.Http.GetAsync(new Uri("/ready", UriKind.Relative));
        Assert.Contains("\"relay\":\"degraded\"", await brief.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Database_that_refuses_the_login_is_503_and_not_a_bug()
    {
        await using var stranger = await TestApp.StartAsync(
            database, new() { ["DATABASE_URL"] = new UriBuilder(database.Url) { Path = "/no_such_database" }.Uri.ToString() });
        using var answer = await stranger.GetAsOperatorAsync("/ready");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Contains("SQLSTATE 3D000", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Healthz_says_which_program_runs_and_for_how_long()
    {
        var (_, body) = await GetAsync("/healthz");
        using var json = JsonDocument.Parse(body);
        Assert.Equal("ok", json.RootElement.GetProperty("status").GetString());
        Assert.NotEmpty(json.RootElement.GetProperty("version").GetString()!);
        Assert.False(json.RootElement.GetProperty("safe_mode").GetBoolean());
        Assert.InRange(json.RootElement.GetProperty("uptime_seconds").GetInt64(), 0, 600);
    }

    [Theory]
    [InlineData("/health")]
    [InlineData("/healthz")]
    [InlineData("/ready")]
    [InlineData("/__selftest")]
    [InlineData("/__selftest/simple")]
    public async Task Head_is_answered_without_a_body_and_nothing_is_cached(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Head, new Uri(path, UriKind.Relative));
        using var answer = await app.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("no-store", answer.Headers.CacheControl?.ToString());
        Assert.Empty(await answer.Content.ReadAsByteArrayAsync());
    }

    private async Task<(HttpStatusCode Status, string Body)> GetAsync(string path)
    {
        using var answer = await app.Http.GetAsync(new Uri(path, UriKind.Relative));
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }
}
