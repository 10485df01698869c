using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Purge;
using GptFunctions.Tests.Audit;
using GptFunctions.Tests.Purge;
using GptFunctions.Tests.Support;
using GptFunctions.Tests.Webhooks;
using GptFunctions.Tokens;
using Npgsql;

namespace GptFunctions.Tests.Deployment;

/// <summary>
/// The whole app as gpt_app, on a schema that setup made as gpt_owner, through a real broker: the rights of roles.sql suffice for everything it
/// does.
/// </summary>
[Collection(AuditQueueTurns.Name)]
public sealed partial class ApplicationRoleTests : IAsyncLifetime
{
    private RolesDatabase roles = null!;
    private TestUpstream upstream = null!;
    private TestBroker broker = null!;
    private TestApp app = null!;
    private OAuthFlow flow = null!;

    private TestDatabase Database => roles.Database;

    public async Task InitializeAsync()
    {
        broker = await TestBroker.ConnectAsync();
        await broker.DeleteAsync(AuditSettings.Queue, AuditSettings.DeadLetters); // what an earlier run left
        upstream = await TestUpstream.StartAsync();
        roles = await RolesDatabase.CreateAsync(nameof(ApplicationRoleTests), [new("RABBITMQ_URL", broker.Url)]);
        app = await TestApp.StartAsync(Database, new Dictionary<string, string?>(WebhookSender.Settings, StringComparer.Ordinal)
        {
            ["DATABASE_URL"] = roles.ApplicationUrl,
            ["RABBITMQ_URL"] = broker.Url,
            ["OUTBOX_RELAY"] = "true",
            ["GATEWAY_CONFIG"] = GatewayRoutesFile.Write(nameof(ApplicationRoleTests), upstream.Url),
        });
        flow = new OAuthFlow(app.Http);
    }

    public async Task DisposeAsync()
    {
        await app.DisposeAsync();
        await upstream.DisposeAsync();
        await broker.DisposeAsync();
        await roles.DisposeAsync();
    }

