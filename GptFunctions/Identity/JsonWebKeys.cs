using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json;
using GptFunctions.Hosting;
using GptFunctions.OAuth;

namespace GptFunctions.Identity;

/// <summary>
/// A provider's published keys (RFC 7517). Fetched when first needed, again after an hour, and for an unknown key id at
/// most every 30 seconds, so that forged tokens cannot make us hammer the provider. When the provider is away, known keys go on.
/// </summary>
internal sealed class JsonWebKeys(HttpClient http, Uri url, TimeProvider clock) : IDisposable
{
    private static readonly TimeSpan Freshness = TimeSpan.FromHours(1);
    private static readonly TimeSpan MinimumInterval = TimeSpan.FromSeconds(30);
    private readonly SemaphoreSlim turn = new(1, 1);
    private KeyList known = new([], DateTimeOffset.MinValue);

    private sealed record KeyList(Dictionary<string, JsonElement> ById, DateTimeOffset FetchedAt);

    /// <summary>Checks the signature of a JWT whose algorithm is one of <paramref name="algorithms"/> (RS256 or ES256).</summary>
    /// <exception cref="ServiceOutageException">No key is known and the provider cannot be reached.</exception>
    public async Task<bool> VerifyAsync(Jwt jwt, string[] algorithms, CancellationToken cancellationToken)
    {
        if (!algorithms.Contains(jwt.Algorithm) || jwt.KeyId is not { } keyId || await FindAsync(keyId, cancellationToken) is not { } key)
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

    public void Dispose() => turn.Dispose();

    private static bool VerifyRsa(JsonElement key, Jwt jwt)
    {
        if (key.GetProperty("kty").GetString() != "RSA")
        {
            return false;
        }

        using var rsa = RSA.Create(new RSAParameters { Modulus = Bytes(key, "n"), Exponent = Bytes(key, "e") });
        return rsa.KeySize >= 2048 && rsa.VerifyData(jwt.SignedPart, jwt.Signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
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

    private async Task<JsonElement?> FindAsync(string keyId, CancellationToken cancellationToken)
    {
        if (Lookup(keyId) is { } current)
        {
            return current;
        }

        await turn.WaitAsync(cancellationToken);
        try
        {
            if (Lookup(keyId) is null && clock.GetUtcNow() - known.FetchedAt >= MinimumInterval)
            {
                await FetchAsync(cancellationToken);
            }
        }
        finally
        {
            turn.Release();
        }

        return known.ById.TryGetValue(keyId, out var key) ? key : null;
    }

    private JsonElement? Lookup(string keyId) => clock.GetUtcNow() - known.FetchedAt < Freshness && known.ById.TryGetValue(keyId, out var key) ? key : null;

    private async Task FetchAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var document = await http.ReadJsonAsync(url, cancellationToken);
            var keys = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
            foreach (var key in document.RootElement.GetProperty("keys").EnumerateArray())
            {
                if (key.TryGetProperty("kid", out var id) && id.GetString() is { } text)
                {
                    keys[text] = key.Clone();
                }
            }

            known = new KeyList(keys, clock.GetUtcNow());
        }
        catch (Exception error) when (error is ServiceOutageException or KeyNotFoundException or InvalidOperationException)
        {
            if (known.ById.Count == 0)
            {
                throw error as ServiceOutageException ?? new ServiceOutageException("The identity provider's key set cannot be read.", error);
            }
        }
    }
}
