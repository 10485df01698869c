using System.Net;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>Two processes of the program on one database and with one issuer, as two replicas in production.</summary>
public sealed class TwoReplicas : AppFixture<TwoProcessTests>, IAsyncLifetime
{
    private AppProcess one = null!;
    private AppProcess two = null!;

    internal OAuthFlow One { get; private set; } = null!;

    internal OAuthFlow Two { get; private set; } = null!;

    async Task IAsyncLifetime.InitializeAsync()
    {
        await InitializeAsync(); // the app in this process adds clients and reads the database; requests go to the other two
        var replicas = await Task.WhenAll(AppProcess.StartAsync(App.Settings), AppProcess.StartAsync(App.Settings));
        (one, two) = (replicas[0], replicas[1]);
        (One, Two) = (new OAuthFlow(one.Http), new OAuthFlow(two.Http));
    }

    async Task IAsyncLifetime.DisposeAsync()
    {
        await one.DisposeAsync();
        await two.DisposeAsync();
        await DisposeAsync();
    }
}

/// <summary>oauth.md 7 and 11 over two processes.</summary>
public sealed class TwoProcessTests(TwoReplicas fixture) : IClassFixture<TwoReplicas>
{
    private readonly TestApp app = fixture.App;

    /// <summary>oauth.md 7.</summary>
    [Fact]
    public async Task Exchange_50_times_in_parallel_over_two_processes_gives_exactly_one_200()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await fixture.One.CodeAsync(client, "user_exchange");

        var answers = await OverBothAsync(flow => flow.ExchangeAsync(client, code));

        var success = Assert.Single(answers, answer => answer.Status == HttpStatusCode.OK);
        Assert.All(answers.Where(answer => answer != success), answer => Assert.Equal("invalid_grant", answer.Error));
        Assert.Equal(1, await app.Database.CountAsync("gpt_sessions", $"client_id = '{client.Id}'"));
        Assert.Single(await app.Database.EventsAsync(AuditEvents.TokenExchanged, "client_id", client.Id));
        Assert.Single(await app.Database.EventsAsync(AuditEvents.CodeReplayDetected, "client_id", client.Id));
    }

    /// <summary>oauth.md 11.</summary>
    [Fact]
    public async Task Refresh_50_times_in_parallel_over_two_processes_gives_fifty_200s_and_one_successor()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await fixture.One.TokensAsync(client, "user_refresh");
        var session = AccessTokenText.SessionId(tokens["access_token"]!);

        var answers = await OverBothAsync(flow => flow.RefreshAsync(client, tokens["refresh_token"]!));

        Assert.All(answers, answer => Assert.True(answer.Status == HttpStatusCode.OK, answer.Text));
        Assert.Single(answers.Select(answer => answer["refresh_token"]).Distinct());
        Assert.Equal(2, await app.Database.CountAsync("gpt_refresh_tokens", $"session_id = '{session}'"));
        Assert.Equal(1, await app.Database.CountOfSessionAsync(AuditEvents.TokenRefreshed, session));
    }

    /// <summary>A chain that changes the process with every link.</summary>
    [Fact]
    public async Task Refresh_goes_on_from_process_to_process()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await fixture.One.TokensAsync(client, "user_chain");
        for (var link = 0; link < 6; link++)
        {
            tokens = await (link % 2 == 0 ? fixture.Two : fixture.One).RefreshAsync(client, tokens["refresh_token"]!);
            Assert.Equal(HttpStatusCode.OK, tokens.Status);
            Assert.Equal(HttpStatusCode.OK, (await (link % 2 == 0 ? fixture.One : fixture.Two).SessionsAsync(tokens["access_token"]!)).Status);
        }
    }

    [Fact]
    public async Task Session_revoked_at_one_process_is_refused_at_the_other()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await fixture.One.TokensAsync(client, "user_revoke");
        Assert.Equal(HttpStatusCode.OK, (await fixture.Two.SessionsAsync(tokens["access_token"]!)).Status); // so that it may have been remembered there

        await fixture.One.RevokeAsync(client, tokens["refresh_token"]!);

        Assert.Equal("invalid_grant", (await fixture.Two.RefreshAsync(client, tokens["refresh_token"]!)).Error);
        await Wait.UntilAsync(async () => (await fixture.Two.SessionsAsync(tokens["access_token"]!)).Status == HttpStatusCode.Unauthorized);
        Assert.Equal("""{"active":false}""", (await fixture.Two.IntrospectAsync(client, tokens["access_token"]!)).Text);
    }

    private Task<JsonAnswer[]> OverBothAsync(Func<OAuthFlow, Task<JsonAnswer>> call) =>
        Task.WhenAll(Enumerable.Range(0, 50).Select(index => call(index % 2 == 0 ? fixture.One : fixture.Two)));
}
