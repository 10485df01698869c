using System.Buffers.Text;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Identity;

/// <summary>identity.md 8 and 9: Clerk session JWTs are RS256 only, with iss, exp, nbf and azp checked, by keys that are kept when Clerk is away.</summary>
public sealed class ClerkSessionTests(FakeProviderFixture<ClerkSessionTests> fixture) : IClassFixture<FakeProviderFixture<ClerkSessionTests>>
{
    private static readonly Dictionary<string, Func<FakeProvider, JsonObject, string>> Bad = new(StringComparer.Ordinal)
    {
        ["alg none"] = (provider, claims) => provider.Sign(claims, "none"),
        ["alg HS256 with the public key"] = (provider, claims) => provider.Sign(claims, "HS256"),
        ["alg RS512"] = (provider, claims) => provider.Sign(claims, "RS512"),
        ["alg PS256"] = (provider, claims) => provider.Sign(claims, "PS256"),
        ["alg ES256 with a published key"] = (provider, claims) => provider.Sign(claims, "ES256", FakeProvider.EllipticKeyId),
        ["RS256 with the id of an EC key"] = (provider, claims) => provider.Sign(claims, keyId: FakeProvider.EllipticKeyId),
        ["another key under a known id"] = (provider, claims) => provider.Sign(claims, key: System.Security.Cryptography.RSA.Create(2048)),
        ["unknown key id"] = (provider, claims) => provider.Sign(claims, keyId: "unknown"),
        ["no key id"] = (provider, claims) => provider.Sign(claims, keyId: null),
        ["key id as number"] = (provider, claims) => provider.Sign(claims, keyId: null, header: new JsonObject { ["kid"] = 1 }),
        ["thumbprint in place of the key id"] = (provider, claims) =>
            provider.Sign(claims, keyId: null, header: new JsonObject { ["x5t"] = FakeProvider.KeyId }),
        ["key id in another case"] = (provider, claims) => provider.Sign(claims, keyId: FakeProvider.KeyId.ToUpperInvariant()),
        ["key of 1024 bits"] = (provider, claims) => provider.Sign(claims, keyId: FakeProvider.SmallKeyId, key: provider.SmallKey),
        ["key that cannot be read"] = (provider, claims) => provider.Sign(claims, keyId: FakeProvider.BrokenKeyId),
        ["key of a type that nobody here knows"] = (provider, claims) => provider.Sign(claims, keyId: "okp-1"),
        ["algorithm in another case"] = (provider, claims) => Relabel(provider.Sign(claims), "RS256", "rs256"),
        ["key in the header"] = (provider, claims) =>
            provider.Sign(claims, keyId: null, header: new JsonObject { ["jku"] = provider.Issuer + "/.well-known/jwks.json" }),
        ["critical extension"] = (provider, claims) => provider.Sign(claims, header: new JsonObject { ["crit"] = new JsonArray("b64"), ["b64"] = false }),
        ["another issuer"] = (provider, claims) => provider.Sign(With(claims, "iss", "https://clerk.evil.example")),
        ["issuer with a slash"] = (provider, claims) => provider.Sign(With(claims, "iss", provider.Issuer + "/")),
        ["no issuer"] = (provider, claims) => provider.Sign(With(claims, "iss", null)),
        ["expired"] = (provider, claims) => provider.Sign(With(claims, "exp", Seconds(claims) - 6)),
        ["no expiry"] = (provider, claims) => provider.Sign(With(claims, "exp", null)),
        ["expiry as text"] = (provider, claims) => provider.Sign(With(claims, "exp", "9999999999")),
        ["not valid yet"] = (provider, claims) => provider.Sign(With(claims, "nbf", Seconds(claims) + 30)),
        ["another application"] = (provider, claims) => provider.Sign(With(claims, "azp", "https://evil.example")),
        ["application in another case"] = (provider, claims) => provider.Sign(With(claims, "azp", "https://APP.example")),
        ["no application"] = (provider, claims) => provider.Sign(With(claims, "azp", null)),
        ["no subject"] = (provider, claims) => provider.Sign(With(claims, "sub", null)),
        ["empty subject"] = (provider, claims) => provider.Sign(With(claims, "sub", "")),
        ["subject as number"] = (provider, claims) => provider.Sign(With(claims, "sub", 1)),
        ["subject with a line end"] = (provider, claims) => provider.Sign(With(claims, "sub", "user\r\nx-internal-id: 1")),
        ["subject with a NUL"] = (provider, claims) => provider.Sign(With(claims, "sub", "user\0")),
        ["subject with half a surrogate pair"] = (provider, claims) =>
            provider.SignText(claims.ToJsonString().Replace((string)claims["sub"]!, "\\ud800", StringComparison.Ordinal)),
        ["subject of 256 characters"] = (provider, claims) => provider.Sign(With(claims, "sub", new string('u', 256))),
        ["impersonated by an operator"] = (provider, claims) => provider.Sign(With(claims, "act", new JsonObject { ["sub"] = "user_operator" })),
        ["actor as text"] = (provider, claims) => provider.Sign(With(claims, "act", "user_operator")),
        ["session that is pending"] = (provider, claims) => provider.Sign(With(claims, "sts", "pending")),
        ["session in another case"] = (provider, claims) => provider.Sign(With(claims, "sts", "Active")),
        ["session status as number"] = (provider, claims) => provider.Sign(With(claims, "sts", 1)),
        ["for an audience"] = (provider, claims) => provider.Sign(With(claims, "aud", "https://api.example")),
        ["for us as an audience"] = (provider, claims) => provider.Sign(With(claims, "aud", FakeProvider.ClientId)),
        ["for audiences"] = (provider, claims) => provider.Sign(With(claims, "aud", new JsonArray("https://api.example"))),
        ["for no audience"] = (provider, claims) => provider.Sign(With(claims, "aud", new JsonArray())),
        ["claims of another token"] = (provider, claims) => Splice(provider.Sign(claims), provider.Sign(With(claims, "sub", "user_other"))),
        ["no signature"] = (provider, claims) => provider.Sign(claims).Split('.') is var parts ? $"{parts[0]}.{parts[1]}." : "",
        ["two parts"] = (provider, claims) => provider.Sign(claims).Split('.') is var parts ? $"{parts[0]}.{parts[1]}" : "",
        ["four parts"] = (provider, claims) => provider.Sign(claims) + ".e30",
        ["too long"] = (provider, claims) => provider.Sign(With(claims, "padding", new string('x', 9000))),
        ["not a token"] = (_, _) => "garbage",
        ["no claims"] = (provider, _) => provider.SignText(""),
        ["claims as list"] = (provider, _) => provider.SignText("[]"),
        ["claims with something behind them"] = (provider, claims) => provider.SignText(claims.ToJsonString() + " x"),
        ["header with something behind it"] = (provider, claims) => Relabel(provider.Sign(claims), "}", "} x"),
        ["signature with padding"] = (provider, claims) => provider.Sign(claims) + "=", // RFC 7515 2: base64url without it
        ["signature with other trailing bits"] = (provider, claims) => provider.Sign(claims) is var token ? token[..^1] + (char)(token[^1] + 1) : "",
    };

    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;
    private readonly FakeProvider provider = fixture.Provider;

