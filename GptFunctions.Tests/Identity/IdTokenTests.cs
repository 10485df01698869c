using System.Net;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Identity;

/// <summary>OpenID Connect Core 3.1.3.7: what an ID token must say before we believe it; and a provider that fails.</summary>
public sealed class IdTokenTests(FakeProviderFixture<IdTokenTests> fixture) : IClassFixture<FakeProviderFixture<IdTokenTests>>
{
    private static readonly Dictionary<string, Func<FakeProvider, JsonObject, string>> Forged = new(StringComparer.Ordinal)
    {
        ["alg none"] = (provider, claims) => provider.Sign(claims, "none"),
        ["alg HS256 with the public key"] = (provider, claims) => provider.Sign(claims, "HS256"),
        ["alg RS512"] = (provider, claims) => provider.Sign(claims, "RS512"),
        ["another key under a known id"] = (provider, claims) => provider.Sign(claims, key: RSA.Create(2048)),
        ["alg PS256"] = (provider, claims) => provider.Sign(claims, "PS256"),
        ["RS256 with the id of an EC key"] = (provider, claims) => provider.Sign(claims, keyId: FakeProvider.EllipticKeyId),
        ["ES256 with the id of an RSA key"] = (provider, claims) => provider.Sign(claims, "ES256"),
        ["ES256 with a key of another curve"] = (provider, claims) => provider.Sign(claims, "ES256", FakeProvider.WideKeyId),
        ["key of 1024 bits"] = (provider, claims) => provider.Sign(claims, keyId: FakeProvider.SmallKeyId, key: provider.SmallKey),
        ["key that cannot be read"] = (provider, claims) => provider.Sign(claims, keyId: FakeProvider.BrokenKeyId),
        ["critical extension"] = (provider, claims) => provider.Sign(claims, header: new JsonObject { ["crit"] = new JsonArray("b64"), ["b64"] = false }),
        ["unknown key id"] = (provider, claims) => provider.Sign(claims, keyId: "unknown"),
        ["no key id"] = (provider, claims) => provider.Sign(claims, keyId: null),
        ["another issuer"] = (provider, claims) => provider.Sign(With(claims, "iss", "https://evil.example")),
        ["issuer with a slash"] = (provider, claims) => provider.Sign(With(claims, "iss", provider.Issuer + "/")),
        ["another audience"] = (provider, claims) => provider.Sign(With(claims, "aud", "another-client")),
        ["audiences without us"] = (provider, claims) => provider.Sign(With(claims, "aud", new JsonArray("another-client", "a-third"))),
        ["no audience"] = (provider, claims) => provider.Sign(With(claims, "aud", null)),
        ["another authorized party"] = (provider, claims) =>
            provider.Sign(With(With(claims, "aud", new JsonArray(FakeProvider.ClientId, "another-client")), "azp", "another-client")),
        ["authorized party in another case"] = (provider, claims) => provider.Sign(With(claims, "azp", FakeProvider.ClientId.ToUpperInvariant())),
        ["another nonce"] = (provider, claims) => provider.Sign(With(claims, "nonce", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        ["no nonce"] = (provider, claims) => provider.Sign(With(claims, "nonce", null)),
        ["expired"] = (provider, claims) => provider.Sign(With(claims, "exp", (long)claims["iat"]! - 31)),
        ["expiry as text"] = (provider, claims) => provider.Sign(With(claims, "exp", "9999999999")),
        ["no expiry"] = (provider, claims) => provider.Sign(With(claims, "exp", null)),
        ["issued in the future"] = (provider, claims) => provider.Sign(With(claims, "iat", (long)claims["iat"]! + 60)),
        ["time of issue as text"] = (provider, claims) => provider.Sign(With(claims, "iat", "1")),
        ["no time of issue"] = (provider, claims) => provider.Sign(With(claims, "iat", null)),
        ["subject as number"] = (provider, claims) => provider.Sign(With(claims, "sub", 1)),
        ["no subject"] = (provider, claims) => provider.Sign(With(claims, "sub", null)),
        ["empty subject"] = (provider, claims) => provider.Sign(With(claims, "sub", "")),
        ["subject with a line end"] = (provider, claims) => provider.Sign(With(claims, "sub", "user\r\nx-internal-id: 1")),
        ["subject with a NUL"] = (provider, claims) => provider.Sign(With(claims, "sub", "user\0")),
        ["subject with half a surrogate pair"] = (provider, claims) => provider.SignText(
            claims.ToJsonString().Replace($"\"sub\":\"{claims["sub"]}\"", "\"sub\":\"\\ud800\"", StringComparison.Ordinal)),
        ["subject of 256 characters"] = (provider, claims) => provider.Sign(With(claims, "sub", new string('u', 256))),
        ["claims with something behind them"] = (provider, claims) => provider.SignText(claims.ToJsonString() + " x"),
        ["no signature"] = (provider, claims) => provider.Sign(claims) is var token ? token[..(token.LastIndexOf('.') + 1)] : "",
        ["four parts"] = (provider, claims) => provider.Sign(claims) + ".e30",
        ["too long"] = (provider, claims) => provider.Sign(With(claims, "padding", new string('x', 9000))),
        ["not a token"] = (_, _) => "garbage",
    };

    private readonly TestApp app = fixture.App;
    private readonly FakeProvider provider = fixture.Provider;

    public static TheoryData<string> Forgeries { get; } = new(Forged.Keys);

    [Theory]
    [MemberData(nameof(Forgeries))]
    public async Task Sign_in_with_a_forged_id_token_is_server_error_and_signs_nobody_in(string kind)
    {
        var (client, browser, state, nonce) = await StartAsync();
        var user = "user with " + kind;
        provider.Answers["a-code"] = FakeProvider.Success(Forged[kind](provider, provider.IdTokenClaims(user, nonce, app.Clock.GetUtcNow())));

        using var response = await CallbackAsync(browser, state);

        AssertError(response, client, "server_error");
        Assert.Equal(0, await app.Database.CountAsync("users", $"clerk_user_id = '{user}'"));
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_requests", $"client_id = '{client.Id}'"));
    }

    public static TheoryData<string> Acceptable { get; } = new("RS256", "ES256", "several audiences", "clock a little behind");

    [Theory]
    [MemberData(nameof(Acceptable))]
    public async Task Sign_in_with_a_good_id_token_leads_to_consent(string kind)
    {
        var (_, browser, state, nonce) = await StartAsync();
        var claims = provider.IdTokenClaims("user_good", nonce, app.Clock.GetUtcNow());
        provider.Answers["a-code"] = FakeProvider.Success(kind switch
        {
            "ES256" => provider.Sign(claims, "ES256", FakeProvider.EllipticKeyId),
            "several audiences" =>
                provider.Sign(With(With(claims, "aud", new JsonArray("another-client", FakeProvider.ClientId)), "azp", FakeProvider.ClientId)),
            "clock a little behind" => provider.Sign(With(claims, "iat", (long)claims["iat"]! + 20)),
            _ => provider.Sign(claims),
        });

        using var page = await CallbackAsync(browser, state);

        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        Assert.Contains("user_good@example.com", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    /// <summary>They are for show only: what cannot be shown (or stored: PostgreSQL takes no NUL) is left out.</summary>
    [Theory]
    [InlineData("a\0b")]
    [InlineData("a\r\nb")]
    [InlineData("a\u202Eb c")]
    public async Task Sign_in_with_control_characters_in_email_or_name_keeps_neither(string? text)
    {
        var (_, browser, state, nonce) = await StartAsync();
        var user = $"user_control_{text?.Length}";
        var claims = With(With(provider.IdTokenClaims(user, nonce, app.Clock.GetUtcNow()), "email", text), "name", text);
        provider.Answers["a-code"] = FakeProvider.Success(provider.Sign(claims));

        using var page = await CallbackAsync(browser, state);

        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        Assert.Equal(1, await app.Database.CountAsync("users", $"clerk_user_id = '{user}' AND email IS NULL AND name IS NULL"));
    }

    /// <summary>Somebody cut a name in the middle of an emoji: that keeps nobody out.</summary>
    [Fact]
    public async Task Sign_in_with_half_a_surrogate_pair_in_the_name_leaves_the_name_out()
    {
        var (_, browser, state, nonce) = await StartAsync();
        var claims = With(provider.IdTokenClaims("user_half", nonce, app.Clock.GetUtcNow()), "name", "half of it").ToJsonString();
        provider.Answers["a-code"] = FakeProvider.Success(provider.SignText(claims.Replace("half of it", "Ann \\ud83d", StringComparison.Ordinal)));

        using var page = await CallbackAsync(browser, state);

        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        Assert.Equal(1, await app.Database.CountAsync("users", "clerk_user_id = 'user_half' AND email IS NOT NULL AND name IS NULL"));
    }

    /// <summary>A provider may change its key between two sign-ins; codes that bring unknown key ids do not make us ask all the time.</summary>
    [Fact]
    public async Task Sign_in_finds_a_new_key_of_the_provider()
    {
        await using var rotating = await FakeProvider.StartAsync();
        await using var own = await TestApp.StartAsync("id_token_rotation", rotating.Settings);
        async Task<HttpStatusCode> SignInAsync(string keyId)
        {
            var browser = new TestBrowser(own.Http);
            using var start = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(await OAuthFlow.AddClientAsync(own))));
            var claims = rotating.IdTokenClaims("user_rotation", OAuthFlow.Parameter(start.Headers.Location!, "nonce")!, own.Clock.GetUtcNow());
            rotating.Answers["a-code"] = FakeProvider.Success(rotating.Sign(claims, keyId: keyId));
            using var page = await CallbackAsync(browser, OAuthFlow.Parameter(start.Headers.Location!, "state")!);
            return page.StatusCode;
        }

        Assert.Equal(HttpStatusCode.OK, await SignInAsync(FakeProvider.KeyId));
        rotating.MoreKeyIds.Add("rsa-2");
        Assert.Equal(HttpStatusCode.Redirect, await SignInAsync("unknown"));
        Assert.Equal(1, rotating.KeyReads);
        own.Clock.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal(HttpStatusCode.OK, await SignInAsync("rsa-2"));
        Assert.Equal(2, rotating.KeyReads);
    }

    /// <summary>RFC 7636 and OpenID Connect Core 3.1.2.1: what goes to the provider, and that the verifier which follows fits.</summary>
    [Fact]
    public async Task Sign_in_sends_pkce_state_and_nonce_and_authenticates_with_basic()
    {
        var (client, browser, state, nonce) = await StartAsync();
        using var start = await new OAuthFlow(app.Http).AuthorizeAsync(OAuthFlow.Parameters(client));
        provider.TokenRequests.Clear();
        provider.Answers["a-code"] = FakeProvider.Success(provider.Sign(provider.IdTokenClaims("user_pkce", nonce, app.Clock.GetUtcNow())));

        using var page = await CallbackAsync(browser, state);
        var (form, authorization) = Assert.Single(provider.TokenRequests);

        var url = start.Headers.Location!;
        Assert.StartsWith(provider.Issuer + "/authorize?", url.OriginalString, StringComparison.Ordinal);
        Assert.Equal("response_type client_id redirect_uri scope state nonce code_challenge code_challenge_method", OAuthFlow.ParameterNames(url));
        Assert.Equal("openid profile email", OAuthFlow.Parameter(url, "scope"));
        Assert.Equal("S256", OAuthFlow.Parameter(url, "code_challenge_method"));
        Assert.Equal(app.BaseUrl + "/oauth/callback", form["redirect_uri"]);
        Assert.Equal(43, form["code_verifier"].ToString().Length);
        Assert.Equal(lastChallenge, Pkce.Challenge(form["code_verifier"].ToString()));
        Assert.Equal(OAuthFlow.Basic(FakeProvider.ClientId, "provider-secret").ToString(), authorization);
        Assert.False(form.ContainsKey("client_secret"));
    }

    /// <summary>OpenID Connect Core 3.1.2.1: the provider may have languages that we have not. What is no list of languages is not its to see.</summary>
    [Theory]
    [InlineData("fr-CA de", "fr-CA de")]
    [InlineData("de%0d", null)]
    [InlineData(null, null)]
    public async Task Sign_in_tells_the_provider_which_languages_the_client_asked_for(string? asked, string? told)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        using var start = await new OAuthFlow(app.Http).AuthorizeAsync(OAuthFlow.Parameters(client, ("ui_locales", asked)));

        Assert.Equal(told, OAuthFlow.Parameter(start.Headers.Location!, "ui_locales"));
        Assert.Null(OAuthFlow.Parameter(start.Headers.Location!, "prompt"));
    }

    /// <summary>A state is good once: of several callbacks that arrive at once one goes on, and the others do not end it.</summary>
    [Fact]
    public async Task Callback_10_times_in_parallel_signs_in_once()
    {
        var (client, browser, state, nonce) = await StartAsync();
        var idToken = provider.Sign(provider.IdTokenClaims("user_parallel", nonce, app.Clock.GetUtcNow()));
        for (var number = 0; number < 10; number += 2)
        {
            provider.Answers[$"code-{number}"] = FakeProvider.Success(idToken); // the other half is invalid_grant
        }

        var responses = await Task.WhenAll(Enumerable.Range(0, 10).Select(number =>
            browser.SendAsync(new HttpRequestMessage(HttpMethod.Get, new Uri($"/oauth/callback?code=code-{number}&state={state}", UriKind.Relative)))));

        bool LeadsTo(HttpResponseMessage response, string start) =>
            response.Headers.Location?.OriginalString.StartsWith(start, StringComparison.Ordinal) == true;
        var winners = responses.Where(response => LeadsTo(response, "/oauth/authorize?continue=")).ToList();
        var refusals = responses.Where(response => LeadsTo(response, client.RedirectUri + "?error=server_error")).ToList();
        // Whoever came first has decided: one sign-in, or one error to the client; everybody else is told that it is over.
        Assert.Equal(1, winners.Count + refusals.Count);
        Assert.Equal(9, responses.Count(response => response.StatusCode == HttpStatusCode.Forbidden));
        Assert.Equal(winners.Count, await app.Database.CountAsync("gpt_authorization_requests", $"client_id = '{client.Id}' AND user_id IS NOT NULL"));
    }

    [Theory]
    [InlineData("access_denied", "access_denied")]
    [InlineData("server_error", "server_error")]
    [InlineData("login_required", "server_error")]
    [InlineData("<script>", "server_error")]
    public async Task Callback_with_an_error_of_the_provider_goes_to_the_client(string error, string expected)
    {
        var (client, browser, state, _) = await StartAsync();

        using var response = await browser.GetAsync("/oauth/callback" + OAuthFlow.Query([("error", error), ("error_description", "x"), ("state", state)]));
        using var again = await CallbackAsync(browser, state);

        AssertError(response, client, expected);
        Assert.Equal(HttpStatusCode.Forbidden, again.StatusCode);
    }

    [Theory]
    [InlineData(200, "{}")]
    [InlineData(400, """{"error":"invalid_grant"}""")]
    [InlineData(401, """{"error":"invalid_client"}""")]
    public async Task Callback_with_a_code_that_the_provider_refuses_is_server_error(int status, string body)
    {
        var (client, browser, state, _) = await StartAsync();
        provider.Answers["a-code"] = (status, body);

        using var response = await CallbackAsync(browser, state);

        AssertError(response, client, "server_error");
        Assert.True(status == 200 || app.Log.Lines.Any(line => line.Contains($"refused the code: {status} invalid_", StringComparison.Ordinal)));
    }

    /// <summary>An outage costs a reload, not the sign-in.</summary>
    [Theory]
    [InlineData(500, "{}")]
    [InlineData(503, "")]
    [InlineData(429, """{"error":"slow_down"}""")]
    [InlineData(200, "<html>")]
    [InlineData(200, "[]")]
    [InlineData(200, """{"id_token":1}""")]
    public async Task Callback_while_the_token_endpoint_fails_is_a_503_page_and_can_be_repeated(int status, string body)
    {
        var (_, browser, state, nonce) = await StartAsync();
        provider.Answers["a-code"] = (status, body);

        using var failed = await CallbackAsync(browser, state);
        provider.Answers["a-code"] = FakeProvider.Success(provider.Sign(provider.IdTokenClaims("user_retry", nonce, app.Clock.GetUtcNow())));
        using var page = await CallbackAsync(browser, state);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, failed.StatusCode);
        Assert.NotNull(failed.Headers.RetryAfter);
        Assert.Equal("text/html", failed.Content.Headers.ContentType?.MediaType);
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
    }

