using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace GptFunctions.Tests.Support;

/// <summary>A key of a client, and the assertions that it signs (RFC 7523), made without the product's code.</summary>
internal sealed class ClientKey : IDisposable
{
    private readonly AsymmetricAlgorithm key;
    private readonly string algorithm;

    /// <param name="bits">Of an RSA key.</param>
    public ClientKey(string algorithm = "ES256", string keyId = "one", int bits = 2048)
    {
        (this.algorithm, KeyId) = (algorithm, keyId);
        key = algorithm == "ES256" ? ECDsa.Create(ECCurve.NamedCurves.nistP256) : RSA.Create(bits);
    }

    public string KeyId { get; }

    /// <summary>RFC 7517.</summary>
    public JsonObject Public => key switch
    {
        ECDsa ec => new JsonObject
        {
            ["kty"] = "EC",
            ["crv"] = "P-256",
            ["kid"] = KeyId,
            ["use"] = "sig",
            ["x"] = Base64Url.EncodeToString(ec.ExportParameters(false).Q.X!),
            ["y"] = Base64Url.EncodeToString(ec.ExportParameters(false).Q.Y!),
        },
        RSA rsa => new JsonObject
        {
            ["kty"] = "RSA",
            ["kid"] = KeyId,
            ["n"] = Base64Url.EncodeToString(rsa.ExportParameters(false).Modulus!),
            ["e"] = Base64Url.EncodeToString(rsa.ExportParameters(false).Exponent!),
        },
        _ => throw new NotSupportedException(),
    };

    public static JsonObject Set(params ClientKey[] keys) => new() { ["keys"] = new JsonArray([.. keys.Select(key => (JsonNode)key.Public)]) };

    /// <summary>A good assertion for a client, after <paramref name="change"/> of its header and claims.</summary>
    public string Assert(TestApp app, string clientId, Action<JsonObject, JsonObject>? change = null)
    {
        var now = app.Clock.GetUtcNow().ToUnixTimeSeconds();
        var header = new JsonObject { ["alg"] = algorithm, ["typ"] = "JWT", ["kid"] = KeyId };
        var claims = new JsonObject
        {
            ["iss"] = clientId,
            ["sub"] = clientId,
            ["aud"] = app.BaseUrl,
            ["iat"] = now,
            ["exp"] = now + 60,
            ["jti"] = Guid.NewGuid().ToString(),
        };
        change?.Invoke(header, claims);
        var signed = Encode(header) + "." + Encode(claims);
        var token = signed + "." + Base64Url.EncodeToString(Sign(Encoding.ASCII.GetBytes(signed)));
        RunLog.NoteSecret(token);
        return token;
    }

    /// <summary>The parameters of a request with a new assertion.</summary>
    public (string Name, string? Value)[] Parameters(TestApp app, string clientId, Action<JsonObject, JsonObject>? change = null) =>
        Parameters(Assert(app, clientId, change));

    public static (string Name, string? Value)[] Parameters(string assertion) =>
        [("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), ("client_assertion", assertion)];

    public void Dispose() => key.Dispose();

    private static string Encode(JsonObject part) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(part.ToJsonString()));

    private byte[] Sign(byte[] data) => key switch
    {
        ECDsa ec => ec.SignData(data, HashAlgorithmName.SHA256),
        RSA rsa => rsa.SignData(data, HashAlgorithmName.SHA256, algorithm == "PS256" ? RSASignaturePadding.Pss : RSASignaturePadding.Pkcs1),
        _ => throw new NotSupportedException(),
    };
}