    public static TheoryData<string> BadTokens { get; } = new(Bad.Keys);

    [Theory]
    [MemberData(nameof(BadTokens))]
    public async Task Session_token_that_is_bad_is_401_invalid_token(string kind)
    {
        var user = "user with " + kind;
        var token = Bad[kind](provider, provider.SessionClaims(user, app.Clock.GetUtcNow()));

        var answer = await ReadAsync(app, token);

        Assert.Equal(HttpStatusCode.Unauthorized, answer.Status);
        Assert.Equal("invalid_token", answer.Error);
        Assert.Contains("error=\"invalid_token\"", Assert.Single(answer.Headers.WwwAuthenticate).ToString(), StringComparison.Ordinal);
        Assert.True(answer.Headers.CacheControl?.NoStore);
        Assert.Equal(0, await app.Database.CountAsync("users", $"clerk_user_id IN ('{user}', 'user_other')"));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(-63, 0)] // the clocks of two servers differ by seconds
    [InlineData(0, 13)]
    public async Task Session_token_within_the_leeway_is_accepted(int expiryMoves, int notBeforeMoves)
    {
        var claims = provider.SessionClaims("user_leeway", app.Clock.GetUtcNow());
        claims["exp"] = (long)claims["exp"]! + expiryMoves;
        claims["nbf"] = (long)claims["nbf"]! + notBeforeMoves;

        Assert.Equal(HttpStatusCode.OK, (await ReadAsync(app, provider.Sign(claims))).Status);
    }

