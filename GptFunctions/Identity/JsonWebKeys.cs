using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json;
using GptFunctions.Hosting;
using GptFunctions.Tokens;

namespace GptFunctions.Identity;

/// <summary>
/// A provider's published keys (RFC 7517). Read when first needed, again after an hour, and for an unknown key id at
/// most every 30 seconds, so that forged tokens cannot make us hammer the provider. When the provider is away, known keys go on.
/// </summary>
internal sealed class JsonWebKeys : IDisposable
{
    private const int MinimumRsaBits = 2048;
    private static readonly TimeSpan Freshness = TimeSpan.FromHours(1);
    private readonly KeptDocument<Dictionary<string, JsonElement>> keys;

    public JsonWebKeys(HttpClient http, Uri url, TimeProvider clock)
    {
        Url = url;
        keys = new(() => ReadAsync(http, url), clock);
    }

    public Uri Url { get; }

    /// <summary>Checks the signature of a JWT whose algorithm is one of <paramref name="algorithms"/> (RS256 or ES256).</summary>
    /// <exception cref="ServiceOutageException">No key is known and the provider cannot be reached.</exception>
    public async Task<bool> VerifyAsync(Jwt jwt, string[] algorithms)
    {
        if (!algorithms.Contains(jwt.Algorithm) || jwt.KeyId is not { } keyId || await FindAsync(keyId) is not { } key)
        {
            return false;
        }

        try
        {
            return jwt.Algorithm == "RS256" ? VerifyRsa(key, jwt) : VerifyEllipticCurve(key, jwt);
        }
        catch (Exception error) when (error is KeyNotFoundException or FormatException or CryptographicException or InvalidOperationException)
        {
            return false; // a key of another type under the same id
        }
    }

    public void Dispose() => keys.Dispose();

    private static bool VerifyRsa(JsonElement key, Jwt jwt)
    {
        if (key.GetProperty("kty").GetString() != "RSA")
        {
            return false;
        }

        using var rsa = RSA.Create(new RSAParameters { Modulus = Bytes(key, "n"), Exponent = Bytes(key, "e") });
        return rsa.KeySize >= MinimumRsaBits && rsa.VerifyData(jwt.SignedPart, jwt.Signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
    }

    private static bool VerifyEllipticCurve(JsonElement key, Jwt jwt)
    {
        if (key.GetProperty("kty").GetString() != "EC" || key.GetProperty("crv").GetString() != "P-256")
        {
            return false;
        }

        using var ecdsa = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = new ECPoint { X = Bytes(key, "x"), Y = Bytes(key, "y") } });
        return ecdsa.VerifyData(jwt.SignedPart, jwt.Signature, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
    }

    private static byte[] Bytes(JsonElement key, string member) => Base64Url.DecodeFromChars(key.GetProperty(member).GetString());

    private async Task<JsonElement?> FindAsync(string keyId)
    {
        if ((await keys.GetAsync(Freshness)).TryGetValue(keyId, out var key))
        {
            return key;
        }

        // The provider may have a new key.
        return (await keys.GetAsync(KeptDocument<Dictionary<string, JsonElement>>.MinimumInterval)).TryGetValue(keyId, out key) ? key : null;
    }

    private static async Task<Dictionary<string, JsonElement>> ReadAsync(HttpClient http, Uri url)
    {
        using var document = await http.ReadJsonAsync(url);
        try
        {
            var byId = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
            foreach (var key in document.RootElement.GetProperty("keys").EnumerateArray())
            {
                if (key.TryGetProperty("kid", out var id) && id.GetString() is { } text)
                {
                    byId[text] = key.Clone();
                }
            }

            return byId;
        }
        catch (Exception error) when (error is KeyNotFoundException or InvalidOperationException)
        {
            throw new ServiceOutageException("The identity provider's key set cannot be read.", error);
        }
    }
}
