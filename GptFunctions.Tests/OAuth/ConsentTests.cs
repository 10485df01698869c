using System.Net;
using System.Text.RegularExpressions;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 32 to 34: when it is asked, what the page says, and with which headers.</summary>
public sealed partial class ConsentTests(AppFixture<ConsentTests> fixture) : IClassFixture<AppFixture<ConsentTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Consent_is_asked_once_per_user_and_client()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var other = await OAuthFlow.AddClientAsync(app);

        using var first = await SignInAsync(client, "user_once");
        await flow.ApproveAsync(client, "user_once");
        using var again = await SignInAsync(client, "user_once");
        using var otherUser = await SignInAsync(client, "user_somebody_else");
        using var otherClient = await SignInAsync(other, "user_once");

        AssertAsked(first);
        AssertNotAsked(again, client);
        AssertAsked(otherUser);
        AssertAsked(otherClient);
    }

    /// <summary>The same client at another host can be another party: it is asked again; another path of the same host is not.</summary>
    [Fact]
    public async Task Consent_is_asked_once_per_redirect_host()
    {
        var client = await OAuthFlow.AddClientAsync(app, moreRedirectUris: ["https://client.example/other", "https://elsewhere.example/callback"]);
        await flow.ApproveAsync(client, "user_host");

        using var samePlace = await SignInAsync(client with { RedirectUri = "https://client.example/other" }, "user_host");
        using var elsewhere = await SignInAsync(client with { RedirectUri = "https://elsewhere.example/callback" }, "user_host");

        AssertNotAsked(samePlace, client with { RedirectUri = "https://client.example/other" });
        AssertAsked(elsewhere);
    }

    /// <summary>RFC 8252 8.6: behind another port of this device another program may wait, and a public client's id is no secret.</summary>
    [Fact]
    public async Task Consent_is_asked_again_for_another_port_of_a_loopback_address()
    {
        var client = await OAuthFlow.AddClientAsync(app, "http://127.0.0.1/callback", isPublic: true);
        (string, string?)[] pkce = [("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256")];
        await flow.ApproveAsync(client with { RedirectUri = "http://127.0.0.1:51001/callback" }, "user_loopback_port", pkce);

        using var samePort = await SignInAsync(client with { RedirectUri = "http://127.0.0.1:51001/callback" }, "user_loopback_port", pkce);
        using var otherPort = await SignInAsync(client with { RedirectUri = "http://127.0.0.1:51002/callback" }, "user_loopback_port", pkce);

        AssertNotAsked(samePort, client with { RedirectUri = "http://127.0.0.1:51001/callback" });
        AssertAsked(otherPort);
    }

    [Fact]
    public async Task Consent_is_asked_again_when_scopes_grow_with_the_new_ones_marked()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await flow.ApproveAsync(client, "user_grow", ("scope", "jobs:read resume:read"));

        using var narrower = await SignInAsync(client, "user_grow", ("scope", "resume:read"));
        using var wider = await SignInAsync(client, "user_grow", ("scope", "jobs:read applications:write"));
        var items = ScopeItem().Matches(await wider.Content.ReadAsStringAsync()).Select(match => match.Value).ToList();

        AssertNotAsked(narrower, client);
        AssertAsked(wider);
        Assert.Equal(2, items.Count);
        Assert.Contains("Search job offers", items[0], StringComparison.Ordinal);
        Assert.DoesNotContain("New", items[0], StringComparison.Ordinal);
        Assert.Contains("Send job applications", items[1], StringComparison.Ordinal);
        Assert.Contains("New", items[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Consent_given_in_steps_adds_up()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await flow.ApproveAsync(client, "user_steps", ("scope", "jobs:read"));
        await flow.ApproveAsync(client, "user_steps", ("scope", "resume:read"));

        using var both = await SignInAsync(client, "user_steps", ("scope", "resume:read jobs:read"));

        AssertNotAsked(both, client);
    }

    [Fact]
    public async Task Consent_page_of_a_first_connection_marks_nothing_as_new()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        using var page = await SignInAsync(client, "user_first");

        Assert.DoesNotContain("class=\"tag\"", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Consent_is_asked_again_after_the_app_was_disconnected()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_disconnects", ("scope", "jobs:read resume:read"));
        using var request = new HttpRequestMessage(
            HttpMethod.Delete, new Uri("/oauth/sessions/" + AccessTokenText.SessionId(tokens["access_token"]!), UriKind.Relative))
        {
            Headers = { Authorization = new("Bearer", tokens["access_token"]) },
        };

        using var disconnected = await app.Http.SendAsync(request);
        using var page = await SignInAsync(client, "user_disconnects", ("scope", "jobs:read"));
        await flow.ApproveAsync(client, "user_disconnects", ("scope", "jobs:read"));
        using var wider = await SignInAsync(client, "user_disconnects", ("scope", "jobs:read resume:read"));

        Assert.Equal(HttpStatusCode.NoContent, disconnected.StatusCode);
        AssertAsked(page);
        Assert.DoesNotContain("class=\"tag\"", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        AssertAsked(wider); // what was agreed to before the disconnection is gone
    }

    /// <summary>RFC 6749 4.1.2.1: access_denied. A no is told in the audit trail and not remembered.</summary>
    [Fact]
    public async Task Denial_redirects_with_access_denied_and_grants_nothing()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync("user_denies", OAuthFlow.Parameters(client));

        using var denied = await browser.SubmitAsync(page, ("decision", "deny"));

        Assert.Equal("error error_description state iss", OAuthFlow.ParameterNames(denied.Headers.Location!));
        Assert.Equal("access_denied", OAuthFlow.Parameter(denied.Headers.Location!, "error"));
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_codes", $"client_id = '{client.Id}'"));
        Assert.Equal(0, await app.Database.CountAsync("gpt_consents", $"client_id = '{client.Id}'"));
        Assert.Equal(
            "user_denies",
            Assert.Single(await app.Database.EventsAsync(AuditEvents.AuthorizeDenied, "client_id", client.Id)).GetProperty("payload")
                .GetProperty("clerk_user_id").GetString());
        using var askedAgain = await SignInAsync(client, "user_denies");
        AssertAsked(askedAgain);
    }

    [Fact]
    public async Task Approval_is_told_in_the_audit_trail_with_whether_the_person_was_asked()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await flow.ApproveAsync(client, "user_audit", ("scope", "jobs:read"));
        await flow.ApproveAsync(client, "user_audit", ("scope", "jobs:read"));

        var events = await app.Database.EventsAsync(AuditEvents.Authorize, "client_id", client.Id);

        Assert.Equal(["given", "remembered"], events.Select(told => told.GetProperty("payload").GetProperty("consent").GetString()!));
        Assert.Equal(2, (await app.Database.EventsAsync(AuditEvents.SignedIn, "client_id", client.Id)).Count);
    }

    /// <summary>The page names the client, where the answer goes, who is signed in, and each scope in a sentence.</summary>
    [Fact]
    public async Task Consent_page_says_who_asks_for_what()
    {
        var client = await OAuthFlow.AddClientAsync(app, "https://where.example/callback", name: "Résumé Coach 日本");

        using var page = await SignInAsync(client, "user_reads", ("scope", "jobs:read resume:read"));
        var text = WebUtility.HtmlDecode(await page.Content.ReadAsStringAsync());

        Assert.Contains("Résumé Coach 日本", text, StringComparison.Ordinal);
        Assert.Contains("where.example", text, StringComparison.Ordinal);
        Assert.Contains("user_reads", text, StringComparison.Ordinal);
        Assert.Contains("Search job offers and read their details", text, StringComparison.Ordinal);
        Assert.Contains("Read your résumé and comment on it", text, StringComparison.Ordinal);
        Assert.DoesNotContain("Send job applications", text, StringComparison.Ordinal);
        Assert.Contains("name=\"decision\" value=\"approve\"", text, StringComparison.Ordinal);
        Assert.Contains("name=\"decision\" value=\"deny\"", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("<script>alert(1)</script>", "<script>")]
    [InlineData("</title></style><img src=x onerror=alert(1)>", "<img")]
    [InlineData("\" onfocus=\"alert(1)\" autofocus=\"", "\" onfocus=")]
    [InlineData("&lt;b&gt;", ">&lt;b&gt;<")]
    public async Task Client_names_are_text_and_never_markup(string name, string markup)
    {
        var client = await OAuthFlow.AddClientAsync(app, name: name);
        var browser = new TestBrowser(app.Http);
        using var signIn = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)));

        using var consent = await browser.SubmitAsync(signIn, ("user_id", "user_markup"));

        foreach (var html in (string[])[await signIn.Content.ReadAsStringAsync(), await consent.Content.ReadAsStringAsync()])
        {
            Assert.DoesNotContain(markup, html, StringComparison.Ordinal);
            Assert.Contains(name, WebUtility.HtmlDecode(html), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Pages_have_headers_against_framing_scripts_referrers_and_caching()
    {
        var client = await OAuthFlow.AddClientAsync(app, "https://where.example:8443/callback", moreRedirectUris: "http://127.0.0.1:9000/callback");
        var browser = new TestBrowser(app.Http);
        using var signIn = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)));
        using var consent = await browser.SubmitAsync(signIn, ("user_id", "user_headers"));
        using var error = await flow.AuthorizeAsync(("client_id", "nobody"));

        foreach (var page in (HttpResponseMessage[])[signIn, consent, error])
        {
            Assert.Equal("DENY", Header(page, "X-Frame-Options"));
            Assert.Equal("no-referrer", Header(page, "Referrer-Policy"));
            Assert.Equal("nosniff", Header(page, "X-Content-Type-Options"));
            Assert.True(page.Headers.CacheControl!.NoStore);
            Assert.Equal("text/html; charset=utf-8", page.Content.Headers.ContentType?.ToString());
            var policy = Directives(page);
            Assert.Equal("'none'", policy["default-src"]);
            Assert.Equal("'none'", policy["frame-ancestors"]);
            Assert.Equal("'none'", policy["base-uri"]);
            Assert.StartsWith("'sha256-", policy["style-src"], StringComparison.Ordinal);
            Assert.DoesNotContain("unsafe", string.Concat(policy.Values), StringComparison.Ordinal);
            Assert.DoesNotContain("script-src", policy.Keys);
            Assert.DoesNotContain("<script", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        // Browsers apply form-action to the redirects after the post as well; any of the client's addresses may be the next hop.
        Assert.Equal("'self' https://where.example:8443 http://127.0.0.1:9000", Directives(consent)["form-action"]);
        Assert.Equal("'self' https://where.example:8443 http://127.0.0.1:9000", Directives(signIn)["form-action"]);
        Assert.Equal("'self'", Directives(error)["form-action"]);
    }

    [Fact]
    public async Task Browser_cookie_is_http_only_same_site_lax_and_lives_ten_minutes()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        using var response = await flow.AuthorizeAsync(OAuthFlow.Parameters(client));

        var cookie = Assert.Single(response.Headers.GetValues("Set-Cookie"));
        Assert.Matches("^gpt-request=[A-Za-z0-9_-]{43}; max-age=600; path=/; samesite=lax; httponly$", cookie);
    }

    private Task<HttpResponseMessage> SignInAsync(TestClient client, string user, params (string Name, string? Value)[] more) =>
        new TestBrowser(app.Http).SignInAsync(user, OAuthFlow.Parameters(client, more));

    private static void AssertAsked(HttpResponseMessage response) => Assert.Equal(HttpStatusCode.OK, response.StatusCode);

    private static void AssertNotAsked(HttpResponseMessage response, TestClient client)
    {
        Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
        Assert.StartsWith(client.RedirectUri + "?code=", response.Headers.Location!.OriginalString, StringComparison.Ordinal);
    }

    private static string Header(HttpResponseMessage response, string name) => Assert.Single(response.Headers.GetValues(name));

    private static Dictionary<string, string> Directives(HttpResponseMessage response) => Header(response, "Content-Security-Policy")
        .Split(';', StringSplitOptions.TrimEntries)
        .Select(directive => directive.Split(' ', 2))
        .ToDictionary(parts => parts[0], parts => parts[1], StringComparer.Ordinal);

    [GeneratedRegex("<li>.*?</li>", RegexOptions.Singleline, 1000)]
    private static partial Regex ScopeItem();
}
