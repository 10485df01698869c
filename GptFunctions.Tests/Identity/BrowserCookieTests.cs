using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Identity;

/// <summary>oauth.md, "Sign-in and consent": a sign-in in progress is bound to its browser by a cookie that lives ten minutes.</summary>
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
        using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false }) { BaseAddress = new Uri($"http://127.0.0.1:{app.Settings["PORT"]}") };
        var client = await OAuthFlow.AddClientAsync(app);

        using var response = await new OAuthFlow(http).AuthorizeAsync(OAuthFlow.Parameters(client));

        Assert.Matches(expected, Assert.Single(response.Headers.GetValues("Set-Cookie")));
        Assert.Equal(1, await database.CountAsync("gpt_authorization_requests", $"client_id = '{client.Id}'"));
    }
}
