using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>A genuine access token, changed in one respect and signed again.</summary>
internal sealed class Forgery(string genuine, ECDsa key, TimeProvider clock)
{
    /// <summary>What can be changed, by name.</summary>
    private static readonly Dictionary<string, Action<Forgery>> Changes = new(StringComparer.Ordinal)
    {
        ["nothing"] = _ => { },
        ["alg none"] = forgery => (forgery.header["alg"], forgery.sign) = ("none", _ => []),
        ["alg none, signature kept"] = forgery => forgery.header["alg"] = "none",
        ["alg HS256 with the public key as PEM"] = forgery =>
            (forgery.header["alg"], forgery.sign) =
                ("HS256", data => HMACSHA256.HashData(Encoding.ASCII.GetBytes(forgery.key.ExportSubjectPublicKeyInfoPem()), data)),
        ["alg HS256 with the public point"] = forgery =>
            (forgery.header["alg"], forgery.sign) = ("HS256", data => HMACSHA256.HashData(forgery.PublicPoint(), data)),
        ["alg es256 in lower case"] = forgery => forgery.header["alg"] = "es256",
        ["typ JWT"] = forgery => forgery.header["typ"] = "JWT",
        ["typ missing"] = forgery => forgery.header.Remove("typ"),
        ["kid unknown"] = forgery => forgery.header["kid"] = "unknown",
        ["kid missing"] = forgery => forgery.header.Remove("kid"),
        ["crit"] = forgery => forgery.header["crit"] = new JsonArray("exp"),
        ["key of somebody else"] = forgery => forgery.sign = SignAsStranger,
        ["aud wrong"] = forgery => forgery.claims["aud"] = "https://elsewhere.example",
        ["aud missing"] = forgery => forgery.claims.Remove("aud"),
        ["aud a list with ours"] = forgery =>
            forgery.claims["aud"] = new JsonArray("https://elsewhere.example", forgery.claims["iss"]!.GetValue<string>() + "/gpt"),
        ["iss wrong"] = forgery => forgery.claims["iss"] = "https://elsewhere.example",
        ["iss with slash"] = forgery => forgery.claims["iss"] = forgery.claims["iss"]!.GetValue<string>() + "/",
        ["sid missing"] = forgery => forgery.claims.Remove("sid"),
        ["sid unknown"] = forgery => forgery.claims["sid"] = Guid.Empty.ToString(),
        ["exp missing"] = forgery => forgery.claims.Remove("exp"),
        ["exp as text"] = forgery => forgery.claims["exp"] = "9999999999",
        ["exp in the past"] = forgery => forgery.claims["exp"] = forgery.clock.GetUtcNow().ToUnixTimeSeconds() - 1,
        ["nbf now"] = forgery => forgery.claims["nbf"] = forgery.clock.GetUtcNow().ToUnixTimeSeconds(),
        ["nbf in the future"] = forgery => forgery.claims["nbf"] = forgery.clock.GetUtcNow().ToUnixTimeSeconds() + 60,
        ["nbf as text"] = forgery => forgery.claims["nbf"] = "0",
        ["claims tampered"] = forgery => (forgery.claims["sub"], forgery.sign) = ("user_somebody_else", _ => forgery.genuineSignature),
        ["signature tampered"] = forgery => forgery.sign = data => Flip(forgery.Sign(data)),
        ["signature empty"] = forgery => forgery.sign = _ => [],
        ["signature DER"] = forgery => forgery.sign = data => forgery.key.SignData(data, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence),
        ["signature all zero"] = forgery => forgery.sign = _ => new byte[64], // CVE-2022-21449
    };

    private readonly ECDsa key = key;
    private readonly TimeProvider clock = clock;
    private readonly JsonObject header = JsonNode.Parse(AccessTokenText.Header(genuine).GetRawText())!.AsObject();
    private readonly JsonObject claims = JsonNode.Parse(AccessTokenText.Claims(genuine).GetRawText())!.AsObject();
    private readonly byte[] genuineSignature = Base64Url.DecodeFromChars(genuine.Split('.')[2]);
    private Func<byte[], byte[]>? sign;

    public string With(string change)
    {
        Changes[change](this);
        var text = $"{Encode(header)}.{Encode(claims)}";
        return $"{text}.{Base64Url.EncodeToString((sign ?? Sign)(Encoding.ASCII.GetBytes(text)))}";
    }

    private byte[] Sign(byte[] data) => key.SignData(data, HashAlgorithmName.SHA256);

    private static byte[] SignAsStranger(byte[] data)
    {
        using var stranger = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return stranger.SignData(data, HashAlgorithmName.SHA256);
    }

    private byte[] PublicPoint()
    {
        var point = key.ExportParameters(false).Q;
        return [4, .. point.X!, .. point.Y!]; // SEC 1 2.3.3, uncompressed
    }

    private static byte[] Flip(byte[] signature)
    {
        signature[10] ^= 1;
        return signature;
    }

    private static string Encode(JsonObject json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json.ToJsonString()));
}