    /// <summary>A tombstone: Clerk's copy may come late, but nobody signs in as a deleted user, and the client gets an answer.</summary>
    [Fact]
    public async Task Sign_in_of_a_deleted_account_is_access_denied()
    {
        await app.Database.ExecuteAsync(
            "INSERT INTO users (id, clerk_user_id, created_at, deleted_at) VALUES (gen_random_uuid(), 'user_deleted', now(), now())");
        var (client, browser, state, nonce) = await StartAsync();
        provider.Answers["a-code"] = FakeProvider.Success(provider.Sign(provider.IdTokenClaims("user_deleted", nonce, app.Clock.GetUtcNow())));

        using var response = await CallbackAsync(browser, state);

        AssertError(response, client, "access_denied");
        Assert.Equal(1, await app.Database.CountAsync("users", "clerk_user_id = 'user_deleted' AND deleted_at IS NOT NULL AND email IS NULL"));
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_requests", $"client_id = '{client.Id}'"));
    }

    /// <summary>What Clerk's webhooks wrote is newer than a sign-in: only gaps are filled.</summary>
    [Fact]
    public async Task Sign_in_fills_gaps_of_a_known_user_and_overwrites_nothing()
    {
        await app.Database.ExecuteAsync(
            "INSERT INTO users (id, clerk_user_id, email, created_at) VALUES (gen_random_uuid(), 'user_known', 'newer@example.com', now())");
        var (_, browser, state, nonce) = await StartAsync();
        provider.Answers["a-code"] = FakeProvider.Success(provider.Sign(provider.IdTokenClaims("user_known", nonce, app.Clock.GetUtcNow())));

        using var page = await CallbackAsync(browser, state);

        Assert.Equal(
            "newer@example.com, Person user_known",
            await app.Database.ScalarAsync<string>("SELECT email || ', ' || name FROM users WHERE clerk_user_id = 'user_known'"));
    }

