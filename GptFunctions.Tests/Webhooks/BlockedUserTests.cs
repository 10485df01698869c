using System.Net;
using System.Text.Json.Nodes;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>A ban or a lock at Clerk is remembered until Clerk takes it back: nothing that a deleted user cannot do is left to a blocked one.</summary>
public sealed class BlockedUserTests(WebhookFixture<BlockedUserTests> fixture) : IClassFixture<WebhookFixture<BlockedUserTests>>, IDisposable
{
    private readonly OAuthFlow flow = fixture.Flow;
    private readonly WebhookSender sender = fixture.Sender;
    private readonly string user = WebhookSender.NewId("user");
    private long at = 1_700_000_000_000;

    private TestApp App => fixture.App;

    public void Dispose() => App.Clock.Reset();

    [Theory]
    [InlineData("banned")]
    [InlineData("locked")]
    public async Task Blocked_user_cannot_sign_in_until_it_is_taken_back(string how)
    {
        var client = await OAuthFlow.AddClientAsync(App);
        await flow.TokensAsync(client, user);
        await TellAsync((how, true));

        using (var refused = await new TestBrowser(App.Http).SignInAsync(user, OAuthFlow.Parameters(client)))
        {
            Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
            Assert.Contains("blocked", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        await TellAsync((how, false));
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync((await flow.TokensAsync(client, user))["access_token"]!)).Status);
    }

    /// <summary>Both are told in each event, or only one of them: what is not said stays as it was.</summary>
    [Fact]
    public async Task Ban_and_lock_are_taken_back_one_by_one()
    {
        await TellAsync(("banned", true), ("locked", true));
        Assert.True(await IsBlockedAsync());
        await TellAsync(("banned", false));
        Assert.True(await IsBlockedAsync());
        await TellAsync(("banned", null));
        Assert.True(await IsBlockedAsync());
        await TellAsync(("locked", false));
        Assert.False(await IsBlockedAsync());
        await TellAsync(("locked", true), ("banned", false));
        await TellAsync(("banned", true));
        await TellAsync(("locked", false));
        Assert.True(await IsBlockedAsync());
        await TellAsync();
        Assert.True(await IsBlockedAsync());
        await TellAsync(("banned", false));
        Assert.False(await IsBlockedAsync());
    }

    /// <summary>In the order of Clerk's changes, not of the deliveries; also for somebody who was never heard of.</summary>
    [Fact]
    public async Task Older_change_does_not_take_a_ban_back()
    {
        await TellAsync(("banned", true));
        at -= 5000;
        await TellAsync(("banned", false));
        Assert.True(await IsBlockedAsync());
    }

    /// <summary>Clerk's lock ends after an hour, and that is no change of the user that it would tell.</summary>
    [Fact]
    public async Task Lock_ends_by_itself_when_clerk_says_so_and_a_ban_does_not()
    {
        at = App.Clock.GetUtcNow().ToUnixTimeMilliseconds();
        await TellAsync(("locked", true), ("lockout_expires_in_seconds", 3600));
        Assert.True(await IsBlockedAsync());
        App.Clock.Advance(TimeSpan.FromSeconds(3601));
        Assert.False(await IsBlockedAsync());

        await TellAsync(("locked", true), ("lockout_expires_in_seconds", 3600), ("banned", true));
        App.Clock.Advance(TimeSpan.FromSeconds(7300));
        Assert.True(await IsBlockedAsync());
    }

    /// <summary>The row alone decides, at each place: code exchange, refresh, introspection and our own API.</summary>
    [Fact]
    public async Task Blocked_user_is_refused_at_every_endpoint_and_nothing_is_lost_when_let_go()
    {
        var client = await OAuthFlow.AddClientAsync(App);
        var tokens = await flow.TokensAsync(client, user);
        var code = await flow.CodeAsync(client, user);
        await App.Database.ExecuteAsync($"UPDATE users SET blocked_at = now() WHERE clerk_user_id = '{user}'");

        Assert.Equal("invalid_grant", (await flow.ExchangeAsync(client, code)).Error);
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Error);
        Assert.Equal("invalid_token", (await flow.SessionsAsync(tokens["access_token"]!)).Error);
        foreach (var token in (string[])[tokens["access_token"]!, tokens["refresh_token"]!])
        {
            Assert.Equal("""{"active":false}""", (await flow.IntrospectAsync(client, token)).Text);
        }

