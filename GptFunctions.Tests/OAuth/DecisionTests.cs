using System.Net;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 6: the decision counts once, with the CSRF token, from the browser that was asked; no parameter leads elsewhere.</summary>
public sealed class DecisionTests(AppFixture<DecisionTests> fixture) : IClassFixture<AppFixture<DecisionTests>>
{
    private readonly TestApp app = fixture.App;

    [Theory]
    [InlineData("csrf", null)]
    [InlineData("csrf", "")]
    [InlineData("csrf", "wrong")]
    [InlineData("csrf", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("request", null)]
    [InlineData("request", "not-an-id")]
    [InlineData("request", "00000000000000000000000000000000")]
    public async Task Decision_without_the_right_csrf_token_and_request_is_403(string name, string? value)
    {
        var (client, browser, page) = await AskAsync("user_csrf");
        var fields = await FieldsAsync(page);

        using var response = await browser.PostAsync(
            "/oauth/authorize/decision", [.. fields.Where(field => field.Name != name), (name, value), ("decision", "approve")]);

        await AssertForbiddenAsync(response);
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_codes", $"client_id = '{client.Id}'"));
    }

    /// <summary>The token belongs to one request: that of another tab is no good.</summary>
    [Fact]
    public async Task Decision_with_the_csrf_token_of_another_request_of_the_same_browser_is_403()
    {
        var (client, browser, page) = await AskAsync("user_tabs");
        using var otherPage = await browser.SignInAsync("user_tabs", OAuthFlow.Parameters(client));
        var request = Value(await FieldsAsync(page), "request");
        var csrf = Value(await FieldsAsync(otherPage), "csrf");

        using var mixed = await browser.PostAsync("/oauth/authorize/decision", ("request", request), ("csrf", csrf), ("decision", "approve"));
        using var right = await browser.SubmitAsync(otherPage, ("decision", "approve"));

        await AssertForbiddenAsync(mixed);
        Assert.Equal(HttpStatusCode.SeeOther, right.StatusCode);
    }

    [Theory]
    [InlineData(false)] // no cookie at all
    [InlineData(true)] // a sign-in of its own in progress
    public async Task Decision_from_another_browser_is_403(bool hasOwnRequest)
    {
        var (client, _, page) = await AskAsync("user_victim");
        var thief = new TestBrowser(app.Http);
        if (hasOwnRequest)
        {
            using var own = await thief.SignInAsync("user_thief", OAuthFlow.Parameters(client));
        }

        using var response = await thief.SubmitAsync(page, ("decision", "approve"));

        await AssertForbiddenAsync(response);
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_codes", $"client_id = '{client.Id}'"));
    }

    [Theory]
    [InlineData("approve", "approve")]
    [InlineData("approve", "deny")]
    [InlineData("deny", "approve")]
    [InlineData("deny", "deny")]
    public async Task Decision_replayed_is_403(string first, string second)
    {
        var (client, browser, page) = await AskAsync("user_replay");
        using var decided = await browser.SubmitAsync(page, ("decision", first));

        using var replayed = await browser.SubmitAsync(page, ("decision", second));

        Assert.Equal(HttpStatusCode.SeeOther, decided.StatusCode);
        await AssertForbiddenAsync(replayed);
        Assert.Equal(first == "approve" ? 1 : 0, await app.Database.CountAsync("gpt_authorization_codes", $"client_id = '{client.Id}'"));
    }

    [Fact]
    public async Task Decision_10_times_at_once_gives_one_code()
    {
        var (client, browser, page) = await AskAsync("user_double_click");
        var fields = await FieldsAsync(page);
        // so that all have read it before one writes
        await using var locks = await app.Database.HoldAsync($"SELECT FROM gpt_authorization_requests WHERE client_id = '{client.Id}' FOR UPDATE");

        var posts = Enumerable.Range(0, 10).Select(_ => browser.PostAsync("/oauth/authorize/decision", [.. fields, ("decision", "approve")])).ToList();
        await app.Database.WaitForBlockedAsync(10);
        await locks.LetGoAsync();
        var responses = await Task.WhenAll(posts);

        Assert.Single(responses, response => response.StatusCode == HttpStatusCode.SeeOther);
        Assert.Equal(9, responses.Count(response => response.StatusCode == HttpStatusCode.Forbidden));
        Assert.Equal(1, await app.Database.CountAsync("gpt_authorization_codes", $"client_id = '{client.Id}'"));
    }

    /// <summary>Before anybody signed in there is nothing to decide, whatever the browser can compute.</summary>
    [Fact]
    public async Task Decision_before_sign_in_is_403()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var signIn = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)));

        using var response = await browser.PostAsync("/oauth/authorize/decision", [.. await FieldsAsync(signIn), ("decision", "approve")]);

        await AssertForbiddenAsync(response);
    }

    [Theory]
    [InlineData(9, HttpStatusCode.SeeOther)]
    [InlineData(11, HttpStatusCode.Forbidden)]
    public async Task Decision_is_open_for_ten_minutes(int minutes, HttpStatusCode expected)
    {
        var (_, browser, page) = await AskAsync("user_slow");
        app.Clock.Advance(TimeSpan.FromMinutes(minutes));

        using var response = await browser.SubmitAsync(page, ("decision", "approve"));

        app.Clock.Reset();
        Assert.Equal(expected, response.StatusCode);
    }

    [Theory]
    [InlineData("/oauth/authorize?continue=")]
    [InlineData("/dev/sign-in?request=")]
    public async Task Sign_in_in_progress_after_ten_minutes_or_from_another_browser_is_403(string path)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var signIn = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)));
        using var consent = await browser.SignInAsync("user_in_progress", OAuthFlow.Parameters(client));
        var url = path + Value(await FieldsAsync(path == "/dev/sign-in?request=" ? signIn : consent), "request");

        var stranger = new TestBrowser(app.Http);
        using var strangersOwn = await stranger.SignInAsync("user_stranger", OAuthFlow.Parameters(client));

        using var own = await browser.GetAsync(url);
        using var withoutCookie = await new TestBrowser(app.Http).GetAsync(url);
        using var foreign = await stranger.GetAsync(url);
        app.Clock.Advance(TimeSpan.FromMinutes(11));
        using var late = await browser.GetAsync(url);
        app.Clock.Reset();

        Assert.Equal(HttpStatusCode.OK, own.StatusCode);
        await AssertForbiddenAsync(withoutCookie);
        await AssertForbiddenAsync(foreign);
        await AssertForbiddenAsync(late);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("yes")]
    [InlineData("APPROVE")]
    public async Task Decision_that_is_neither_approve_nor_deny_is_400_and_can_be_repeated(string? decision)
    {
        var (_, browser, page) = await AskAsync("user_undecided");

        using var unclear = await browser.SubmitAsync(page, ("decision", decision));
        using var clear = await browser.SubmitAsync(page, ("decision", "approve"));

        Assert.Equal(HttpStatusCode.BadRequest, unclear.StatusCode);
        Assert.Null(unclear.Headers.Location);
        Assert.Equal(HttpStatusCode.SeeOther, clear.StatusCode);
    }

    [Fact]
    public async Task Decision_after_the_client_was_disabled_is_403()
    {
        var (client, browser, page) = await AskAsync("user_disabled_client");
        await app.Get<ClientService>().UpdateAsync(client.Id, new ClientChange(IsDisabled: true));

        using var response = await browser.SubmitAsync(page, ("decision", "approve"));

        await AssertForbiddenAsync(response);
    }

    [Fact]
    public async Task Decision_with_a_body_that_is_no_form_is_400_and_a_large_one_413()
    {
        using var json = new StringContent("""{"decision":"approve"}""", System.Text.Encoding.UTF8, "application/json");
        using var large = new StringContent("decision=" + new string('a', 2 * 1024 * 1024), System.Text.Encoding.ASCII, "application/x-www-form-urlencoded");
        var url = new Uri("/oauth/authorize/decision", UriKind.Relative);

        using var wrongType = await app.Http.PostAsync(url, json);
        using var tooLarge = await app.Http.PostAsync(url, large);

        Assert.Equal(HttpStatusCode.BadRequest, wrongType.StatusCode);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, tooLarge.StatusCode);
        Assert.Equal("text/html", tooLarge.Content.Headers.ContentType?.MediaType);
    }

    /// <summary>Names that other servers take for an address to go to: in the query of every page and in every form.</summary>
    [Fact]
    public async Task No_parameter_of_any_endpoint_redirects_elsewhere()
    {
        const string evil = "https://evil.example/";
        string[] names = [
            "redirect", "redirect_url", "redirect_to", "return", "return_to", "returnUrl", "ReturnUrl", "next", "url", "target", "continue", "request", "rd",
            "post_logout_redirect_uri", "callback", "iss", "state"];
        var (client, browser, page) = await AskAsync("user_open");
        (string, string?)[] evilParameters = [.. names.Select(name => (name, (string?)evil))];

        foreach (var path in (string[])["/oauth/authorize", "/oauth/callback", "/dev/sign-in", "/dev/callback", "/oauth/sessions", "/health"])
        {
            using var response = await app.Http.GetAsync(new Uri(path + OAuthFlow.Query(evilParameters), UriKind.Relative));
            Assert.Null(response.Headers.Location);
        }

        using var started = await app.Http.GetAsync(new Uri(
            "/oauth/authorize" + OAuthFlow.Query(
                [.. OAuthFlow.Parameters(client), .. evilParameters.Where(pair => pair.Item1 is not ("continue" or "request" or "state"))]),
            UriKind.Relative));
        Assert.StartsWith("/dev/sign-in?request=", started.Headers.Location!.OriginalString, StringComparison.Ordinal);
        using var decided = await browser.SubmitAsync(
            page, [.. evilParameters.Where(pair => pair.Item1 != "request"), ("redirect_uri", evil), ("decision", "approve")]);
        Assert.StartsWith(client.RedirectUri + "?code=", decided.Headers.Location!.OriginalString, StringComparison.Ordinal);
        Assert.Equal("a-state", OAuthFlow.Parameter(decided.Headers.Location, "state"));
    }

    /// <summary>Somebody else's sign-in form, completed in the victim's browser, must not sign the victim in as the attacker.</summary>
    [Fact]
    public async Task Sign_in_form_without_csrf_token_or_from_another_browser_is_403()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var attacker = new TestBrowser(app.Http);
        var victim = new TestBrowser(app.Http);
        var query = "/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client));
        using var attackersPage = await attacker.GetAsync(query);
        using var victimsPage = await victim.GetAsync(query);

        using var foreign = await victim.SubmitAsync(attackersPage, ("user_id", "user_attacker"));
        using var withoutToken = await victim.PostAsync(
            "/dev/sign-in", ("request", Value(await FieldsAsync(victimsPage), "request")), ("user_id", "user_attacker"));

        await AssertForbiddenAsync(foreign);
        await AssertForbiddenAsync(withoutToken);
    }

    private async Task<(TestClient Client, TestBrowser Browser, HttpResponseMessage Page)> AskAsync(string user)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        var page = await browser.SignInAsync(user, OAuthFlow.Parameters(client));
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        return (client, browser, page);
    }

    private static async Task<(string Name, string? Value)[]> FieldsAsync(HttpResponseMessage page) =>
        TestBrowser.HiddenFields(await page.Content.ReadAsStringAsync());

    private static string? Value((string Name, string? Value)[] fields, string name) => fields.Single(field => field.Name == name).Value;

    private static async Task AssertForbiddenAsync(HttpResponseMessage response)
    {
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Null(response.Headers.Location);
        Assert.Equal("text/html", response.Content.Headers.ContentType?.MediaType);
        Assert.Contains("is not in progress here", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }
}