    [Fact]
    public async Task Everything_works_and_no_statement_is_planned_differently_because_of_row_level_security()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await WalkTheFlowAsync(client);
        await DeliverWebhooksAsync();
        await CallTheGatewayAsync(client);
        await AuditTrailIsCompleteAsync();
        await PurgeAsync();
        await RunCommandsAsync(client);
        Assert.DoesNotContain(
            app.Log.Lines, line => line.Contains("42501", StringComparison.Ordinal) || line.Contains("permission denied", StringComparison.Ordinal));
        await PlansAreThoseOfTheOwnerAsync();
    }

    private async Task WalkTheFlowAsync(TestClient client)
    {
        using var ready = await app.Http.GetAsync(new Uri("/ready", UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
        using var selfTest = await app.GetAsOperatorAsync("/__selftest");
        var found = JsonElement.Parse(await selfTest.Content.ReadAsStringAsync()).GetProperty("subsystems");
        Assert.All(
            (string[])["database", "outbox", "rabbitmq", "change_feed", "purge", "countdowns", "callbacks", "stripe"],
            part => Assert.True(found.GetProperty(part).GetProperty("status").GetString() == "ok", $"{part}: {found.GetProperty(part)}"));
        for (var session = 0; session < 6; session++) // one more than a user may have
        {
            var tokens = await flow.TokensAsync(client, "user_role");
            var refreshed = await flow.RefreshAsync(client, tokens["refresh_token"]!);
            Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status); // within the grace
            Assert.Equal("True", (await flow.IntrospectAsync(client, refreshed["access_token"]!))["active"]);
            Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(refreshed["access_token"]!)).Status);
            if (session % 2 == 0)
            {
                Assert.Equal(HttpStatusCode.OK, (await flow.RevokeAsync(client, refreshed["refresh_token"]!)).Status);
            }
        }

        var replayed = await flow.TokensAsync(client, "user_replay");
        var stolen = await flow.RefreshAsync(client, replayed["refresh_token"]!);
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(stolen["access_token"]!)).Status);
        app.Clock.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, replayed["refresh_token"]!)).Error);
        var code = await flow.CodeAsync(client, "user_code");
        Assert.Equal(HttpStatusCode.OK, (await flow.ExchangeAsync(client, code)).Status);
        Assert.Equal("invalid_grant", (await flow.ExchangeAsync(client, code)).Error);
        Assert.Equal("invalid_client", (await flow.RefreshAsync(client with { Secret = "wrong" }, "x")).Error);
    }

    private async Task DeliverWebhooksAsync()
    {
        var sender = new WebhookSender(app.Http);
        var now = WebhookSender.Now.ToUnixTimeMilliseconds();
        JsonAnswer[] answers =
        [
            await sender.ClerkAsync(Events.User("user.created", "user_hook", now)),
            await sender.ClerkAsync(Events.User("user.updated", "user_hook", now + 1)),
            await sender.StripeAsync(Events.Subscription("created", now / 1000, "sub_1", "cus_1", user: "user_hook")),
            await sender.StripeAsync(Events.Invoice("paid", (now / 1000) + 1, "sub_1", "cus_1")),
            await sender.StripeAsync(Events.Checkout(now / 1000, "sub_1", "cus_1", "user_hook")),
            await sender.OrderAsync(Events.Order("order-1")),
            await sender.VerificationAsync(Events.Verification("order-1", "approved")),
            await sender.ClerkAsync(Events.UserDeleted("user_hook", now + 2)),
        ];
        Assert.All(answers, answer => Assert.True(answer.Status == HttpStatusCode.OK, answer.Text));
        Assert.Equal(0, await Database.CountAsync("webhook_events", "status = 'failed'"));
    }

    private async Task CallTheGatewayAsync(TestClient client)
    {
        var user = await new GatewayUsers(app).AddAsync(of: client);
        for (var call = 0; call < 10; call++)
        {
            using var response = await app.Http.CallAsync(user.Token, "/gpt/expensive");
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        using var beyond = await app.Http.CallAsync(user.Token, "/gpt/expensive");
        Assert.Equal(HttpStatusCode.TooManyRequests, beyond.StatusCode);
        Assert.DoesNotContain(app.Log.Lines, line => line.Contains(" 6003 ", StringComparison.Ordinal)); // limits counted in the process only
    }

    private async Task AuditTrailIsCompleteAsync()
    {
        await broker.PublishAsync(AuditSettings.Queue, "no event at all");
        await Wait.UntilAsync(async () => await Database.CountAsync("outbox_messages") == 0 && await Database.CountAsync("audit_quarantine") == 1);
        await Wait.UntilAsync(async () => await Database.CountAsync("gpt_oauth_events", "event_type = 'gpt.oauth.token_exchanged'") == 8);
        Assert.Equal(0U, await broker.CountAsync(AuditSettings.DeadLetters));
    }

    private async Task PurgeAsync()
    {
        var rows = new PurgeRows(Database, PurgeRows.Present, 2000, isClockRunning: true);
        await rows.AddOwnersAsync();
        await rows.AddCodesAsync();
        await rows.AddTokensAsync();
        var (code, output, error) = await RunAsync("purge");
        Assert.True(code == 0, error); // on a busy machine it also tells how far it is
        Assert.Contains(" rows deleted in ", output, StringComparison.Ordinal);
        Assert.Equal(1, await Database.CountAsync("maintenance_runs", "outcome = 'completed'"));
        foreach (var kind in PurgeClass.All) // each statement, whether or not there were rows for it
        {
            await app.Get<PurgeStore>().DeleteAsync(kind, new PurgeWindow(PurgeRows.Present, PurgeRows.Present), 10, kind.Start, CancellationToken.None);
        }
    }

    private async Task RunCommandsAsync(TestClient client)
    {
        foreach (var command in (string[][])[["clients", "list"], ["clients", "disable", client.Id], ["webhooks", "list"], ["audit", "tail", "--since", "1d"]])
        {
            var (code, _, error) = await RunAsync(command);
            Assert.True(code == 0 && error.Length == 0, string.Join(" ", command) + ": " + error);
        }
    }

    private Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments) => AppProcess.RunAsync(app.Settings, arguments);

    /// <summary>Every statement that the app ran, as PostgreSQL kept it, planned for the application and for a superuser, whom no policy concerns.</summary>
    private async Task PlansAreThoseOfTheOwnerAsync()
    {
        var statements = (await Database.ScalarAsync<string[]>("""
            SELECT array_agg(DISTINCT query) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
            WHERE d.datname = current_database() AND s.userid = 'gpt_app'::regrole AND query ~* '^\s*(with|select|insert|update|delete)\M'
            AND query LIKE '%gpt\_%'
            """))!;
        var compared = new List<string>();
        foreach (var statement in statements)
        {
            if (await PlanAsync(Database.Url, statement) is { } plan)
            {
                Assert.Equal(plan, await PlanAsync(roles.ApplicationUrl, statement));
                compared.Add(statement);
            }
        }

        Assert.True(compared.Count > 20, $"Not planned: {string.Join("\n---\n", statements.Except(compared, StringComparer.Ordinal))}");
        // The refresh.
        Assert.Contains(
            compared,
            statement => statement.Contains("INSERT INTO gpt_refresh_tokens", StringComparison.Ordinal)
                && statement.Contains("rotated_to", StringComparison.Ordinal));
    }

    /// <summary>
    /// PostgreSQL keeps statements with parameters in place of constants: an interval needs its type said again, and where any type would do it is
    /// text.
    /// </summary>
    /// <returns>Null when the statement cannot be prepared as it was kept.</returns>
    private static async Task<string?> PlanAsync(string url, string statement)
    {
        await using var source = NpgsqlDataSource.Create(new DatabaseSettings { Url = url, PoolSize = 1 }.ToConnectionString());
        await using var connection = await source.OpenConnectionAsync();
        var text = Interval().Replace(statement, "${parameter}::interval");
        var types = Enumerable.Repeat("unknown", Parameter().Matches(text).Select(match => Number(match)).DefaultIfEmpty().Max()).ToArray();
        for (var isPrepared = false; !isPrepared;)
        {
            await using var prepare = new NpgsqlCommand($"SET plan_cache_mode = force_generic_plan; PREPARE kept {List(types)} AS {text}", connection);
            try
            {
                await prepare.ExecuteNonQueryAsync();
                isPrepared = true;
            }
            catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.IndeterminateDatatype)
            {
                types[Number(Parameter().Match(error.MessageText)) - 1] = "text";
            }
            catch (PostgresException)
            {
                return null;
            }
        }

        await using var explain = new NpgsqlCommand($"EXPLAIN (COSTS OFF) EXECUTE kept {List([.. types.Select(_ => "NULL")])}", connection);
        await using var reader = await explain.ExecuteReaderAsync();
        var lines = new List<string>();
        while (await reader.ReadAsync())
        {
            // With row-level security leakproof conditions come first: the order within one filter changes no plan.
            var line = reader.GetString(0);
            lines.Add(line.Contains("Filter: ", StringComparison.Ordinal) ? string.Concat(line.Order()) : line);
        }

        return string.Join('\n', lines);

        static string List(string[] values) => values is [] ? "" : $"({string.Join(", ", values)})";
        static int Number(Match match) => int.Parse(match.Groups["number"].Value, CultureInfo.InvariantCulture);
    }

    [GeneratedRegex(@"\binterval (?<parameter>\$\d+)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Interval();

    [GeneratedRegex(@"\$(?<number>\d+)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Parameter();
}
