using System.Net;
using System.Text.Json;
using System.Web;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>
/// oauth.md 2 and 4: once client and redirect URI are verified, every error goes back to the client with error, state and one iss.
/// And 18: the resource parameter at the authorization endpoint.
/// </summary>
public sealed class AuthorizeErrorTests(AppFixture<AuthorizeErrorTests> fixture) : IClassFixture<AppFixture<AuthorizeErrorTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Theory]
    [InlineData("response_type", null, "invalid_request")]
    [InlineData("response_type", "", "invalid_request")]
    [InlineData("response_type", "token", "unsupported_response_type")]
    [InlineData("response_type", "id_token", "unsupported_response_type")]
    [InlineData("response_type", "code token", "unsupported_response_type")]
    [InlineData("response_type", "CODE", "unsupported_response_type")]
    [InlineData("response_mode", "form_post", "invalid_request")]
    [InlineData("response_mode", "fragment", "invalid_request")]
    [InlineData("request", "eyJhbGciOiJub25lIn0.e30.", "request_not_supported")]
    [InlineData("request_uri", "https://client.example/request", "request_uri_not_supported")]
    [InlineData("scope", "unknown", "invalid_scope")]
    [InlineData("scope", "offline_access openid", "invalid_scope")]
    [InlineData("scope", "JOBS:READ", "invalid_scope")]
    [InlineData("scope", "jobs:read,resume:read", "invalid_scope")]
    [InlineData("scope", "<script>", "invalid_scope")]
    [InlineData("scope", "\"quoted\"\\\r\nSet-Cookie:a=b\u00e9", "invalid_scope")]
    [InlineData("resource", "https://elsewhere.example/", "invalid_target")]
    [InlineData("resource", "not a URL", "invalid_target")]
    [InlineData("code_challenge_method", "S256", "invalid_request")]
    [InlineData("code_challenge_method", "plain", "invalid_request")]
    [InlineData("code_challenge", OAuthFlow.Challenge, "invalid_request")]
    public async Task Authorize_with_a_bad_parameter_redirects_with_error_state_and_iss(string name, string? value, string error)
    {
        var client = await OAuthFlow.AddClientAsync(app);

        using var response = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, (name, value)));

        AssertError(response, client, error);
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_requests", $"client_id = '{client.Id}'"));
    }

    /// <summary>RFC 7636 4.3 and RFC 9700 2.1.1: plain is not taken, and a missing method means plain.</summary>
    [Theory]
    [InlineData(OAuthFlow.Challenge, "plain")]
    [InlineData(OAuthFlow.Challenge, "s256")]
    [InlineData(OAuthFlow.Challenge, "S512")]
    [InlineData(OAuthFlow.Challenge, null)]
    [InlineData("short", "S256")]
    [InlineData(OAuthFlow.Challenge + "A", "S256")]
    [InlineData("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM", "S256")] // base64, not base64url
    [InlineData("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c=", "S256")]
    [InlineData("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c ", "S256")]
    [InlineData(null, null)]
    public async Task Authorize_of_a_public_client_without_a_good_challenge_is_invalid_request(string? challenge, string? method)
    {
        var client = await OAuthFlow.AddClientAsync(app, isPublic: true);

        using var response = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, ("code_challenge", challenge), ("code_challenge_method", method)));

        AssertError(response, client, "invalid_request");
    }

    [Fact]
    public async Task Authorize_of_a_confidential_client_may_leave_the_challenge_out_only_if_its_record_says_so()
    {
        var strict = await OAuthFlow.AddClientAsync(app, requirePkce: true);
        var relaxed = await OAuthFlow.AddClientAsync(app);

        using var refused = await flow.AuthorizeAsync(OAuthFlow.Parameters(strict));
        using var accepted = await flow.AuthorizeAsync(OAuthFlow.Parameters(relaxed));

        AssertError(refused, strict, "invalid_request");
        AssertAccepted(accepted);
    }

    /// <summary>RFC 6749 3.1: parameters must not be included more than once, known or not.</summary>
    [Theory]
    [InlineData("response_type", "code")]
    [InlineData("state", "a-state")]
    [InlineData("state", "another-state")]
    [InlineData("scope", "jobs:read")]
    [InlineData("code_challenge", OAuthFlow.Challenge)]
    [InlineData("resource", "https://elsewhere.example/")]
    [InlineData("whatever", "x")]
    public async Task Authorize_with_a_repeated_parameter_is_invalid_request(string name, string value)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        (string, string?)[] first = name is "response_type" or "state" ? [] : [(name, value)];

        using var response = await flow.AuthorizeAsync([.. OAuthFlow.Parameters(client), .. first, (name, value)]);

        AssertError(response, client, "invalid_request");
    }

    /// <summary>RFC 6749 3.1: a parameter without a value is treated as if it were omitted.</summary>
    [Theory]
    [InlineData("scope")]
    [InlineData("resource")]
    [InlineData("code_challenge")]
    [InlineData("code_challenge_method")]
    [InlineData("response_mode")]
    [InlineData("request")]
    [InlineData("unknown")]
    public async Task Authorize_with_an_empty_parameter_treats_it_as_absent(string name)
    {
        var client = await OAuthFlow.AddClientAsync(app);

        using var response = await flow.AuthorizeAsync([.. OAuthFlow.Parameters(client), (name, ""), (name, "")]);

        AssertAccepted(response);
    }

    [Fact]
    public async Task Authorize_ignores_parameters_it_does_not_know()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        using var response = await flow.AuthorizeAsync(
            OAuthFlow.Parameters(client, ("nonce", "n"), ("prompt", "consent"), ("access_type", "offline"), ("utm_source", "x")));

        AssertAccepted(response);
    }

    [Fact]
    public async Task Authorize_error_without_state_sends_none()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        using var response = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, ("state", null), ("response_type", "token")));

        Assert.Equal("error error_description iss", OAuthFlow.ParameterNames(response.Headers.Location!));
    }

    [Theory]
    [InlineData("/oauth/authorize?client_id=%zz")]
    [InlineData("/oauth/authorize?client_id=%ff")]
    [InlineData("/oauth/authorize?client_id=a%00b")]
    [InlineData("/oauth/authorize?state=%E0%80%80&client_id=x")]
    public async Task Authorize_with_a_broken_query_is_a_400_page(string path)
    {
        using var response = await app.Http.GetAsync(new Uri(path, UriKind.Relative));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Null(response.Headers.Location);
        Assert.Equal("text/html", response.Content.Headers.ContentType?.MediaType);
    }

    /// <summary>A missing or empty scope means what the client is registered for: hosts reconnect without it.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(" ")]
    public async Task Authorize_without_scope_asks_for_those_of_the_client(string? scope)
    {
        var client = await OAuthFlow.AddClientAsync(app, scopes: ["jobs:read", "resume:read"]);

        var tokens = await flow.TokensAsync(client, "user_no_scope", ("scope", scope));

        Assert.Equal("jobs:read resume:read", tokens["scope"]);
    }

    [Fact]
    public async Task Authorize_with_a_narrower_scope_grants_just_that()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var tokens = await flow.TokensAsync(client, "user_narrow", ("scope", " jobs:read  jobs:read "));

        Assert.Equal("jobs:read", tokens["scope"]);
    }

    /// <summary>RFC 6749 3.3 lets a server ignore a part; the answer's scope says what was granted. Claude adds offline_access, others openid.</summary>
    [Theory]
    [InlineData("jobs:read offline_access", "jobs:read")]
    [InlineData("openid profile resume:read nothing:real jobs:read", "resume:read jobs:read")]
    public async Task Authorize_leaves_out_scopes_that_do_not_exist(string asked, string expected)
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var tokens = await flow.TokensAsync(client, "user_unknown_scope", ("scope", asked));
        var refreshed = await flow.RefreshAsync(client, tokens["refresh_token"]!, ("scope", asked));

        Assert.Equal(expected, tokens["scope"]);
        Assert.Equal(expected, AccessTokenText.Claims(tokens["access_token"]!).GetProperty("scope").GetString());
        Assert.Equal((HttpStatusCode.OK, expected), (refreshed.Status, refreshed["scope"]));
    }

    [Fact]
    public async Task Authorize_with_a_scope_that_the_client_is_not_registered_for_is_invalid_scope()
    {
        var client = await OAuthFlow.AddClientAsync(app, scopes: ["jobs:read"]);

        using var response = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, ("scope", "jobs:read applications:write")));

        AssertError(response, client, "invalid_scope");
    }

    /// <summary>oauth.md 18.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Authorize_with_or_without_the_gateways_resource_puts_it_into_aud(bool isNamed)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var gateway = app.BaseUrl + "/gpt";
        string[] everything = [gateway, gateway + "/partner/mcp", gateway + "/mcp"];

        var tokens = await flow.TokensAsync(client, "user_resource", ("resource", isNamed ? gateway : null));

        Assert.Equal(everything, AccessTokenText.Audience(tokens["access_token"]!));
    }

    /// <summary>RFC 9207: iss of every redirect equals the metadata's issuer; success, denial and error alike.</summary>
    [Fact]
    public async Task Every_redirect_has_the_issuer_of_the_metadata_exactly_once()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var metadata = JsonElement.Parse(await app.Http.GetStringAsync(new Uri("/.well-known/oauth-authorization-server", UriKind.Relative)));
        var issuer = metadata.GetProperty("issuer").GetString();
        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync("user_iss", OAuthFlow.Parameters(client));

        using var denied = await browser.SubmitAsync(page, ("decision", "deny"));
        using var error = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, ("scope", "nothing")));
        Uri[] redirects = [await flow.ApproveAsync(client, "user_iss"), denied.Headers.Location!, error.Headers.Location!];

        Assert.All(redirects, redirect => Assert.Equal(issuer, Assert.Single(HttpUtility.ParseQueryString(redirect.Query).GetValues("iss")!)));
        Assert.True(metadata.GetProperty("authorization_response_iss_parameter_supported").GetBoolean());
    }

    private void AssertError(HttpResponseMessage response, TestClient client, string error)
    {
        Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
        var location = response.Headers.Location!;
        Assert.StartsWith(client.RedirectUri + "?error=", location.OriginalString, StringComparison.Ordinal);
        var query = HttpUtility.ParseQueryString(location.Query);
        Assert.Equal("error error_description state iss", OAuthFlow.ParameterNames(location));
        Assert.Equal(error, query["error"]);
        Assert.Equal("a-state", query["state"]);
        Assert.Equal(app.BaseUrl, query["iss"]);
        // RFC 6749 4.1.2.1: %x20-21 / %x23-5B / %x5D-7E
        Assert.All(query["error_description"]!, character => Assert.True(character is >= ' ' and <= '~' and not '"' and not '\\'));
        Assert.True(response.Headers.CacheControl?.NoStore);
    }

    private static void AssertAccepted(HttpResponseMessage response)
    {
        Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
        Assert.StartsWith("/dev/sign-in?request=", response.Headers.Location!.OriginalString, StringComparison.Ordinal);
    }
}
