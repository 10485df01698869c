using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.OAuth;

/// <summary>
/// oauth.md 14, 28 and 29: what an access token says, and which ones are believed. Tokens are signed and read here without the product's code; /oauth/sessions
/// is the resource.
/// </summary>
public sealed class AccessTokenTests(AppFixture<AccessTokenTests> fixture) : IClassFixture<AppFixture<AccessTokenTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    /// <summary>RFC 9068 2.1 and 2.2.</summary>
    [Fact]
    public async Task Token_has_the_header_and_the_claims_of_the_standard()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var before = app.Clock.GetUtcNow().ToUnixTimeSeconds();
        var tokens = await flow.TokensAsync(client, "user_claims", ("scope", "jobs:read resume:read"));
        var header = AccessTokenText.Header(tokens["access_token"]!);
        var claims = AccessTokenText.Claims(tokens["access_token"]!);

        Assert.Equal("""{"typ":"at+jwt","alg":"ES256","kid":""" + $"\"{KeyId(app)}\"}}", header.GetRawText());
        Assert.Equal(
            ["aud", "client_id", "exp", "gen", "iat", "iss", "jti", "scope", "sid", "sub"],
            claims.EnumerateObject().Select(claim => claim.Name).Order(StringComparer.Ordinal));
        Assert.Equal(app.BaseUrl, claims.GetProperty("iss").GetString());
        Assert.Equal("user_claims", claims.GetProperty("sub").GetString());
        Assert.Equal([app.BaseUrl + "/gpt", app.BaseUrl + "/gpt/partner/mcp", app.BaseUrl + "/gpt/mcp"], AccessTokenText.Audience(tokens["access_token"]!));
        Assert.Equal(client.Id, claims.GetProperty("client_id").GetString());
        Assert.Equal("jobs:read resume:read", claims.GetProperty("scope").GetString());
        Assert.Equal(0, claims.GetProperty("gen").GetInt32()); // the first of its session
        Assert.Equal(1, await app.Database.CountAsync("gpt_sessions", $"id = '{claims.GetProperty("sid").GetGuid()}' AND client_id = '{client.Id}'"));
        Assert.InRange(claims.GetProperty("iat").GetInt64(), before, before + 10);
        Assert.Equal(900, claims.GetProperty("exp").GetInt64() - claims.GetProperty("iat").GetInt64());
        using var key = Key(app);
        Assert.True(Verify(key, tokens["access_token"]!));
    }

    [Fact]
    public async Task Token_id_is_new_each_time()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_jti");
        var again = await flow.RefreshAsync(client, tokens["refresh_token"]!);

        Assert.NotEqual(
            AccessTokenText.Claims(tokens["access_token"]!).GetProperty("jti").GetString(),
            AccessTokenText.Claims(again["access_token"]!).GetProperty("jti").GetString());
    }

    /// <summary>oauth.md 14.</summary>
    [Fact]
    public async Task Expired_token_is_401_with_the_description_expired()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_expired");
        app.Clock.Advance(TimeSpan.FromSeconds(896));
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(tokens["access_token"]!)).Status);
        app.Clock.Advance(TimeSpan.FromSeconds(5));

        var refused = await flow.SessionsAsync(tokens["access_token"]!);

        Assert.Equal((HttpStatusCode.Unauthorized, "invalid_token", "expired"), (refused.Status, refused.Error, refused["error_description"]));
        var challenge = refused.Headers.WwwAuthenticate.ToString();
        Assert.StartsWith("Bearer ", challenge, StringComparison.Ordinal);
        Assert.Contains("error=\"invalid_token\", error_description=\"expired\"", challenge, StringComparison.Ordinal);
        Assert.Contains($"resource_metadata=\"{app.BaseUrl}/.well-known/oauth-protected-resource\"", challenge, StringComparison.Ordinal);
    }

    /// <summary>RFC 6750 3.1: who sends no token is told where to get one, without an error code.</summary>
    [Fact]
    public async Task Missing_token_is_401_without_an_error_code_in_the_challenge()
    {
        var refused = await flow.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/oauth/sessions"));

        Assert.Equal(HttpStatusCode.Unauthorized, refused.Status);
        Assert.DoesNotContain("error", refused.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        Assert.Contains("resource_metadata=", refused.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
    }

    /// <summary>oauth.md 14. The control: the same token, signed by this test with nothing changed, is accepted.</summary>
    [Theory]
    [InlineData("nothing", true)]
    [InlineData("alg none", false)]
    [InlineData("alg none, signature kept", false)]
    [InlineData("alg HS256 with the public key as PEM", false)]
    [InlineData("alg HS256 with the public point", false)]
    [InlineData("alg es256 in lower case", false)]
    [InlineData("typ JWT", false)]
    [InlineData("typ missing", false)]
    [InlineData("kid unknown", false)]
    [InlineData("kid missing", false)]
    [InlineData("crit", false)]
    [InlineData("key of somebody else", false)]
    [InlineData("aud wrong", false)]
    [InlineData("aud missing", false)]
    [InlineData("aud a list with ours", true)]
    [InlineData("iss wrong", false)]
    [InlineData("iss with slash", false)]
    [InlineData("sid missing", false)]
    [InlineData("sid unknown", false)]
    [InlineData("exp missing", false)]
    [InlineData("exp as text", false)]
    [InlineData("exp in the past", false)]
    [InlineData("nbf now", true)]
    [InlineData("nbf in the future", false)]
    [InlineData("nbf as text", false)]
    [InlineData("claims tampered", false)]
    [InlineData("signature tampered", false)]
    [InlineData("signature empty", false)]
    [InlineData("signature DER", false)]
    [InlineData("signature all zero", false)]
    public async Task Token_is_believed_only_when_everything_is_right(string change, bool isBelieved)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var genuine = (await flow.TokensAsync(client, "user_forger"))["access_token"]!;

        var answer = await flow.SessionsAsync(Forge(genuine, change));

        Assert.Equal(isBelieved ? (HttpStatusCode.OK, null) : (HttpStatusCode.Unauthorized, "invalid_token"), (answer.Status, answer.Error));
        Assert.Equal(isBelieved ? "True" : "False", (await flow.IntrospectAsync(client, Forge(genuine, change)))["active"]);
    }

    /// <summary>Whatever a stranger puts into a header, nothing fails inside.</summary>
    [Theory]
    [InlineData("a.b.c")]
    [InlineData("..")]
    [InlineData("e30.e30.e30")] // {} {} {}
    [InlineData("W10.W10.W10")] // [] [] []
    [InlineData("bnVsbA.bnVsbA.bnVsbA")] // null
    [InlineData("eyJhbGciOiJcdWQ4MDAifQ.e30.AA")] // {"alg":"\ud800"}: half a surrogate pair
    [InlineData("eyJhbGciOiL_In0.e30.AA")] // {"alg":"<0xff>"}: not UTF-8
    [InlineData("eyJcdWQ4MDBjcml0IjoxLCJhbGciOiJFUzI1NiJ9.e30.AA")] // {"\ud800crit":1,...
    [InlineData("eyJhbGciOjF9.e30.AA")] // {"alg":1}
    [InlineData("eyJhbGciOiJFUzI1NiJ9.e30")]
    [InlineData("\u00e9.\u00e9.\u00e9")]
    public async Task Garbage_in_place_of_a_token_is_401(string token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/oauth/sessions");
        request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + Uri.EscapeDataString(token).Replace("%C3%A9", "%", StringComparison.Ordinal));
        var answer = await flow.SendAsync(request);
        Assert.Equal((HttpStatusCode.Unauthorized, "invalid_token"), (answer.Status, answer.Error));

        var client = await OAuthFlow.AddClientAsync(app);
        Assert.Equal("""{"active":false}""", (await flow.IntrospectAsync(client, token)).Text);
        Assert.Equal(HttpStatusCode.OK, (await flow.RevokeAsync(client, token)).Status);
    }

    /// <summary>GPT_EC_PREVIOUS_KEYS: tokens signed before a key rotation live on, new ones are signed with the new key. The public half suffices.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Token_of_the_previous_key_is_accepted_after_a_rotation(bool isPublic)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_rotation");
        await using var rotated = await app.StartReplicaAsync(
            ("GPT_EC_PRIVATE_KEY", SigningKey.Generate()),
            ("GPT_EC_PREVIOUS_KEYS", isPublic ? PublicKey(app.Settings["GPT_EC_PRIVATE_KEY"]!) : app.Settings["GPT_EC_PRIVATE_KEY"]));
        await using var withdrawn = await app.StartReplicaAsync(("GPT_EC_PRIVATE_KEY", rotated.Settings["GPT_EC_PRIVATE_KEY"]));

        Assert.Equal(HttpStatusCode.OK, (await new OAuthFlow(rotated.Http).SessionsAsync(tokens["access_token"]!)).Status);
        var renewed = await new OAuthFlow(rotated.Http).RefreshAsync(client, tokens["refresh_token"]!);
        Assert.Equal(KeyId(rotated), AccessTokenText.Header(renewed["access_token"]!).GetProperty("kid").GetString());
        Assert.Equal("invalid_token", (await new OAuthFlow(withdrawn.Http).SessionsAsync(tokens["access_token"]!)).Error);
        Assert.Equal(HttpStatusCode.OK, (await new OAuthFlow(withdrawn.Http).SessionsAsync(renewed["access_token"]!)).Status);
    }

    /// <summary>A key that is announced before it signs: replicas that have it already accept what the first of them to switch over signs.</summary>
    [Fact]
    public async Task Token_of_a_key_that_is_announced_is_accepted_and_the_key_signs_nothing()
    {
        var next = SigningKey.Generate();
        await using var announced = await app.StartReplicaAsync(("GPT_EC_PREVIOUS_KEYS", PublicKey(next)));
        await using var switched = await app.StartReplicaAsync(
            ("GPT_EC_PRIVATE_KEY", next), ("GPT_EC_PREVIOUS_KEYS", PublicKey(app.Settings["GPT_EC_PRIVATE_KEY"]!)));
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await new OAuthFlow(switched.Http).TokensAsync(client, "user_announced");

        Assert.Equal(HttpStatusCode.OK, (await new OAuthFlow(announced.Http).SessionsAsync(tokens["access_token"]!)).Status);
        var renewed = await new OAuthFlow(announced.Http).RefreshAsync(client, tokens["refresh_token"]!);
        Assert.Equal(KeyId(app), AccessTokenText.Header(renewed["access_token"]!).GetProperty("kid").GetString());
        foreach (var text in (string[])[next, PublicKey(next)])
        {
            Assert.True(SigningKey.TryParsePublic(text, out var key));
            Assert.ThrowsAny<CryptographicException>(() => key!.Sign([1], new byte[64]));
        }

        Assert.False(SigningKey.TryParse(PublicKey(next), out _));
    }

    private static string PublicKey(string privateKey)
    {
        using var key = ECDsa.Create();
        key.ImportFromPem(Encoding.ASCII.GetString(Convert.FromBase64String(privateKey)));
        return Convert.ToBase64String(Encoding.ASCII.GetBytes(key.ExportSubjectPublicKeyInfoPem()));
    }

    private static ECDsa Key(TestApp app)
    {
        var key = ECDsa.Create();
        key.ImportFromPem(Encoding.ASCII.GetString(Convert.FromBase64String(app.Settings["GPT_EC_PRIVATE_KEY"]!)));
        return key;
    }

    /// <summary>RFC 7638, independently of the product: the JSON comes from a serializer here.</summary>
    private static string KeyId(TestApp app)
    {
        using var key = Key(app);
        var point = key.ExportParameters(false).Q;
        var members = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["kty"] = "EC",
            ["crv"] = "P-256",
            ["x"] = Base64Url.EncodeToString(point.X),
            ["y"] = Base64Url.EncodeToString(point.Y),
        };
        return Base64Url.EncodeToString(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(members)));
    }

    private static bool Verify(ECDsa key, string token)
    {
        var parts = token.Split('.');
        return key.VerifyData(Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), Base64Url.DecodeFromChars(parts[2]), HashAlgorithmName.SHA256);
    }

    private string Forge(string genuine, string change)
    {
        using var key = Key(app);
        return new Forgery(genuine, key, app.Clock).With(change);
    }
}
