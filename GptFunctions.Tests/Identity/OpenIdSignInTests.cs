using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Identity;

/// <summary>
/// identity.md 1 and 3: sign-in at an OpenID provider that we did not write. <see cref="IdTokenTests"/> has what a good provider never says.
/// </summary>
public sealed partial class OpenIdSignInTests(OpenIdProviderProcess provider) : IClassFixture<OpenIdProviderProcess>
{
    private readonly TestApp app = provider.App;
    private readonly OAuthFlow flow = new(provider.App.Http);

    [Fact]
    public async Task Whole_flow_ends_in_tokens_for_the_providers_account()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        using var browser = new Browser();

        using var consent = await SignInAsync(browser, client, "user_provider");
        var html = await consent.Content.ReadAsStringAsync();
        using var approved = await browser.SubmitAsync(consent, ("decision", "approve"));
        var tokens = await flow.ExchangeAsync(client, OAuthFlow.Parameter(approved.Headers.Location!, "code")!);

        Assert.Contains("user_provider@example.com", html, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, tokens.Status);
        Assert.Equal("user_provider", AccessTokenText.Claims(tokens["access_token"]!).GetProperty("sub").GetString());
        Assert.Equal(
            "user_provider@example.com, Person user_provider",
            await app.Database.ScalarAsync<string>("SELECT email || ', ' || name FROM users WHERE clerk_user_id = 'user_provider'"));
        Assert.Single(await app.Database.EventsAsync(AuditEvents.SignedIn, "clerk_user_id", "user_provider"));
    }

    /// <summary>We keep no sign-in of our own: the provider's session makes the second round trip silent.</summary>
    [Fact]
    public async Task Second_connection_of_the_same_browser_needs_no_click()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        using var browser = new Browser();
        using var consent = await SignInAsync(browser, client, "user_silent");
        using var approved = await browser.SubmitAsync(consent, ("decision", "approve"));

        using var second = await browser.GetAsync(AuthorizeUrl(client));

        Assert.StartsWith(client.RedirectUri + "?code=", second.Headers.Location!.OriginalString, StringComparison.Ordinal);
    }

    /// <summary>The provider's own session would answer for the person who is not meant: it is asked to ask, and in which language.</summary>
    [Fact]
    public async Task Sign_in_as_somebody_else_asks_the_provider_for_it()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        using var browser = new Browser();
        using var consent = await SignInAsync(browser, client, "user_sister");
        var html = WebUtility.HtmlDecode(await consent.Content.ReadAsStringAsync());

        using var login = await browser.GetAsync(new Uri(app.BaseUrl + html.Split("<dd><bdi>")[1].Split("href=\"")[1].Split('"')[0]));
        Assert.NotEqual(new Uri(app.BaseUrl).Authority, login.RequestMessage!.RequestUri!.Authority); // it did not come straight back
        var page = login;
        for (var step = 0; step < 5 && page.RequestMessage!.RequestUri!.Authority != new Uri(app.BaseUrl).Authority; step++)
        {
            page = await browser.SubmitAsync(page, ("login", "user_brother"), ("password", "any"));
        }

        Assert.Contains("user_brother@example.com", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        using var approved = await browser.SubmitAsync(page, ("decision", "approve"));
        var tokens = await flow.ExchangeAsync(client, OAuthFlow.Parameter(approved.Headers.Location!, "code")!);
        Assert.Equal("user_brother", AccessTokenText.Claims(tokens["access_token"]!).GetProperty("sub").GetString());
    }

    [Fact]
    public async Task Person_who_cancels_at_the_provider_is_access_denied_for_the_client()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        using var browser = new Browser();
        using var login = await browser.GetAsync(AuthorizeUrl(client));
        var abort = new Uri(login.RequestMessage!.RequestUri! + "/abort");

        using var response = await browser.GetAsync(abort);

        var redirect = response.Headers.Location!;
        Assert.StartsWith(client.RedirectUri + "?error=access_denied&", redirect.OriginalString, StringComparison.Ordinal);
        Assert.Equal("error error_description state iss", OAuthFlow.ParameterNames(redirect));
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_requests", $"client_id = '{client.Id}'"));
    }

    /// <summary>It holds the request, sealed for the browser that began it.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("garbage")]
    [InlineData("AAAA{end}")]
    [InlineData("{start}AAAA")]
    [InlineData("{start}")]
    [InlineData("{start}{end}.")]
    public async Task Callback_with_a_wrong_state_is_403(string pattern)
    {
        using var browser = new Browser();
        var callback = await CallbackAsync(browser, await OAuthFlow.AddClientAsync(app), "user_wrong_state");
        var right = OAuthFlow.Parameter(callback, "state")!;
        var wrong = $"{pattern}".Replace("{start}", right[..^4], StringComparison.Ordinal).Replace("{end}", right[^4..], StringComparison.Ordinal);

        using var response = await browser.GetAsync(WithParameter(callback, "state", wrong));
        using var consent = await browser.GetAsync(callback);

        await AssertNotInProgressAsync(response);
        Assert.Equal(HttpStatusCode.OK, consent.StatusCode);
    }

    /// <summary>Login CSRF: a callback that an attacker began, opened in the victim's browser.</summary>
    [Theory]
    [InlineData(false)] // the victim has no sign-in in progress
    [InlineData(true)]
    public async Task Callback_with_the_state_of_another_browser_is_403(bool hasOwnRequest)
    {
        using var attacker = new Browser();
        using var victim = new Browser();
        var client = await OAuthFlow.AddClientAsync(app);
        if (hasOwnRequest)
        {
            using var own = await victim.GetAsync(AuthorizeUrl(client));
        }

        var callback = await CallbackAsync(attacker, client, "user_attacker");

        using var response = await victim.GetAsync(callback);

        await AssertNotInProgressAsync(response);
    }

    [Fact]
    public async Task Callback_with_a_state_used_twice_is_403_and_ends_nothing()
    {
        using var browser = new Browser();
        var callback = await CallbackAsync(browser, await OAuthFlow.AddClientAsync(app), "user_twice");

        using var consent = await browser.GetAsync(callback);
        using var again = await browser.GetAsync(callback);
        using var approved = await browser.SubmitAsync(consent, ("decision", "approve"));

        Assert.Equal(HttpStatusCode.OK, consent.StatusCode);
        await AssertNotInProgressAsync(again);
        Assert.Equal(HttpStatusCode.SeeOther, approved.StatusCode);
    }

    [Fact]
    public async Task Callback_after_ten_minutes_is_403()
    {
        using var browser = new Browser();
        var callback = await CallbackAsync(browser, await OAuthFlow.AddClientAsync(app), "user_late");
        app.Clock.Advance(TimeSpan.FromMinutes(11));

        using var response = await browser.GetAsync(callback);

        app.Clock.Reset();
        await AssertNotInProgressAsync(response);
    }

    /// <summary>Code injection: the attacker's code with the victim's own state. PKCE binds the code to the browser that asked for it.</summary>
    [Fact]
    public async Task Callback_with_the_code_of_another_sign_in_signs_nobody_in()
    {
        using var attacker = new Browser();
        using var victim = new Browser();
        var client = await OAuthFlow.AddClientAsync(app);
        var stolen = OAuthFlow.Parameter(await CallbackAsync(attacker, client, "user_injected"), "code")!;
        var callback = await CallbackAsync(victim, client, "user_injection_victim");

        using var response = await victim.GetAsync(WithParameter(callback, "code", stolen));

        Assert.StartsWith(client.RedirectUri + "?error=server_error&", response.Headers.Location!.OriginalString, StringComparison.Ordinal);
        Assert.Equal(0, await app.Database.CountAsync("users", "clerk_user_id IN ('user_injected', 'user_injection_victim')"));
        Assert.Contains(app.Log.Lines, line => line.Contains("refused the code: 400 invalid_grant", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Development_sign_in_is_404_beside_a_provider()
    {
        using var browser = new Browser();

        using var response = await browser.GetAsync(new Uri(app.BaseUrl + "/dev/sign-in"));

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    private static async Task AssertNotInProgressAsync(HttpResponseMessage response)
    {
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Contains("is not in progress here", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static Uri WithParameter(Uri url, string name, string value) =>
        new(Regex.Replace(url.ToString(), $"([?&]{name}=)[^&]*", "${1}" + value, RegexOptions.None, TimeSpan.FromSeconds(1)));

    private Uri AuthorizeUrl(TestClient client) => new(app.BaseUrl + "/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)));

    /// <summary>From the client's link through the provider's pages to our consent page.</summary>
    private async Task<HttpResponseMessage> SignInAsync(Browser browser, TestClient client, string account) =>
        await browser.GetAsync(await CallbackAsync(browser, client, account));

    /// <summary>The same, stopping where the provider sends the browser back to us.</summary>
    private async Task<Uri> CallbackAsync(Browser browser, TestClient client, string account)
    {
        using var login = await browser.GetAsync(AuthorizeUrl(client));
        using var consent = await browser.SubmitAsync(login, ("login", account), ("password", "any"));
        using var back = await browser.SubmitAsync(consent, stopAt: "/oauth/callback");
        return back.Headers.Location!;
    }

    /// <summary>A browser that visits both servers, with the cookie rules of the platform; it stops in front of the client's address.</summary>
    private sealed partial class Browser : IDisposable
    {
        private readonly HttpClient http = new(new SocketsHttpHandler { AllowAutoRedirect = false, CookieContainer = new CookieContainer() });

        public Task<HttpResponseMessage> GetAsync(Uri url) => FollowAsync(new HttpRequestMessage(HttpMethod.Get, url), null);

        public Task<HttpResponseMessage> SubmitAsync(HttpResponseMessage page, params (string Name, string? Value)[] values) =>
            SubmitAsync(page, null, values);

        public async Task<HttpResponseMessage> SubmitAsync(HttpResponseMessage page, string? stopAt, params (string Name, string? Value)[] values)
        {
            var html = await page.Content.ReadAsStringAsync();
            var action = new Uri(page.RequestMessage!.RequestUri!, WebUtility.HtmlDecode(Action().Match(html).Groups["url"].Value));
            var fields = HiddenInput().Matches(html).Select(input => (Attribute(input.Value, "name")!, Attribute(input.Value, "value")));
            var form = new StringContent(OAuthFlow.Query([.. fields, .. values]).TrimStart('?'), Encoding.ASCII, "application/x-www-form-urlencoded");
            return await FollowAsync(new HttpRequestMessage(HttpMethod.Post, action) { Content = form }, stopAt);
        }

        public void Dispose() => http.Dispose();

        private static string? Attribute(string tag, string name) =>
            Regex.Match(tag, $"{name}=\"([^\"]*)\"", RegexOptions.None, TimeSpan.FromSeconds(1)) is { Success: true } match
                ? WebUtility.HtmlDecode(match.Groups[1].Value)
                : null;

        private async Task<HttpResponseMessage> FollowAsync(HttpRequestMessage request, string? stopAt)
        {
            var response = await http.SendAsync(request);
            while (response.Headers.Location is { } location)
            {
                var next = new Uri(response.RequestMessage!.RequestUri!, location);
                if (next.Host != "127.0.0.1" || next.AbsolutePath == stopAt)
                {
                    break;
                }

                response = await http.SendAsync(new HttpRequestMessage(HttpMethod.Get, next));
            }

            return response;
        }

        [GeneratedRegex("<form[^>]*action=\"(?<url>[^\"]*)\"", RegexOptions.ExplicitCapture, 1000)]
        private static partial Regex Action();

        [GeneratedRegex("<input[^>]*type=\"hidden\"[^>]*>", RegexOptions.None, 1000)]
        private static partial Regex HiddenInput();
    }
}
