using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Identity;

/// <summary>identity.md 4 and 5: a sign-in in progress is bound to its browser by a cookie that lives ten minutes.</summary>
public sealed class BrowserCookieTests : IAsyncLifetime
{
    private TestDatabase database = null!;

    public async Task InitializeAsync() => database = await TestDatabase.CreateAsync(nameof(BrowserCookieTests));

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Theory]
    [InlineData(null, "^gpt-request=[A-Za-z0-9_-]{43}; max-age=600; path=/; samesite=lax; httponly$")]
    [InlineData("https://gpt.example", "^__Host-gpt-request=[A-Za-z0-9_-]{43}; max-age=600; path=/; secure; samesite=lax; httponly$")]
    public async Task Authorize_sets_the_cookie_that_fits_the_scheme(string? issuer, string expected)
    {
        await using var app = await TestApp.StartAsync(database, issuer is null ? null : new(StringComparer.Ordinal) { ["PUBLIC_BASE_URL"] = issuer });
        using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false })
        {
            BaseAddress = new Uri($"http://127.0.0.1:{app.Settings["PORT"]}"),
        };
        var client = await OAuthFlow.AddClientAsync(app);

        using var response = await new OAuthFlow(http).AuthorizeAsync(OAuthFlow.Parameters(client));

        Assert.Matches(expected, Assert.Single(response.Headers.GetValues("Set-Cookie")));
        Assert.Equal(0, await database.CountAsync("gpt_authorization_requests", $"client_id = '{client.Id}'"));
    }

    /// <summary>Whoever put a cookie into the browser before (or knows what was in it) must not be able to answer for the person who signs in.</summary>
    [Fact]
    public async Task Cookie_planted_before_the_sign_in_approves_nothing()
    {
        await using var app = await TestApp.StartAsync(database);
        var client = await OAuthFlow.AddClientAsync(app);
        var secret = RandomNumberGenerator.GetBytes(32);
        var victim = new TestBrowser(app.Http);
        var attacker = new TestBrowser(app.Http);
        foreach (var browser in (TestBrowser[])[victim, attacker])
        {
            browser.Plant("gpt-request", Base64Url.EncodeToString(secret));
            browser.Plant("gpt-signed-in", Base64Url.EncodeToString(secret));
        }

        using var page = await victim.SignInAsync("user_planted", OAuthFlow.Parameters(client));
        var request = TestBrowser.HiddenFields(await page.Content.ReadAsStringAsync()).Single(field => field.Name == "request").Value!;
        var csrf = Base64Url.EncodeToString(HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes($"csrf|{request}")));
        using var foreign = await attacker.PostAsync("/oauth/authorize/decision", ("request", request), ("csrf", csrf), ("decision", "approve"));
        using var watched = await attacker.GetAsync($"/oauth/authorize?continue={request}");
        using var own = await victim.SubmitAsync(page, ("decision", "approve"));

        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.Forbidden), (foreign.StatusCode, watched.StatusCode));
        Assert.Equal(HttpStatusCode.SeeOther, own.StatusCode);
    }

    /// <summary>Two tabs of one person go on side by side; when somebody else signs in, what the first one left open is over.</summary>
    [Theory]
    [InlineData("user_tabs", HttpStatusCode.SeeOther)]
    [InlineData("user_after", HttpStatusCode.Forbidden)]
    public async Task Sign_in_keeps_the_other_tabs_of_the_same_person_only(string second, HttpStatusCode expected)
    {
        await using var app = await TestApp.StartAsync(database);
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var form = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)));
        using var firstPage = await browser.SignInAsync("user_tabs", OAuthFlow.Parameters(client));
        using var secondPage = await browser.SubmitAsync(form, ("user_id", second)); // begun before the other one, finished after it

        using var secondApproved = await browser.SubmitAsync(secondPage, ("decision", "approve"));
        using var firstApproved = await browser.SubmitAsync(firstPage, ("decision", "approve"));

        Assert.Equal((HttpStatusCode.SeeOther, expected), (secondApproved.StatusCode, firstApproved.StatusCode));
    }
}
