using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using GptFunctions.Identity;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Identity;

/// <summary>identity.md 12 and 16: for a page people sign in at the same provider, by the same redirect URI, and out there again.</summary>
public sealed partial class PageSignInTests(FakeProviderFixture<PageSignInTests> fixture) : IClassFixture<FakeProviderFixture<PageSignInTests>>
{
    private const string Home = "/connections";
    private readonly TestApp app = fixture.App;
    private readonly FakeProvider provider = fixture.Provider;

    [Fact]
    public async Task Page_sends_pkce_state_and_nonce_and_says_nothing_of_where_it_leads()
    {
        var (_, location) = await StartAsync();

        Assert.StartsWith(provider.Issuer + "/authorize?", location.OriginalString, StringComparison.Ordinal);
        Assert.Equal(
            "response_type client_id redirect_uri scope state nonce code_challenge code_challenge_method", OAuthFlow.ParameterNames(location));
        Assert.Equal(app.BaseUrl + "/oauth/callback", OAuthFlow.Parameter(location, "redirect_uri"));
        Assert.DoesNotContain("connections", location.OriginalString, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Person_comes_back_to_the_page_signed_in()
    {
        var (browser, page) = await SignInAsync("user_provider", Home + "?page=3");
        using var _ = page;
        var html = await page.Content.ReadAsStringAsync();

        Assert.Equal(Home + "?page=3", page.RequestMessage!.RequestUri!.PathAndQuery);
        Assert.Contains("user_provider@example.com", html, StringComparison.Ordinal);
        Assert.Equal(1, await app.Database.CountAsync("users", "clerk_user_id = 'user_provider' AND name = 'Person user_provider'"));
        using var again = await browser.GetAsync(Home);
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
    }

    [Fact]
    public async Task Callback_used_twice_is_403_and_ends_nothing()
    {
        var (browser, location) = await StartAsync();
        Answer("user_twice", location);
        var callback = Callback(location, "a-code-of-user_twice");
        using var first = await browser.GetAsync(callback);
        Answer("user_twice", location);

        using var second = await browser.GetAsync(callback);

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Forbidden), (first.StatusCode, second.StatusCode));
        using var page = await browser.GetAsync(Home);
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
    }