    private string? lastChallenge;

    private async Task<(TestClient Client, TestBrowser Browser, string State, string Nonce)> StartAsync()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var response = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)));
        var url = response.Headers.Location!;
        lastChallenge = OAuthFlow.Parameter(url, "code_challenge");
        return (client, browser, OAuthFlow.Parameter(url, "state")!, OAuthFlow.Parameter(url, "nonce")!);
    }

    private static Task<HttpResponseMessage> CallbackAsync(TestBrowser browser, string state) =>
        browser.GetAsync("/oauth/callback" + OAuthFlow.Query([("code", "a-code"), ("state", state)]));

    private static void AssertError(HttpResponseMessage response, TestClient client, string error)
    {
        Assert.StartsWith($"{client.RedirectUri}?error={error}&", response.Headers.Location?.OriginalString, StringComparison.Ordinal);
        Assert.Equal("error error_description state iss", OAuthFlow.ParameterNames(response.Headers.Location!));
        Assert.Equal("a-state", OAuthFlow.Parameter(response.Headers.Location!, "state"));
    }

    private static JsonObject With(JsonObject claims, string name, JsonNode? value)
    {
        if (value is null)
        {
            claims.Remove(name);
        }
        else
        {
            claims[name] = value;
        }

        return claims;
    }
}
