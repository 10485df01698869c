using System.Net;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 3: state comes back unchanged, in success, denial and error; the redirect after a POST is 303.</summary>
public sealed class StateTests(AppFixture<StateTests> fixture) : IClassFixture<AppFixture<StateTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    public static TheoryData<string> States { get; } = new(
        "plain", "100%", "%41%2B%25", "a+b c", "a&b=c#d?e/f;g", "\"quoted\" 'single' \\back", "<script>alert(1)</script>",
        "žluťoučký kůň 日本語 🦊",
        "e\u0301 is not \u00e9", "tab\tand\r\nlines",
        """{"json":["with",{"depth":true}]}""", "eyJhbGciOiJFUzI1NiJ9.eyJhIjoxfQ.c2ln==", new string('s', 2048),
        string.Concat(Enumerable.Repeat("ü%+ ", 256)));

    [Theory]
    [MemberData(nameof(States))]
    public async Task Authorize_success_returns_the_state_unchanged(string state)
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var redirect = await flow.ApproveAsync(client, "user_state", ("state", state));

        Assert.Equal(state, OAuthFlow.Parameter(redirect, "state"));
        Assert.NotNull(OAuthFlow.Parameter(redirect, "code"));
    }

    [Theory]
    [MemberData(nameof(States))]
    public async Task Authorize_denial_and_error_return_the_state_unchanged(string state)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync("user_state_denied", OAuthFlow.Parameters(client, ("state", state)));

        using var denied = await browser.SubmitAsync(page, ("decision", "deny"));
        using var error = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, ("state", state), ("response_type", "token")));

        Assert.Equal("access_denied", OAuthFlow.Parameter(denied.Headers.Location!, "error"));
        Assert.Equal(state, OAuthFlow.Parameter(denied.Headers.Location!, "state"));
        Assert.Equal(state, OAuthFlow.Parameter(error.Headers.Location!, "state"));
    }

    [Fact]
    public async Task Authorize_success_without_state_sends_none()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var redirect = await flow.ApproveAsync(client, "user_stateless", ("state", null));

        Assert.DoesNotContain("state=", redirect.Query, StringComparison.Ordinal);
    }

    /// <summary>RFC 9700 4.12: after 307 the browser would post the form, with what is in it, to the client.</summary>
    [Theory]
    [InlineData("approve")]
    [InlineData("deny")]
    public async Task Decision_redirects_with_303(string decision)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync("user_303_" + decision, OAuthFlow.Parameters(client));

        using var response = await browser.SubmitAsync(page, ("decision", decision));

        Assert.Equal(HttpStatusCode.SeeOther, response.StatusCode);
        Assert.StartsWith(client.RedirectUri + "?", response.Headers.Location!.OriginalString, StringComparison.Ordinal);
        Assert.True(response.Headers.CacheControl?.NoStore);
    }
}
