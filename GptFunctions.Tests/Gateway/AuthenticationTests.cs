using System.Net;
using System.Security.Cryptography;
using GptFunctions.OAuth;
using GptFunctions.Tests.OAuth;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Gateway;

/// <summary>gateway.md 2, 3 and 5: the token, its session, its scope, and forged ones.</summary>
public sealed class AuthenticationTests(GatewayFixture<AuthenticationTests> fixture) : IClassFixture<GatewayFixture<AuthenticationTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly HttpClient http = fixture.App.Http;

    [Fact]
    public async Task Call_with_a_good_token_reaches_the_upstream()
    {
        var user = await fixture.Users.AddAsync();

        var echo = await http.EchoAsync(user, "/gpt/echo?a=1&b=%2F");

        Assert.Equal(("GET", "/echo?a=1&b=%2F"), (echo.Method, echo.Url));
        Assert.Equal(user.Id.ToString(), echo["x-internal-id"]);
    }

    /// <summary>gateway.md 2: Missing: 401 WWW-Authenticate: Bearer resource_metadata, scope without an error code.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData("Basic dXNlcjpwYXNz")]
    [InlineData("Bearer")]
    [InlineData("Bearer ")]
    public async Task Call_without_a_token_is_401_that_says_where_to_get_one(string? authorization)
    {
        using var response = await http.CallAsync(null, "/gpt/expensive", headers: authorization is null ? [] : [("Authorization", authorization)]);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal(
            $"Bearer resource_metadata=\"{app.BaseUrl}/.well-known/oauth-protected-resource/gpt\", scope=\"applications:write\"",
            response.Headers.WwwAuthenticate.ToString());
        await response.ProblemAsync();
        using var metadata = await http.GetAsync(new Uri("/.well-known/oauth-protected-resource/gpt", UriKind.Relative));
        Assert.Contains($"\"resource\":\"{app.BaseUrl}/gpt\"", await metadata.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    public static TheoryData<string> BadTokens { get; } =
    [
        "alg none", "alg none, signature kept", "alg HS256 with the public key as PEM", "alg HS256 with the public point", "typ JWT", "typ missing",
        "kid unknown", "kid missing", "crit", "key of somebody else",
        "aud wrong", "aud missing", "iss wrong", "sid missing", "sid unknown", "exp missing", "exp in the past", "claims tampered", "signature tampered",
        "signature empty", "signature DER", "signature all zero",
    ];

    /// <summary>gateway.md 2: bad or expired: error=invalid_token.</summary>
    [Theory]
    [MemberData(nameof(BadTokens))]
    public async Task Call_with_a_bad_token_is_401_invalid_token_and_goes_nowhere(string change)
    {
        var user = await fixture.Users.AddAsync();
        await http.EchoAsync(user); // the genuine one is remembered
        var before = await fixture.Upstream.CountAsync("requests");

        using var response = await http.CallAsync(Forge(user, change), "/gpt/echo");

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Contains("error=\"invalid_token\"", response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        Assert.Equal(before, await fixture.Upstream.CountAsync("requests"));
    }

    [Fact]
    public async Task Call_with_an_assertion_instead_of_an_access_token_is_401()
    {
        var user = await fixture.Users.AddAsync();
        var assertion = (await http.EchoAsync(user))["x-gpt-assertion"]!;

        using var response = await http.CallAsync(assertion, "/gpt/echo");

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    /// <summary>gateway.md 2: A verified token is remembered by hash until it expires and not longer.</summary>
    [Fact]
    public async Task Call_with_a_remembered_token_that_expired_meanwhile_is_401_expired()
    {
        await using var replica = await app.StartReplicaAsync();
        var user = await fixture.Users.AddAsync();
        await replica.Http.EchoAsync(user);

        replica.Clock.Advance(TimeSpan.FromMinutes(15));

        using var response = await replica.Http.CallAsync(user.Token, "/gpt/echo");
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Contains("error=\"invalid_token\", error_description=\"expired\"", response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
    }

    /// <summary>A key that was withdrawn withdraws what it signed, remembered or not.</summary>
    [Fact]
    public async Task Call_with_a_remembered_token_whose_key_was_withdrawn_is_401()
    {
        var secrets = Directory.CreateTempSubdirectory("secrets-").FullName;
        await using var replica = await app.StartReplicaAsync(("SECRETS_PATH", secrets));
        var user = await fixture.Users.AddAsync();
        await replica.Http.EchoAsync(user);

        await File.WriteAllTextAsync(Path.Combine(secrets, "gpt-ec-private-key"), SigningKey.Generate());

        await Wait.UntilAsync(async () =>
        {
            using var response = await replica.Http.CallAsync(user.Token, "/gpt/other");
            return response.StatusCode == HttpStatusCode.Unauthorized;
        });
    }

    /// <summary>gateway.md 2: scope missing: 403 error=insufficient_scope, scope.</summary>
    [Theory]
    [InlineData("jobs:read")]
    [InlineData("applications:writes applications:writ xapplications:write")]
    [InlineData("")]
    public async Task Call_without_the_scope_is_403_that_names_it(string scope)
    {
        var user = await fixture.Users.AddAsync();
        var token = app.Get<AccessTokens>().Issue(user.Subject, user.ClientId, user.SessionId, scope, app.BaseUrl + "/gpt");

        using var response = await http.CallAsync(token, "/gpt/expensive");

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        var challenge = response.Headers.WwwAuthenticate.ToString();
        Assert.Contains("error=\"insufficient_scope\"", challenge, StringComparison.Ordinal);
        Assert.Contains("scope=\"applications:write\"", challenge, StringComparison.Ordinal);
        Assert.Contains("applications:write", (await response.ProblemAsync()).GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    /// <summary>gateway.md 2: Token in the query string or body: refused.</summary>
    [Theory]
    [InlineData("?access_token=", true)]
    [InlineData("?access_token=", false)]
    [InlineData("?ACCESS_TOKEN=", true)]
    [InlineData("?access%5Ftoken=", true)]
    [InlineData("?a=1&access_token=", true)]
    public async Task Call_with_a_token_in_the_query_is_400(string query, bool alsoInHeader)
    {
        var user = await fixture.Users.AddAsync();
        var before = await fixture.Upstream.CountAsync("requests");

        using var response = await http.CallAsync(alsoInHeader ? user.Token : null, "/gpt/echo" + query + user.Token);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("error=\"invalid_request\"", response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        Assert.Equal(before, await fixture.Upstream.CountAsync("requests"));
    }

    [Fact]
    public async Task Call_with_a_token_in_the_body_only_is_401()
    {
        var user = await fixture.Users.AddAsync();
        using var form = new FormUrlEncodedContent([new("access_token", user.Token)]);

        using var response = await http.CallAsync(null, "/gpt/echo", HttpMethod.Post, form);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    /// <summary>gateway.md 3, also of clients that an operator disables.</summary>
    [Fact]
    public async Task Call_is_401_session_revoked_soon_after_the_session_ended_or_its_client_was_disabled()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var one = await fixture.Users.AddAsync(of: client);
        var two = await fixture.Users.AddAsync(of: client);
        await http.EchoAsync(one);
        await http.EchoAsync(two);

        await new OAuthFlow(http).RevokeAsync(client, one.Token);
        await RefusedAsync(one);
        await http.EchoAsync(two);

        await app.Get<ClientService>().UpdateAsync(client.Id, new ClientChange(IsDisabled: true));
        await RefusedAsync(two);
    }

    [Fact]
    public async Task Call_after_the_session_came_to_its_absolute_end_is_401()
    {
        var user = await fixture.Users.AddAsync();
        await http.EchoAsync(user);

        await app.Database.ExecuteAsync($"UPDATE gpt_sessions SET expires_at = now() WHERE id = '{user.SessionId}'");

        await RefusedAsync(user);
    }

    /// <summary>gateway.md 5: Forged tokens (bad signature) are limited per address (600 a minute); expired or revoked ones are not.</summary>
    [Fact]
    public async Task Forged_tokens_are_429_beyond_600_a_minute_from_one_network_and_good_ones_still_pass()
    {
        var user = await fixture.Users.AddAsync();
        const string address = "2001:db8:0:7::1";
        var forged = Forge(user, "key of somebody else");

        var watch = System.Diagnostics.Stopwatch.StartNew();
        var statuses = new List<HttpStatusCode>();
        for (var round = 0; round < 8; round++)
        {
            statuses.AddRange(await Task.WhenAll(Enumerable.Range(0, 100).Select(number => StatusAsync(forged, $"2001:db8:0:7::{number:x}"))));
        }

        var back = (int)(watch.Elapsed.TotalSeconds * 10); // ten a second
        Assert.InRange(statuses.Count(status => status == HttpStatusCode.Unauthorized), 600, 600 + back);
        Assert.All(statuses.Where(status => status != HttpStatusCode.Unauthorized), status => Assert.Equal(HttpStatusCode.TooManyRequests, status));
        // Whatever it is.
        Assert.Contains(
            HttpStatusCode.TooManyRequests, await Task.WhenAll(Enumerable.Range(0, 50).Select(number => StatusAsync($"garbage{number}", address))));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(forged, "2001:db8:0:8::1"));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(Forge(user, "exp in the past"), address));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(user.Token, address));
    }

    private string Forge(GatewayUser user, string change)
    {
        using var key = ECDsa.Create();
        key.ImportFromPem(System.Text.Encoding.ASCII.GetString(Convert.FromBase64String(app.Settings["GPT_EC_PRIVATE_KEY"]!)));
        return new Forgery(user.Token, key, app.Clock).With(change);
    }

    private async Task<HttpStatusCode> StatusAsync(string token, string address)
    {
        using var response = await http.CallAsync(token, "/gpt/echo", headers: ("X-Real-IP", address));
        return response.StatusCode;
    }

    private async Task RefusedAsync(GatewayUser user)
    {
        HttpResponseMessage? response = null;
        await Wait.UntilAsync(async () =>
        {
            response?.Dispose();
            response = await http.CallAsync(user.Token, "/gpt/other");
            return response.StatusCode == HttpStatusCode.Unauthorized;
        }, TimeSpan.FromSeconds(1));
        Assert.Contains(
            "error=\"invalid_token\", error_description=\"session revoked\"", response!.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        response.Dispose();
    }
}
