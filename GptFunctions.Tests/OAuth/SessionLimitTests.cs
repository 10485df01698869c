using System.Net;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 6 and sessions.md 3: at the limit the person sees the connected apps and can disconnect one on the spot.</summary>
public sealed partial class SessionLimitTests(SessionLimitFixture fixture) : IClassFixture<SessionLimitFixture>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Consent_page_at_the_limit_lists_the_apps_and_disconnects_the_chosen_one()
    {
        const string user = "user_full";
        var first = await OAuthFlow.AddClientAsync(app, name: "First app");
        var second = await OAuthFlow.AddClientAsync(app, name: "Second <b>app</b>");
        var third = await OAuthFlow.AddClientAsync(app, name: "Third app");
        var firstTokens = await flow.TokensAsync(first, user);
        var secondTokens = await flow.TokensAsync(second, user);
        var browser = new TestBrowser(app.Http);

        using var page = await browser.SignInAsync(user, OAuthFlow.Parameters(third));
        var html = await page.Content.ReadAsStringAsync();
        var disconnect = DisconnectButton().Matches(html).Single(button => button.Groups["label"].Value.Contains("Second", StringComparison.Ordinal));
        using var pageAgain = await browser.SubmitAsync(page, ("disconnect", disconnect.Groups["id"].Value));
        var htmlAgain = await pageAgain.Content.ReadAsStringAsync();
        using var approved = await browser.SubmitAsync(pageAgain, ("decision", "approve"));

        Assert.Equal(2, DisconnectButton().Count(html));
        Assert.Contains("Second &lt;b&gt;app&lt;/b&gt;", html, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, pageAgain.StatusCode);
        Assert.Equal(0, DisconnectButton().Count(htmlAgain));
        Assert.Equal(HttpStatusCode.SeeOther, approved.StatusCode);
        Assert.Equal("True", (await flow.IntrospectAsync(first, firstTokens["access_token"]!))["active"]);
        Assert.Equal("False", (await flow.IntrospectAsync(second, secondTokens["access_token"]!))["active"]);
    }

    [Fact]
    public async Task Consent_page_below_the_limit_lists_nothing()
    {
        var first = await OAuthFlow.AddClientAsync(app);
        var second = await OAuthFlow.AddClientAsync(app);
        await flow.TokensAsync(first, "user_room");

        using var page = await new TestBrowser(app.Http).SignInAsync("user_room", OAuthFlow.Parameters(second));

        Assert.Equal(0, DisconnectButton().Count(await page.Content.ReadAsStringAsync()));
    }

    /// <summary>Silence would cost the person another app, so they are asked although their consent is remembered.</summary>
    [Fact]
    public async Task Authorize_at_the_limit_asks_again_when_another_app_would_have_to_go()
    {
        const string user = "user_remembered";
        var returning = await OAuthFlow.AddClientAsync(app);
        await flow.TokensAsync(returning, user);
        await flow.TokensAsync(await OAuthFlow.AddClientAsync(app), user);
        await flow.TokensAsync(await OAuthFlow.AddClientAsync(app), user); // the first session made room for this one

        using var page = await new TestBrowser(app.Http).SignInAsync(user, OAuthFlow.Parameters(returning));

        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        Assert.Equal(2, DisconnectButton().Count(await page.Content.ReadAsStringAsync()));
    }

    [Fact]
    public async Task Authorize_at_the_limit_does_not_ask_when_the_apps_own_session_makes_room()
    {
        const string user = "user_reconnect";
        var returning = await OAuthFlow.AddClientAsync(app);
        await flow.TokensAsync(returning, user);
        await flow.TokensAsync(await OAuthFlow.AddClientAsync(app), user);

        using var response = await new TestBrowser(app.Http).SignInAsync(user, OAuthFlow.Parameters(returning));

        Assert.StartsWith(returning.RedirectUri + "?code=", response.Headers.Location!.OriginalString, StringComparison.Ordinal);
    }

    /// <summary>Each was told that there is room. Whoever exchanges second finds none, and ends nobody whom the person did not see named.</summary>
    [Fact]
    public async Task Two_sign_ins_before_either_exchange_end_no_third_app()
    {
        const string user = "user_two_at_once";
        var third = await OAuthFlow.AddClientAsync(app, name: "Third app");
        var thirdTokens = await flow.TokensAsync(third, user);
        app.Clock.Advance(TimeSpan.FromSeconds(1));
        var (one, other) = (await OAuthFlow.AddClientAsync(app), await OAuthFlow.AddClientAsync(app));
        var (oneCode, otherCode) = (await flow.CodeAsync(one, user), await flow.CodeAsync(other, user));

        var oneTokens = await flow.ExchangeAsync(one, oneCode);
        var refused = await flow.ExchangeAsync(other, otherCode);
        var alive = await flow.IntrospectAsync(third, thirdTokens["access_token"]!);
        using var page = await new TestBrowser(app.Http).SignInAsync(user, OAuthFlow.Parameters(other));
        var otherTokens = await flow.TokensAsync(other, user);

        Assert.Equal(HttpStatusCode.OK, oneTokens.Status);
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_grant"), (refused.Status, refused.Error));
        Assert.Contains("start again at the authorization endpoint", refused["error_description"], StringComparison.Ordinal);
        Assert.Equal("True", alive["active"]);
        Assert.Contains("<bdi>Third app</bdi> is disconnected", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, otherTokens.Status);
        Assert.Equal("False", (await flow.IntrospectAsync(third, thirdTokens["access_token"]!))["active"]);
        Assert.Equal("True", (await flow.IntrospectAsync(one, oneTokens["access_token"]!))["active"]);
    }

    /// <summary>What the page named ends, though by the time of the exchange another app has been idle for longer.</summary>
    [Fact]
    public async Task Exchange_ends_what_the_page_announced()
    {
        const string user = "user_announced";
        var (named, busy) = (await OAuthFlow.AddClientAsync(app, name: "Named app"), await OAuthFlow.AddClientAsync(app));
        var namedTokens = await flow.TokensAsync(named, user);
        app.Clock.Advance(TimeSpan.FromSeconds(1));
        var busyTokens = await flow.TokensAsync(busy, user);
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync(user, OAuthFlow.Parameters(client));
        app.Clock.Advance(TimeSpan.FromSeconds(1));
        namedTokens = await flow.RefreshAsync(named, namedTokens["refresh_token"]!);

        using var approved = await browser.SubmitAsync(page, ("decision", "approve"));
        var tokens = await flow.ExchangeAsync(client, OAuthFlow.Parameter(approved.Headers.Location!, "code")!);

        Assert.Contains("<bdi>Named app</bdi> is disconnected", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, tokens.Status);
        Assert.Equal("False", (await flow.IntrospectAsync(named, namedTokens["access_token"]!))["active"]);
        Assert.Equal("True", (await flow.IntrospectAsync(busy, busyTokens["access_token"]!))["active"]);
    }

    /// <summary>A page from when there was room approves nothing that it did not say.</summary>
    [Fact]
    public async Task Approval_of_a_page_that_announced_nothing_shows_it_again_when_there_is_no_room_any_more()
    {
        const string user = "user_filled_up";
        await flow.TokensAsync(await OAuthFlow.AddClientAsync(app, name: "First app"), user);
        app.Clock.Advance(TimeSpan.FromSeconds(1));
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync(user, OAuthFlow.Parameters(client));
        await flow.TokensAsync(await OAuthFlow.AddClientAsync(app), user);

        using var pageAgain = await browser.SubmitAsync(page, ("decision", "approve"));
        using var approved = await browser.SubmitAsync(pageAgain, ("decision", "approve"));

        Assert.DoesNotContain("is disconnected", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, pageAgain.StatusCode);
        Assert.Contains("<bdi>First app</bdi> is disconnected", await pageAgain.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await flow.ExchangeAsync(client, OAuthFlow.Parameter(approved.Headers.Location!, "code")!)).Status);
    }

    /// <summary>After GPT_MAX_SESSIONS_IN_ALL was lowered one connection may end several; all are named.</summary>
    [Fact]
    public async Task Consent_page_names_every_app_that_has_to_go()
    {
        const string user = "user_lowered";
        var kept = await OAuthFlow.AddClientAsync(app, name: "Kept app");
        await flow.TokensAsync(kept, user);
        await InsertSessionsAsync(app, user, await OAuthFlow.AddClientAsync(app, name: "Older app"), 2);
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync(user, OAuthFlow.Parameters(client));

        using var approved = await browser.SubmitAsync(page, ("decision", "approve"));
        var tokens = await flow.ExchangeAsync(client, OAuthFlow.Parameter(approved.Headers.Location!, "code")!);

        Assert.Contains("<bdi>Older app</bdi>, <bdi>Older app</bdi>", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, tokens.Status);
        Assert.Equal(
            $"{kept.Id} {client.Id}",
            await app.Database.ScalarAsync<string>(
                "SELECT string_agg(client_id, ' ' ORDER BY session.id) FROM gpt_sessions session JOIN users ON users.id = user_id WHERE clerk_user_id = "
                    + $"'{user}' AND revoked_at IS NULL"));
    }

    /// <summary>There is room for other apps: only this one has been connected as often as it may.</summary>
    [Fact]
    public async Task Consent_page_at_the_limit_of_the_app_lists_its_own_connections_only()
    {
        const string user = "user_own_limit";
        await using var own = await app.StartReplicaAsync(
            ("GPT_MAX_SESSIONS_PER_USER", "2"), ("GPT_MAX_SESSIONS_IN_ALL", "25"), ("PUBLIC_BASE_URL", app.BaseUrl));
        var client = await OAuthFlow.AddClientAsync(app, name: "Restless app");
        var walk = new OAuthFlow(own.Http);
        await walk.TokensAsync(await OAuthFlow.AddClientAsync(app, name: "Bystander app"), user);
        await walk.TokensAsync(client, user, ("scope", "jobs:read"));
        await walk.TokensAsync(client, user, ("scope", "jobs:read"));
        var browser = new TestBrowser(own.Http);

        using var silent = await browser.SignInAsync(user, OAuthFlow.Parameters(client, ("scope", "jobs:read")));
        using var page = await browser.SignInAsync(user, OAuthFlow.Parameters(client)); // more scopes: asked

        var html = await page.Content.ReadAsStringAsync();
        Assert.Equal(HttpStatusCode.Redirect, silent.StatusCode);
        Assert.Contains("You have connected <bdi>Restless app</bdi> 2 times already", html, StringComparison.Ordinal);
        Assert.Contains("it takes the place of the one that was used least recently", html, StringComparison.Ordinal);
        Assert.Equal(2, DisconnectButton().Count(html));
        Assert.DoesNotContain("Bystander", html, StringComparison.Ordinal);
    }

    /// <summary>More sessions than a page of the API holds.</summary>
    [Fact]
    public async Task Consent_page_warns_at_a_limit_above_100_too()
    {
        const string user = "user_of_many";
        await using var own = await app.StartReplicaAsync(("GPT_MAX_SESSIONS_IN_ALL", "150"), ("PUBLIC_BASE_URL", app.BaseUrl));
        await flow.TokensAsync(await OAuthFlow.AddClientAsync(app), user);
        await InsertSessionsAsync(app, user, await OAuthFlow.AddClientAsync(app, name: "Oldest app"), 1, "2 days");
        await InsertSessionsAsync(app, user, await OAuthFlow.AddClientAsync(app), 148);

        using var page = await new TestBrowser(own.Http).SignInAsync(user, OAuthFlow.Parameters(await OAuthFlow.AddClientAsync(app)));

        var html = await page.Content.ReadAsStringAsync();
        Assert.Contains("You have 150 connections already", html, StringComparison.Ordinal);
        Assert.Contains("<bdi>Oldest app</bdi> is disconnected", html, StringComparison.Ordinal);
        Assert.Equal(100, DisconnectButton().Count(html));
    }

    /// <summary>Live sessions that were last active some time ago, by the dozen.</summary>
    private static Task InsertSessionsAsync(TestApp app, string user, TestClient client, int count, string idle = "1 day") => app.Database.ExecuteAsync($$"""
        INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at)
        SELECT gen_random_uuid(), '{{client.Id}}', users.id, '{jobs:read}', '{jobs:read}', 'r',
               now() - interval '3 days', now() - interval '{{idle}}', now() + interval '30 days'
        FROM users, generate_series(1, {{count}}) WHERE clerk_user_id = '{{user}}'
        """);

    [Fact]
    public async Task Disconnect_of_another_persons_session_ends_nothing()
    {
        var victims = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(victims, "user_bystander");
        var session = AccessTokenText.SessionId(tokens["access_token"]!);
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync("user_meddler", OAuthFlow.Parameters(client));

        using var pageAgain = await browser.SubmitAsync(page, ("disconnect", session.ToString()));

        Assert.Equal(HttpStatusCode.OK, pageAgain.StatusCode);
        Assert.Equal("True", (await flow.IntrospectAsync(victims, tokens["access_token"]!))["active"]);
    }

    [Fact]
    public async Task Disconnect_without_csrf_token_is_403_and_ends_nothing()
    {
        const string user = "user_disconnect_csrf";
        var connected = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(connected, user);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync(user, OAuthFlow.Parameters(await OAuthFlow.AddClientAsync(app)));
        var request = TestBrowser.HiddenFields(await page.Content.ReadAsStringAsync()).Single(field => field.Name == "request").Value;

        using var response = await browser.PostAsync(
            "/oauth/authorize/decision", ("request", request), ("disconnect", AccessTokenText.SessionId(tokens["access_token"]!).ToString()));

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Equal("True", (await flow.IntrospectAsync(connected, tokens["access_token"]!))["active"]);
    }

    [GeneratedRegex("""name="disconnect" value="(?<id>[^"]+)" aria-label="(?<label>[^"]*)"?""", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex DisconnectButton();
}

public sealed class SessionLimitFixture : AppFixture<SessionLimitTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings => [new("GPT_MAX_SESSIONS_IN_ALL", "2")];
}
