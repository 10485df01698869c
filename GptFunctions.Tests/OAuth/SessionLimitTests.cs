using System.Net;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 6 and "Sessions": at the limit the person sees the connected apps and can disconnect one on the spot.</summary>
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

        using var response = await browser.PostAsync("/oauth/authorize/decision", ("request", request), ("disconnect", AccessTokenText.SessionId(tokens["access_token"]!).ToString()));

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Equal("True", (await flow.IntrospectAsync(connected, tokens["access_token"]!))["active"]);
    }

    [GeneratedRegex("""name="disconnect" value="(?<id>[^"]+)" aria-label="(?<label>[^"]*)"?""", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex DisconnectButton();
}

public sealed class SessionLimitFixture : AppFixture<SessionLimitTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings => [new("GPT_MAX_SESSIONS_PER_USER", "2")];
}