    [Fact]
    public async Task State_of_a_page_is_none_of_an_app_and_the_other_way_round()
    {
        var (browser, location) = await StartAsync();
        var client = await OAuthFlow.AddClientAsync(app);
        using var authorize = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)));
        var (ofPage, ofApp) = (OAuthFlow.Parameter(location, "state")!, OAuthFlow.Parameter(authorize.Headers.Location!, "state")!);

        Assert.True(PageSessions.IsState(ofPage));
        Assert.False(PageSessions.IsState(ofApp));
        foreach (var state in (string[])["page." + ofApp, ofPage["page.".Length..]])
        {
            using var response = await browser.GetAsync("/oauth/callback" + OAuthFlow.Query([("state", state), ("code", "x")]));
            Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        }
    }

    [Theory]
    [InlineData("access_denied", HttpStatusCode.Forbidden, "You did not sign in")]
    [InlineData("login_required", HttpStatusCode.BadGateway, "Signing in did not work")]
    public async Task Person_who_is_not_signed_in_gets_a_page_that_leads_to_another_try(string error, HttpStatusCode status, string title)
    {
        var (browser, location) = await StartAsync(Home + "?page=2");

        using var response = await browser.GetAsync(
            "/oauth/callback" + OAuthFlow.Query([("state", OAuthFlow.Parameter(location, "state")), ("error", error)]));
        var html = await response.Content.ReadAsStringAsync();

        Assert.Equal(status, response.StatusCode);
        Assert.Contains($"<h1>{title}</h1>", html, StringComparison.Ordinal);
        Assert.Contains($"href=\"{Home}?page=2\"", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Forged_id_token_signs_nobody_in()
    {
        var (browser, location) = await StartAsync();
        var claims = provider.IdTokenClaims("user_forged", "another-nonce", app.Clock.GetUtcNow());
        provider.Answers["a-forged-code"] = FakeProvider.Success(provider.Sign(claims));

        using var response = await browser.GetAsync(Callback(location, "a-forged-code"));

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Equal(0, await app.Database.CountAsync("users", "clerk_user_id = 'user_forged'"));
    }

    [Fact]
    public async Task Callback_while_the_provider_is_away_is_a_503_page_and_can_be_repeated()
    {
        var (browser, location) = await StartAsync();
        Answer("user_patient", location);
        provider.IsDown = true;
        using var down = await browser.GetAsync(Callback(location, "a-code-of-user_patient"));
        provider.IsDown = false;

        using var up = await browser.GetAsync(Callback(location, "a-code-of-user_patient"));

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "text/html"), (down.StatusCode, down.Content.Headers.ContentType?.MediaType));
        Assert.Equal(HttpStatusCode.OK, up.StatusCode);
    }

    /// <summary>RP-Initiated Logout 1.0, 2: the ID token says who signs out; it is encrypted where it waits for that.</summary>
    [Fact]
    public async Task Sign_out_leads_through_the_providers_end_of_session()
    {
        await using var own = await StartWithEndAsync("https://clerk.example/end?a=b");
        var (browser, page) = await SignInAsync("user_ends", Home, own);
        using var _ = page;
        var stored = await own.Database.ScalarAsync<byte[]>("SELECT id_token FROM page_sessions");

        using var response = await browser.SubmitToAsync(page, PageSessions.SignOutPath);
        var refresh = Assert.Single(response.Headers.GetValues("Refresh"));
        var html = await response.Content.ReadAsStringAsync();
        var url = new Uri(refresh["0; url=".Length..]);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.StartsWith("https://clerk.example/end?a=b&id_token_hint=ey", url.OriginalString, StringComparison.Ordinal);
        Assert.Equal((FakeProvider.ClientId, own.BaseUrl + "/connections/signed-out"), (
            OAuthFlow.Parameter(url, "client_id"), OAuthFlow.Parameter(url, "post_logout_redirect_uri")));
        Assert.Contains($"href=\"{WebUtility.HtmlEncode(url.OriginalString)}\"", html, StringComparison.Ordinal);
        Assert.DoesNotContain("ey", System.Text.Encoding.Latin1.GetString(stored!)[..2], StringComparison.Ordinal);
        Assert.Equal(0, await own.Database.CountAsync("page_sessions"));
        using var after = await browser.GetAsync("/connections/signed-out");
        Assert.Contains("You are signed out", await after.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("javascript:alert(1)")]
    [InlineData("/end")]
    [InlineData("away")]
    public async Task Sign_out_where_the_provider_has_no_end_of_session_ends_here(string? endpoint)
    {
        await using var own = await StartWithEndAsync(endpoint);
        var (browser, page) = await SignInAsync("user_ends_here", Home, own);
        using var _ = page;
        provider.IsDown = endpoint == "away";
        if (provider.IsDown)
        {
            own.Clock.Advance(TimeSpan.FromMinutes(1));
        }

        using var response = await browser.SubmitToAsync(page, PageSessions.SignOutPath);
        provider.IsDown = false;

        Assert.Equal("/connections/signed-out", response.RequestMessage!.RequestUri!.AbsolutePath);
        Assert.Equal(0, await own.Database.CountAsync("page_sessions"));
    }

    /// <summary>
    /// Where nothing ended at the provider, it would let the next person at this browser in as the one before: it has to ask (OpenID Connect Core 3.1.2.1).
    /// </summary>
    [Theory]
    [InlineData(null)]
    [InlineData("select_account")]
    public async Task Sign_in_after_a_sign_out_asks_who_it_is(string? supported)
    {
        provider.Discovery["prompt_values_supported"] = supported is null ? null : new JsonArray("none", "login", supported);
        await using var own = await StartWithEndAsync(null);
        var (browser, page) = await SignInAsync("user_before", Home, own);
        using var _ = page;
        using var signedOut = await browser.SubmitToAsync(page, PageSessions.SignOutPath);
        provider.Discovery.Remove("prompt_values_supported");
        var link = Link().Match(await signedOut.Content.ReadAsStringAsync()).Groups["url"].Value;

        using var again = await browser.GetAsync(WebUtility.HtmlDecode(link));
        var location = again.Headers.Location!;
        Answer("user_after", location);
        using var home = await browser.GetAsync(Callback(location, "a-code-of-user_after"));
        using var other = await new TestBrowser(own.Http).GetAsync(Home);

        Assert.Equal("login", OAuthFlow.Parameter(location, "prompt"));
        Assert.Equal((HttpStatusCode.OK, Home), (home.StatusCode, home.RequestMessage!.RequestUri!.PathAndQuery));
        Assert.Contains("user_after@example.com", await home.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Null(OAuthFlow.Parameter(other.Headers.Location!, "prompt"));
    }

    /// <summary>An app that reads the provider's document anew.</summary>
    private async Task<TestApp> StartWithEndAsync(string? endpoint)
    {
        provider.Discovery["end_session_endpoint"] = endpoint;
        return await TestApp.StartAsync("page_sign_out", provider.Settings);
    }

    private async Task<(TestBrowser Browser, Uri Location)> StartAsync(string path = Home, TestApp? at = null)
    {
        var browser = new TestBrowser((at ?? app).Http);
        using var start = await browser.GetAsync(path);
        Assert.Equal(HttpStatusCode.Redirect, start.StatusCode);
        return (browser, start.Headers.Location!);
    }

    private async Task<(TestBrowser Browser, HttpResponseMessage Page)> SignInAsync(string user, string path, TestApp? at = null)
    {
        var (browser, location) = await StartAsync(path, at);
        Answer(user, location);
        var page = await browser.GetAsync(Callback(location, "a-code-of-" + user));
        Assert.True(page.StatusCode == HttpStatusCode.OK, await page.Content.ReadAsStringAsync());
        return (browser, page);
    }

    private void Answer(string user, Uri location) => provider.Answers["a-code-of-" + user] =
        FakeProvider.Success(provider.Sign(provider.IdTokenClaims(user, OAuthFlow.Parameter(location, "nonce")!, app.Clock.GetUtcNow())));

    private static string Callback(Uri location, string code) =>
        "/oauth/callback" + OAuthFlow.Query([("state", OAuthFlow.Parameter(location, "state")), ("code", code)]);

    [GeneratedRegex("<a class=\"button\" href=\"(?<url>[^\"]*)\"", RegexOptions.None, 1000)]
    private static partial Regex Link();
}
