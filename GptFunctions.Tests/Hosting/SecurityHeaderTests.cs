using System.Net;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Hosting;

/// <summary>hosting.md 16: every answer of whatever kind carries the security headers.</summary>
public sealed class SecurityHeaderTests(AppFixture<SecurityHeaderTests> fixture) : IClassFixture<AppFixture<SecurityHeaderTests>>
{
    [Theory]
    [InlineData("GET", "/health", HttpStatusCode.OK)] // JSON
    [InlineData("GET", "/dev/sign-in", HttpStatusCode.Forbidden)] // a page
    [InlineData("GET", "/oauth/authorize", HttpStatusCode.BadRequest)] // an error page
    [InlineData("POST", "/oauth/token", HttpStatusCode.BadRequest)] // an OAuth error
    [InlineData("PUT", "/oauth/token", HttpStatusCode.MethodNotAllowed)]
    [InlineData("OPTIONS", "/oauth/token", HttpStatusCode.NoContent)]
    [InlineData("GET", "/oauth/sessions", HttpStatusCode.Unauthorized)]
    [InlineData("GET", "/nowhere", HttpStatusCode.NotFound)]
    [InlineData("HEAD", "/.well-known/jwks.json", HttpStatusCode.OK)]
    public async Task Every_answer_carries_the_security_headers(string method, string path, HttpStatusCode status)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(path, UriKind.Relative));
        using var answer = await fixture.App.Http.SendAsync(request);
        Assert.Equal(status, answer.StatusCode);
        AssertSecure(answer);
    }

    [Fact]
    public async Task Redirects_and_pages_of_a_sign_in_carry_the_security_headers()
    {
        var client = await OAuthFlow.AddClientAsync(fixture.App);
        using var redirect = await fixture.Flow.AuthorizeAsync(OAuthFlow.Parameters(client));
        Assert.InRange((int)redirect.StatusCode, 302, 303);
        AssertSecure(redirect);

        var browser = new TestBrowser(fixture.App.Http);
        using var consent = await browser.SignInAsync("user_headers", OAuthFlow.Parameters(client));
        Assert.Equal("text/html", consent.Content.Headers.ContentType?.MediaType);
        AssertSecure(consent);
        var policy = Assert.Single(consent.Headers.GetValues("Content-Security-Policy"));
        Assert.Contains("default-src 'none'", policy, StringComparison.Ordinal);
        Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe-inline", policy, StringComparison.Ordinal);
        Assert.Equal("no-store", consent.Headers.CacheControl?.ToString());
        // Else browsers ask for one, which the policy refuses aloud.
        Assert.Contains("<link rel=\"icon\" href=\"data:,\">", await consent.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static void AssertSecure(HttpResponseMessage answer)
    {
        Assert.Equal("nosniff", Assert.Single(answer.Headers.GetValues("X-Content-Type-Options")));
        Assert.Equal("DENY", Assert.Single(answer.Headers.GetValues("X-Frame-Options")));
        Assert.Equal("no-referrer", Assert.Single(answer.Headers.GetValues("Referrer-Policy")));
        Assert.NotEmpty(Assert.Single(answer.Headers.GetValues("x-correlation-id")));
        Assert.False(answer.Headers.Contains("Server"));
    }
}