    /// <summary>Clerk's second version of the token says how the session stands.</summary>
    [Fact]
    public async Task Session_token_of_an_active_session_is_accepted()
    {
        var claims = With(provider.SessionClaims("user_active", app.Clock.GetUtcNow()), "sts", "active");

        Assert.Equal(HttpStatusCode.OK, (await ReadAsync(app, provider.Sign(claims))).Status);
    }

    [Fact]
    public async Task Expired_session_token_is_told_so()
    {
        var answer = await ReadAsync(app, Bad["expired"](provider, provider.SessionClaims("user_expired", app.Clock.GetUtcNow())));

        Assert.Equal("expired", answer["error_description"]);
    }

    /// <summary>RFC 6750 3.1: who sent no token is told how to get one, without an error code.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData("Basic dXNlcjpwYXNz")]
    [InlineData("Bearer")]
    [InlineData("Bearer ")]
    public async Task Request_without_a_bearer_token_is_401_with_a_challenge(string? authorization)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/oauth/consent?client_id=first-client", UriKind.Relative));
        request.Headers.TryAddWithoutValidation("Authorization", authorization);

        var answer = await flow.SendAsync(request);

        Assert.Equal(HttpStatusCode.Unauthorized, answer.Status);
        Assert.Equal(
            $"Bearer resource_metadata=\"{app.BaseUrl}/.well-known/oauth-protected-resource\"",
            Assert.Single(answer.Headers.WwwAuthenticate).ToString());
    }

    /// <summary>Our own access tokens are for the gateway and the sessions API: no app may consent for its user.</summary>
    [Fact]
    public async Task Our_own_access_token_gives_no_consent()
    {
        var session = provider.Sign(provider.SessionClaims("user_own_token", app.Clock.GetUtcNow()));
        var client = await OAuthFlow.AddClientAsync(app);
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/oauth/consent", UriKind.Relative))
        {
            Headers = { Authorization = new("Bearer", session) },
            Content = new StringContent(
                OAuthFlow.Query(OAuthFlow.Parameters(client)).TrimStart('?'), Encoding.ASCII, "application/x-www-form-urlencoded"),
        };
        var redirect = new Uri((await flow.SendAsync(request)).Json.GetProperty("data").GetProperty("redirect_to").GetString()!);
        var tokens = await flow.ExchangeAsync(client, OAuthFlow.Parameter(redirect, "code")!);

        Assert.Equal(HttpStatusCode.Unauthorized, (await ReadAsync(app, tokens["access_token"]!)).Status);
    }

    [Fact]
    public async Task Session_token_opens_the_sessions_api()
    {
        var answer = await flow.SessionsAsync(provider.Sign(provider.SessionClaims("user_sessions", app.Clock.GetUtcNow())));

        Assert.Equal(HttpStatusCode.OK, answer.Status);
    }

    /// <summary>A new key is found at once, but forged key ids make us ask the provider at most every 30 seconds.</summary>
    [Fact]
    public async Task Unknown_key_ids_read_the_keys_again_at_most_every_30_seconds()
    {
        await using var rotating = await FakeProvider.StartAsync();
        await using var own = await TestApp.StartAsync("clerk_session_rotation", rotating.Settings);
        string Token(string keyId) => rotating.Sign(rotating.SessionClaims("user_rotation", own.Clock.GetUtcNow()), keyId: keyId);

        Assert.Equal(HttpStatusCode.OK, (await ReadAsync(own, Token(FakeProvider.KeyId))).Status);
        rotating.MoreKeyIds.Add("rsa-2");
        for (var attempt = 0; attempt < 20; attempt++)
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await ReadAsync(own, Token("forged"))).Status);
        }

        Assert.Equal(1, rotating.KeyReads);
        own.Clock.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal(HttpStatusCode.OK, (await ReadAsync(own, Token("rsa-2"))).Status);
        Assert.Equal(2, rotating.KeyReads);
    }

    /// <summary>
    /// No key known and the provider away: 503, never 401. Afterwards known keys go on, and the absent provider is not asked on every request.
    /// </summary>
    [Fact]
    public async Task Key_outage_is_503_for_the_first_token_and_nothing_once_keys_are_known()
    {
        await using var absent = await FakeProvider.StartAsync(isDown: true);
        await using var own = await TestApp.StartAsync("clerk_session_outage", absent.Settings);
        string Token() => absent.Sign(absent.SessionClaims("user_outage", own.Clock.GetUtcNow()));

        var first = await ReadAsync(own, Token());
        Assert.Equal(HttpStatusCode.ServiceUnavailable, first.Status);
        Assert.Equal("temporarily_unavailable", first.Error);
        Assert.NotNull(first.Headers.RetryAfter);

        absent.IsDown = false;
        Assert.Equal(HttpStatusCode.OK, (await ReadAsync(own, Token())).Status);

        absent.IsDown = true;
        own.Clock.Advance(TimeSpan.FromHours(2));
        var before = absent.Refused;
        for (var attempt = 0; attempt < 10; attempt++)
        {
            Assert.Equal(HttpStatusCode.OK, (await ReadAsync(own, Token())).Status);
        }

        Assert.Equal(1, absent.Refused - before);
    }

    /// <summary>Whoever comes while the keys are being read waits for that one read.</summary>
    [Fact]
    public async Task Keys_are_read_once_for_everybody_who_needs_them_at_once()
    {
        await using var own = await TestApp.StartAsync("clerk_session_flight", provider.Settings);
        var before = provider.KeyReads;
        var token = provider.Sign(provider.SessionClaims("user_flight", own.Clock.GetUtcNow()));

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => new OAuthFlow(own.Http).SessionsAsync(token)));

        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.OK, answer.Status));
        Assert.Equal(1, provider.KeyReads - before);
    }

    /// <summary>A provider that takes the request and says nothing: everybody waits the five seconds of one attempt, not one after the other.</summary>
    [Fact]
    public async Task Keys_that_never_come_are_503_for_everybody_at_once()
    {
        await using var silent = await FakeProvider.StartAsync();
        await using var own = await TestApp.StartAsync("clerk_session_silence", silent.Settings);
        silent.Instead["/.well-known/jwks.json"] = (context, _) =>
            Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        var token = silent.Sign(silent.SessionClaims("user_silence", own.Clock.GetUtcNow()));

        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => new OAuthFlow(own.Http).SessionsAsync(token)))
            .WaitAsync(TimeSpan.FromSeconds(15));

        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.Status));
    }

    public static TheoryData<string> BadKeySets { get; } = new(FakeProvider.Unusable.Keys);

    /// <summary>Nothing is learnt from a document that is not what it should be: an outage.</summary>
    [Theory]
    [MemberData(nameof(BadKeySets))]
    public async Task Key_set_that_is_bad_is_503(string kind)
    {
        await using var strange = await FakeProvider.StartAsync();
        await using var own = await TestApp.StartAsync("clerk_session_key_set", strange.Settings);
        var token = strange.Sign(strange.SessionClaims("user_key_set", own.Clock.GetUtcNow()));
        strange.Instead["/.well-known/jwks.json"] = FakeProvider.Unusable[kind];

        var first = await ReadAsync(own, token);
        strange.Instead.Clear();

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "temporarily_unavailable"), (first.Status, first.Error));
        Assert.Equal(HttpStatusCode.OK, (await ReadAsync(own, token)).Status);
    }

    private static async Task<JsonAnswer> ReadAsync(TestApp app, string token)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/oauth/consent?client_id=" + client.Id, UriKind.Relative))
        {
            Headers = { Authorization = new("Bearer", token) },
        };
        return await new OAuthFlow(app.Http).SendAsync(request);
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

    private static long Seconds(JsonObject claims) => (long)claims["iat"]!;

    private static string Relabel(string signed, string part, string other)
    {
        var header = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(signed.Split('.')[0])).Replace(part, other, StringComparison.Ordinal);
        return Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header)) + signed[signed.IndexOf('.', StringComparison.Ordinal)..];
    }

    private static string Splice(string signed, string other) => $"{signed.Split('.')[0]}.{other.Split('.')[1]}.{signed.Split('.')[2]}";
}