        await App.Database.ExecuteAsync($"UPDATE users SET blocked_at = NULL WHERE clerk_user_id = '{user}'");
        Assert.Equal(HttpStatusCode.OK, (await flow.ExchangeAsync(client, code)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(tokens["access_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status);
        Assert.Empty(await App.Database.EventsAsync(AuditEvents.ReplayDetected, "clerk_user_id", user));
    }

    /// <summary>The consent page was open when the ban came.</summary>
    [Fact]
    public async Task Consent_of_a_user_who_was_blocked_meanwhile_makes_no_code()
    {
        var client = await OAuthFlow.AddClientAsync(App);
        var browser = new TestBrowser(App.Http);
        using var page = await browser.SignInAsync(user, OAuthFlow.Parameters(client));
        await App.Database.ExecuteAsync($"UPDATE users SET blocked_at = now() WHERE clerk_user_id = '{user}'");

        using var refused = await browser.SubmitAsync(page, ("decision", "approve"));

        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        Assert.Equal(0, await App.Database.CountAsync("gpt_authorization_codes", $"client_id = '{client.Id}'"));
    }

    /// <summary>A second later each time.</summary>
    private async Task TellAsync(params (string Name, JsonNode? Value)[] flags)
    {
        at += 1000;
        var body = Events.User("user.updated", user, at);
        var data = body["data"]!.AsObject();
        data.Remove("banned");
        data.Remove("locked");
        foreach (var (name, value) in flags)
        {
            data[name] = value;
        }

        Assert.Equal("""{"received":true}""", (await sender.ClerkAsync(body)).Text);
    }

    private Task<bool> IsBlockedAsync() =>
        App.Database.ScalarAsync<bool>(
            "SELECT NOT user_may_act(users, $2) AND blocked_at IS NOT NULL FROM users WHERE clerk_user_id = $1", user, App.Clock.GetUtcNow());
}

/// <summary>An app that takes Clerk's session JWTs, with its gateway.</summary>
public sealed class WithClerkSessions : GatewayFixture<BlockedWebUserTests>
{
    private FakeProvider provider = null!;

    internal FakeProvider Provider => provider;

    protected override IEnumerable<KeyValuePair<string, string?>> Settings => [.. provider.Settings];

    public override async Task InitializeAsync()
    {
        provider = await FakeProvider.StartAsync();
        await base.InitializeAsync();
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await provider.DisposeAsync();
    }
}

/// <summary>The same for the company's web app, whose Clerk session outlives the ban by a minute.</summary>
public sealed class BlockedWebUserTests(WithClerkSessions fixture) : IClassFixture<WithClerkSessions>
{
    private readonly TestApp app = fixture.App;

    [Fact]
    public async Task Blocked_user_is_refused_by_the_gateway_at_once_and_served_again_at_once()
    {
        var user = await fixture.Users.AddAsync();
        var session = fixture.Provider.Sign(fixture.Provider.SessionClaims(user.Subject, app.Clock.GetUtcNow()));
        foreach (var (token, path) in ((string, string)[])[(session, "/gpt/web"), (user.Token, "/gpt/echo")])
        {
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(token, path));
            await app.Database.ExecuteAsync($"UPDATE users SET blocked_at = now() WHERE id = '{user.Id}'");
            await Wait.UntilAsync(async () => await StatusAsync(token, path) == HttpStatusCode.Forbidden, TimeSpan.FromSeconds(1));
            using (var refused = await app.Http.CallAsync(token, path))
            {
                Assert.Equal("USER_BLOCKED", (await refused.ProblemAsync()).GetProperty("code").GetString());
            }

            await app.Database.ExecuteAsync($"UPDATE users SET blocked_at = NULL WHERE id = '{user.Id}'");
            await Wait.UntilAsync(async () => await StatusAsync(token, path) == HttpStatusCode.OK, TimeSpan.FromSeconds(1));
        }
    }

    [Fact]
    public async Task Blocked_user_cannot_consent_from_the_web_app()
    {
        var user = await fixture.Users.AddAsync();
        await app.Database.ExecuteAsync($"UPDATE users SET blocked_at = now() WHERE id = '{user.Id}'");
        var authorization = new System.Net.Http.Headers.AuthenticationHeaderValue(
            "Bearer", fixture.Provider.Sign(fixture.Provider.SessionClaims(user.Subject, app.Clock.GetUtcNow())));
        var flow = new OAuthFlow(app.Http);

        var read = await flow.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/oauth/consent?client_id=" + user.ClientId)
        {
            Headers = { Authorization = authorization },
        });
        var approved = await flow.PostFormAsync(
            "/oauth/consent", authorization, OAuthFlow.Parameters(new TestClient(user.ClientId, null, "https://client.example/callback")));

        Assert.Equal((HttpStatusCode.Forbidden, "access_denied"), (read.Status, read.Error));
        Assert.Equal((HttpStatusCode.Forbidden, "access_denied"), (approved.Status, approved.Error));
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_codes", $"user_id = '{user.Id}'"));
    }

    private async Task<HttpStatusCode> StatusAsync(string token, string path)
    {
        using var response = await app.Http.CallAsync(token, path);
        return response.StatusCode;
    }
}
