using System.Text.Json;
using GptFunctions.Hosting;
using Microsoft.IdentityModel.Tokens;

namespace GptFunctions.OAuth;

/// <summary>The public keys of a client (RFC 7517), as far as we take their signatures.</summary>
internal static class ClientKeys
{
    /// <summary>In the order in which the metadata lists them.</summary>
    public static readonly string[] Algorithms = ["ES256", "RS256", "PS256"];

    private const int MaximumKeys = 50;
    private const int MinimumRsaBits = 2048; // RFC 7518 3.3; the library takes 1024

    /// <summary>Why no signature could be checked with this key set, as a sentence; null when one could.</summary>
    public static string? ProblemWith(string jwks) => Read(jwks) is not { Length: > 0 }
        ? $"jwks must be a set of public keys (RFC 7517) with at least one for {string.Join(", ", Algorithms)}: EC keys of P-256, RSA keys of 2048 bits or "
            + "more."
        : jwks.Length > OutsideDocuments.OfKeys || HasPrivateKey(jwks) ? "jwks must hold public keys only, and at most 32 KB."
        : null;

    /// <summary>Those that can check a signature; null for what is no key set.</summary>
    public static JsonWebKey[]? Read(string jwks)
    {
        try
        {
            var set = new JsonWebKeySet(jwks);
            return set.Keys.Count > MaximumKeys ? null : [.. set.Keys.Where(IsUsable)];
        }
        catch (Exception error) when (error is ArgumentException or JsonException or FormatException)
        {
            return null;
        }
    }

    /// <summary>The keys that may have made a signature: the one that is named, or any (RFC 7515 4.1.4).</summary>
    public static JsonWebKey[] For(this JsonWebKey[] keys, string? keyId, string algorithm) =>
        [.. keys.Where(key => (keyId is null || key.Kid == keyId) && (key.Alg is null or "" || key.Alg == algorithm)
            && (key.Kty == "EC") == (algorithm == "ES256"))];

    private static bool IsUsable(JsonWebKey key) => key.Use is null or "" or "sig" && key switch
    {
        { Kty: "EC", Crv: "P-256", X.Length: > 0, Y.Length: > 0 } => true,
        { Kty: "RSA", N.Length: > 0, E.Length: > 0 } => key.KeySize >= MinimumRsaBits,
        _ => false,
    };

    private static bool HasPrivateKey(string jwks)
    {
        using var document = JsonDocument.Parse(jwks);
        return document.RootElement.GetProperty("keys").EnumerateArray().Any(key => key.TextOrNull("d") is not null || key.TextOrNull("k") is not null);
    }
}
