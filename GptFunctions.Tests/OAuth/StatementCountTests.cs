using System.Net;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.OAuth;

/// <summary>"One round trip on the happy path", counted by PostgreSQL itself (pg_stat_statements).</summary>
public sealed class StatementCountTests(AppFixture<StatementCountTests> fixture) : IClassFixture<AppFixture<StatementCountTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Exchange_is_one_statement()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_exchange");

        Assert.Single(await StatementsOfAsync(HttpStatusCode.OK, () => flow.ExchangeAsync(client, code)));
    }

    [Fact]
    public async Task Refresh_is_one_statement()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_refresh");

        Assert.Single(await StatementsOfAsync(HttpStatusCode.OK, () => flow.RefreshAsync(client, tokens["refresh_token"]!)));
    }

    [Fact]
    public async Task Revoke_is_one_statement()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_revoke");

        Assert.Single(await StatementsOfAsync(HttpStatusCode.OK, () => flow.RevokeAsync(client, tokens["refresh_token"]!)));
        Assert.Single(await StatementsOfAsync(HttpStatusCode.OK, () => flow.RevokeAsync(client, tokens["access_token"]!)));
    }

    [Fact]
    public async Task Introspect_is_one_statement()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_introspect");

        Assert.Single(await StatementsOfAsync(HttpStatusCode.OK, () => flow.IntrospectAsync(client, tokens["access_token"]!)));
        Assert.Single(await StatementsOfAsync(HttpStatusCode.OK, () => flow.IntrospectAsync(client, tokens["refresh_token"]!)));
    }

    /// <summary>"Failures may take a second query to find out why." A repeat takes a third one, which counts it.</summary>
    [Fact]
    public async Task Refused_grants_are_two_statements_and_repeated_ones_three()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_repeat");
        await flow.RefreshAsync(client, tokens["refresh_token"]!);
        Assert.Equal(3, (await StatementsOfAsync(HttpStatusCode.OK, () => flow.RefreshAsync(client, tokens["refresh_token"]!))).Count);

        Assert.Equal(3, (await StatementsOfAsync(HttpStatusCode.OK, () => flow.RefreshAsync(client, tokens["refresh_token"]!))).Count);
        Assert.Equal(2, (await StatementsOfAsync(HttpStatusCode.BadRequest, () => flow.RefreshAsync(client, "unknown"))).Count);
        Assert.Equal(2, (await StatementsOfAsync(HttpStatusCode.BadRequest, () => flow.ExchangeAsync(client, "unknown"))).Count);
    }

    /// <summary>oauth.md 9: unknown client and wrong secret cannot be told apart in time either, because the very same statements run.</summary>
    [Fact]
    public async Task Unknown_client_and_wrong_secret_run_the_same_statements()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var wrongSecret = await StatementsOfAsync(HttpStatusCode.Unauthorized, () => flow.RefreshAsync(client with { Secret = "wrong" }, "unknown"));
        var unknownClient = await StatementsOfAsync(
            HttpStatusCode.Unauthorized, () => flow.RefreshAsync(client with { Id = "unknown", Secret = "wrong" }, "unknown"));

        Assert.NotEmpty(wrongSecret);
        Assert.Equal(wrongSecret, unknownClient);
    }

    /// <summary>What ran in this class's database meanwhile; a statement that ran twice is there twice.</summary>
    private async Task<IReadOnlyList<string>> StatementsOfAsync(HttpStatusCode expected, Func<Task<JsonAnswer>> act)
    {
        await app.Database.ExecuteAsync("SELECT pg_stat_statements_reset(0, (SELECT oid FROM pg_database WHERE datname = current_database()), 0)");
        Assert.Equal(expected, (await act()).Status);
        await using var command = app.Database.Source.CreateCommand(
            """
            SELECT queryid || ' ' || left(query, 40) FROM pg_stat_statements, generate_series(1, calls)
            WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND query NOT LIKE '%pg_stat_statements%' AND query NOT LIKE 'LISTEN %'
              AND query <> 'SELECT clock_timestamp()' -- the process reads the database's time now and then, for no request
            ORDER BY queryid
            """);
        await using var reader = await command.ExecuteReaderAsync();
        var statements = new List<string>();
        while (await reader.ReadAsync())
        {
            statements.Add(reader.GetString(0));
        }

        return statements;
    }
}
