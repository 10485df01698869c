using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Tests.Support;

/// <summary>
/// An OpenID provider over real HTTP that says whatever a test wants: tokens with wrong claims or signatures, errors, or nothing at all.
/// What a good provider does is tested with one that we did not write, see <see cref="Identity.OpenIdSignInTests"/>.
/// </summary>
internal sealed class FakeProvider : IAsyncDisposable
{
    public const string ClientId = "gpt-functions";
    public const string AuthorizedParty = "https://app.example";
    public const string KeyId = "rsa-1";
    public const string EllipticKeyId = "ec-1";
    public const string SmallKeyId = "rsa-1024";
    public const string WideKeyId = "ec-384";
    public const string BrokenKeyId = "rsa-broken";

    private readonly WebApplication app;
    private readonly int port = TestApp.FreePort();
    private readonly ECDsa ellipticKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly ECDsa wideKey = ECDsa.Create(ECCurve.NamedCurves.nistP384);

    private FakeProvider()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options => options.Listen(IPAddress.Loopback, port));
        app = builder.Build();
        app.Use((context, next) => IsDown ? RefuseAsync(context) : next(context));
        app.Use((context, next) => !context.Request.Query.ContainsKey("moved") && Instead.TryGetValue(context.Request.Path, out var answer)
            ? answer(context, next)
            : next(context));
        app.MapGet("/.well-known/openid-configuration", () => Results.Json(Discovery));
        app.MapGet("/.well-known/jwks.json", () =>
        {
            Interlocked.Increment(ref keyReads);
            return Results.Json(KeySet());
        });
        app.MapPost("/token", (Delegate)TokenAsync);
    }

    public string Issuer => $"http://127.0.0.1:{port}";

    public RSA Key { get; } = RSA.Create(2048);

    /// <summary>Published like the others, but of 1024 bits.</summary>
    public RSA SmallKey { get; } = RSA.Create(1024);

    /// <summary>The discovery document, to be changed by tests.</summary>
    public JsonObject Discovery { get; set; } = [];

    /// <summary>Key ids that are published beside the usual ones, with the public half of <see cref="Key"/>.</summary>
    public ConcurrentBag<string> MoreKeyIds { get; } = [];

    /// <summary>What is answered at a path in place of the document that belongs there, which the second parameter would answer.</summary>
    public ConcurrentDictionary<string, Func<HttpContext, RequestDelegate, Task>> Instead { get; } = new(StringComparer.Ordinal);

    /// <summary>Answers from which nobody may learn anything.</summary>
    public static IReadOnlyDictionary<string, Func<HttpContext, RequestDelegate, Task>> Unusable { get; } =
        new Dictionary<string, Func<HttpContext, RequestDelegate, Task>>(StringComparer.Ordinal)
        {
            ["of more than 256 KB"] = async (context, next) =>
            {
                await next(context);
                await context.Response.WriteAsync(new string(' ', 256 * 1024));
            },
            ["that has moved"] = (context, _) => AnswerAsync(context, 302, "", context.Request.Path + "?moved"),
            ["of another status than success"] = (context, next) =>
            {
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                return next(context);
            },
            ["that is no JSON"] = (context, _) => AnswerAsync(context, 200, "<html>"),
            ["that is a list"] = (context, _) => AnswerAsync(context, 200, "[]"),
            ["that is null"] = (context, _) => AnswerAsync(context, 200, "null"),
            ["that is empty"] = (context, _) => AnswerAsync(context, 200, ""),
            ["that lacks everything"] = (context, _) => AnswerAsync(context, 200, "{}"),
            ["of other types"] = (context, _) => AnswerAsync(context, 200, """{"keys":"x","issuer":1}"""),
        };

    /// <summary>Answers everything with 503.</summary>
    public bool IsDown { get; set; }

    /// <summary>How many requests came while it was down.</summary>
    public int Refused => refused;

    public int KeyReads => keyReads;

    /// <summary>The token endpoint's answers by code; any other code is invalid_grant. A status and a body.</summary>
    public ConcurrentDictionary<string, (int Status, string Body)> Answers { get; } = new(StringComparer.Ordinal);

    /// <summary>The forms that reached the token endpoint, with their Authorization header.</summary>
    public ConcurrentQueue<(IFormCollection Form, string Authorization)> TokenRequests { get; } = new();

    private int keyReads;
    private int refused;

    public static async Task<FakeProvider> StartAsync(bool isDown = false)
    {
        var provider = new FakeProvider { IsDown = isDown };
        provider.Discovery = new JsonObject
        {
            ["issuer"] = provider.Issuer,
            ["authorization_endpoint"] = provider.Issuer + "/authorize",
            ["token_endpoint"] = provider.Issuer + "/token",
            ["jwks_uri"] = provider.Issuer + "/.well-known/jwks.json",
        };
        await provider.app.StartAsync();
        return provider;
    }

    /// <summary>What an app needs to trust this provider.</summary>
    public Dictionary<string, string?> Settings => new()
    {
        ["CLERK_ISSUER"] = Issuer,
        ["CLERK_OAUTH_CLIENT_ID"] = ClientId,
        ["CLERK_OAUTH_CLIENT_SECRET"] = "provider-secret",
        ["CLERK_AUTHORIZED_PARTIES"] = AuthorizedParty,
    };

    /// <summary>The claims of a Clerk session JWT, good for a minute.</summary>
    public JsonObject SessionClaims(string subject, DateTimeOffset now) => new()
    {
        ["iss"] = Issuer,
        ["sub"] = subject,
        ["azp"] = AuthorizedParty,
        ["sid"] = "sess_1",
        ["iat"] = now.ToUnixTimeSeconds(),
        ["nbf"] = now.ToUnixTimeSeconds() - 10,
        ["exp"] = now.ToUnixTimeSeconds() + 60,
    };

    /// <summary>The claims of an ID token for a sign-in with this nonce.</summary>
    public JsonObject IdTokenClaims(string subject, string nonce, DateTimeOffset now) => new()
    {
        ["iss"] = Issuer,
        ["sub"] = subject,
        ["aud"] = ClientId,
        ["nonce"] = nonce,
        ["iat"] = now.ToUnixTimeSeconds(),
        ["exp"] = now.ToUnixTimeSeconds() + 300,
        ["email"] = subject + "@example.com",
        ["name"] = "Person " + subject,
    };

    /// <summary>A token endpoint's good answer with this ID token.</summary>
    public static (int Status, string Body) Success(string idToken) =>
        (200, new JsonObject { ["access_token"] = "x", ["token_type"] = "Bearer", ["id_token"] = idToken }.ToJsonString());

    /// <summary>A JWT signed with RS256 and <see cref="Key"/>, unless told otherwise.</summary>
    public string Sign(JsonObject claims, string algorithm = "RS256", string? keyId = KeyId, RSA? key = null, JsonObject? header = null)
    {
        header ??= [];
        header["alg"] = algorithm;
        header["typ"] = "JWT";
        if (keyId is not null)
        {
            header["kid"] = keyId;
        }

        return SignText(claims.ToJsonString(), algorithm, header, key);
    }

    /// <summary>The same for claims that only exist as text, because no JSON writer would make them.</summary>
    public string SignText(string claims, string algorithm = "RS256", JsonObject? header = null, RSA? key = null)
    {
        header ??= new JsonObject { ["alg"] = algorithm, ["typ"] = "JWT", ["kid"] = KeyId };
        var text = $"{Encode(header.ToJsonString())}.{Encode(claims)}";
        var data = Encoding.ASCII.GetBytes(text);
        var signature = header["kid"]?.ToString() == WideKeyId ? Signature(wideKey, data) : Signature(algorithm, data, key ?? Key);
        return $"{text}.{Base64Url.EncodeToString(signature)}";
    }

    public async ValueTask DisposeAsync()
    {
        await app.StopAsync();
        await app.DisposeAsync();
        Key.Dispose();
        SmallKey.Dispose();
        ellipticKey.Dispose();
        wideKey.Dispose();
    }

    private static string Encode(string part) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(part));

    private byte[] Signature(string algorithm, byte[] text, RSA key) => algorithm switch
    {
        "RS256" => key.SignData(text, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
        "RS512" => key.SignData(text, HashAlgorithmName.SHA512, RSASignaturePadding.Pkcs1),
        "PS256" => key.SignData(text, HashAlgorithmName.SHA256, RSASignaturePadding.Pss),
        "ES256" => Signature(ellipticKey, text),
        // RFC 8725 2.1: the public key, which everybody has, used as a shared secret
        "HS256" => HMACSHA256.HashData(Encoding.ASCII.GetBytes(key.ExportSubjectPublicKeyInfoPem()), text),
        _ => [],
    };

    private static byte[] Signature(ECDsa key, byte[] text) =>
        key.SignData(text, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);

    // Some are of no use to anybody, as at a provider that serves many kinds of applications.
    private JsonObject KeySet() => new()
    {
        ["keys"] = new JsonArray([
            new JsonObject { ["kty"] = "OKP", ["crv"] = "Ed25519", ["kid"] = "okp-1", ["x"] = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
            new JsonObject { ["kty"] = "RSA", ["kid"] = BrokenKeyId, ["alg"] = "RS256", ["use"] = "sig", ["n"] = "%%%", ["e"] = "AQAB" },
            new JsonObject { ["kty"] = "RSA", ["n"] = "AQAB", ["e"] = "AQAB" },
            PublicKey(ellipticKey, EllipticKeyId, "P-256"),
            PublicKey(wideKey, WideKeyId, "P-384"),
            PublicKey(SmallKey, SmallKeyId),
            .. MoreKeyIds.Append(KeyId).Select(id => PublicKey(Key, id)),
        ]),
    };

    private static JsonObject PublicKey(RSA key, string id)
    {
        var rsa = key.ExportParameters(includePrivateParameters: false);
        return new()
        {
            ["kty"] = "RSA",
            ["kid"] = id,
            ["alg"] = "RS256",
            ["use"] = "sig",
            ["n"] = Base64Url.EncodeToString(rsa.Modulus),
            ["e"] = Base64Url.EncodeToString(rsa.Exponent),
        };
    }

    private static JsonObject PublicKey(ECDsa key, string id, string curve)
    {
        var elliptic = key.ExportParameters(includePrivateParameters: false);
        return new()
        {
            ["kty"] = "EC",
            ["crv"] = curve,
            ["kid"] = id,
            ["alg"] = "ES256",
            ["use"] = "sig",
            ["x"] = Base64Url.EncodeToString(elliptic.Q.X),
            ["y"] = Base64Url.EncodeToString(elliptic.Q.Y),
        };
    }

    private async Task<IResult> TokenAsync(HttpContext context)
    {
        var form = await context.Request.ReadFormAsync();
        TokenRequests.Enqueue((form, context.Request.Headers.Authorization.ToString()));
        var (status, body) = Answers.TryRemove(form["code"].ToString(), out var answer) ? answer : (400, """{"error":"invalid_grant"}""");
        return Results.Text(body, "application/json", statusCode: status);
    }

    private static Task AnswerAsync(HttpContext context, int status, string body, string? location = null)
    {
        context.Response.StatusCode = status;
        context.Response.Headers.Location = location;
        return context.Response.WriteAsync(body);
    }

    private Task RefuseAsync(HttpContext context)
    {
        Interlocked.Increment(ref refused);
        context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return Task.CompletedTask;
    }
}

/// <summary>One app with a <see cref="FakeProvider"/> for all tests of a class.</summary>
public sealed class FakeProviderFixture<TTests> : IAsyncLifetime
{
    internal FakeProvider Provider { get; private set; } = null!;

    internal TestApp App { get; private set; } = null!;

    internal OAuthFlow Flow { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Provider = await FakeProvider.StartAsync();
        App = await TestApp.StartAsync(TestDatabase.NameFor(typeof(TTests)), Provider.Settings);
        Flow = new OAuthFlow(App.Http);
    }

    public async Task DisposeAsync()
    {
        await App.DisposeAsync();
        await Provider.DisposeAsync();
    }
}
