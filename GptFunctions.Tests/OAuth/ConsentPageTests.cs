using System.Net;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 53: what a person has to know before they decide, and what the page must not nudge them to.</summary>
public sealed class ConsentPageTests(AppFixture<ConsentPageTests> fixture) : IClassFixture<AppFixture<ConsentPageTests>>
{
    private const string ColouredAllow = "<button class=\"main\" type=\"submit\" name=\"decision\" value=\"approve\">";
    private static readonly (string, string?)[] Pkce = [("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256")];
    private readonly TestApp app = fixture.App;

    [Theory]
    [InlineData("http://127.0.0.1:5123/callback")]
    [InlineData("http://localhost/callback")]
    [InlineData("http://[::1]:9/callback")]
    public async Task Loopback_address_is_an_app_on_this_device(string address)
    {
        var client = await OAuthFlow.AddClientAsync(app, address, isPublic: true);
        var html = await PageAsync(client, "user_device");

        Assert.Contains("<dt>Sends you back to</dt><dd>an app on this device</dd>", html, StringComparison.Ordinal);
        Assert.DoesNotContain("127.0.0.1", html.Split("</dl>")[0], StringComparison.Ordinal);
        Assert.DoesNotContain("localhost", html.Split("</dl>")[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Own_scheme_is_the_app_on_this_device_that_opens_it()
    {
        var html = await PageAsync(await OAuthFlow.AddClientAsync(app, "com.example.coach://callback", isPublic: true), "user_scheme");
        Assert.Contains("the app on this device that opens <bdi>com.example.coach:</bdi> links", html, StringComparison.Ordinal);
    }

    /// <summary>Whoever wants an app that nobody checked must mean it.</summary>
    [Fact]
    public async Task Allow_is_coloured_for_checked_apps_only()
    {
        using var body = new StringContent(
            new JsonObject
            {
                ["client_name"] = "Stranger",
                ["redirect_uris"] = new JsonArray("https://stranger.example/callback"),
                ["token_endpoint_auth_method"] = "none",
            }.ToJsonString(), System.Text.Encoding.UTF8, "application/json");
        using var registered = await app.Http.PostAsync(new Uri("/oauth/register", UriKind.Relative), body);
        var id = JsonNode.Parse(await registered.Content.ReadAsStringAsync())!["client_id"]!.GetValue<string>();
        var stranger = await PageAsync(new TestClient(id, null, "https://stranger.example/callback"), "user_careful");
        var known = await PageAsync(await OAuthFlow.AddClientAsync(app, isPublic: true), "user_careful");

        Assert.DoesNotContain(ColouredAllow, stranger, StringComparison.Ordinal);
        Assert.Contains("value=\"approve\">Allow</button>", stranger, StringComparison.Ordinal);
        Assert.Contains(ColouredAllow, known, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Page_says_where_it_can_be_taken_back()
    {
        var html = await PageAsync(await OAuthFlow.AddClientAsync(app, isPublic: true), "user_regret");
        Assert.Contains("you can take back at any time: <a href=\"/connections\">Your connected apps</a>", html, StringComparison.Ordinal);
    }

    /// <summary>A host that registers anew with a secret each time it connects: one app to the person, several rows here.</summary>
    [Fact]
    public async Task Reconnecting_an_app_at_the_limit_takes_the_place_of_its_own_and_of_no_others()
    {
        const string user = "user_of_one_app";
        await using var own = await app.StartReplicaAsync(("GPT_MAX_SESSIONS_IN_ALL", "3"), ("PUBLIC_BASE_URL", app.BaseUrl));
        var walk = new OAuthFlow(own.Http);
        var other = await OAuthFlow.AddClientAsync(app, name: "Other app");
        var otherTokens = await walk.TokensAsync(other, user);
        app.Clock.Advance(TimeSpan.FromSeconds(1));
        var first = await RegisterAsync("Host");
        var firstTokens = await TokensAsync(walk, first, user);
        app.Clock.Advance(TimeSpan.FromSeconds(1));
        var secondTokens = await TokensAsync(walk, await RegisterAsync("Host"), user);
        app.Clock.Advance(TimeSpan.FromSeconds(1));

        var browser = new TestBrowser(own.Http);
        var third = await RegisterAsync("Host");
        using var page = await browser.SignInAsync(user, OAuthFlow.Parameters(third, Pkce));
        var html = await page.Content.ReadAsStringAsync();
        using var approved = await browser.SubmitAsync(page, ("decision", "approve"));
        var thirdTokens = await walk.ExchangeAsync(third, OAuthFlow.Parameter(approved.Headers.Location!, "code")!, ("code_verifier", OAuthFlow.Verifier));

        // The other app was used least recently, and stays: it is not the one that comes again.
        Assert.Contains("You have connected <bdi>Host</bdi> 2 times already", html, StringComparison.Ordinal);
        Assert.Contains("Your other apps stay connected", html, StringComparison.Ordinal);
        Assert.DoesNotContain("Other app", html, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, thirdTokens.Status);
        Assert.Equal("True", (await walk.IntrospectAsync(other, otherTokens["access_token"]!))["active"]);
        Assert.Equal("False", (await walk.IntrospectAsync(first, firstTokens["access_token"]!))["active"]);
        Assert.NotNull(secondTokens["access_token"]);
        Assert.Equal(3, await app.Database.CountAsync(
            "gpt_sessions", $"revoked_at IS NULL AND user_id = (SELECT id FROM users WHERE clerk_user_id = '{user}')"));
    }

    /// <summary>The same name at another place, or another name at the same place, is somebody else.</summary>
    [Theory]
    [InlineData("Host", "https://elsewhere.example/callback", "user_other_place")]
    [InlineData("Another host", "https://host.example/callback", "user_other_name")]
    public async Task App_that_differs_in_name_or_place_is_another_one(string name, string address, string user)
    {
        await using var own = await app.StartReplicaAsync(("GPT_MAX_SESSIONS_IN_ALL", "1"), ("PUBLIC_BASE_URL", app.BaseUrl));
        var walk = new OAuthFlow(own.Http);
        await TokensAsync(walk, await RegisterAsync("Host"), user);

        using var page = await new TestBrowser(own.Http).SignInAsync(user, OAuthFlow.Parameters(await RegisterAsync(name, address), Pkce));

        Assert.Contains("<bdi>Host</bdi> is disconnected", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private async Task<TestClient> RegisterAsync(string name, string uri = "https://host.example/callback")
    {
        using var body = new StringContent(
            new JsonObject
            {
                ["client_name"] = name,
                ["redirect_uris"] = new JsonArray(uri),
                ["token_endpoint_auth_method"] = "client_secret_post",
            }.ToJsonString(), System.Text.Encoding.UTF8, "application/json");
        using var answer = await app.Http.PostAsync(new Uri("/oauth/register", UriKind.Relative), body);
        var client = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!;
        var secret = client["client_secret"]!.GetValue<string>();
        RunLog.NoteSecret(secret);
        return new TestClient(client["client_id"]!.GetValue<string>(), secret, uri);
    }

    private static async Task<JsonAnswer> TokensAsync(OAuthFlow walk, TestClient client, string user)
    {
        var tokens = await walk.ExchangeAsync(client, await walk.CodeAsync(client, user, Pkce), ("code_verifier", OAuthFlow.Verifier));
        Assert.Equal(HttpStatusCode.OK, tokens.Status);
        return tokens;
    }

    private async Task<string> PageAsync(TestClient client, string user)
    {
        using var page = await new TestBrowser(app.Http).SignInAsync(user, OAuthFlow.Parameters(client, Pkce));
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        return await page.Content.ReadAsStringAsync();
    }
}
