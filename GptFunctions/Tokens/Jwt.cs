using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using GptFunctions.Hosting;

namespace GptFunctions.Tokens;

/// <summary>A JWS in compact form, split and decoded but not trusted: the caller checks algorithm, key, signature and claims.</summary>
internal sealed class Jwt
{
    private const int MaximumLength = 8192;

    // RFC 7515 2: no padding, no white space; the decoder would overlook them.
    private static readonly SearchValues<char> Characters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

    private Jwt(JsonElement header, JsonElement claims, byte[] signedPart, byte[] signature)
    {
        Claims = claims;
        Algorithm = Text(header, "alg");
        KeyId = Text(header, "kid");
        Type = Text(header, "typ");
        SignedPart = signedPart;
        Signature = signature;
    }

    public string? Algorithm { get; }

    public string? KeyId { get; }

    public string? Type { get; }

    public byte[] SignedPart { get; }

    public byte[] Signature { get; }

    public JsonElement Claims { get; }

    /// <summary>Whether a claim is there, whatever it says.</summary>
    public bool Has(string claim) => Claims.TryGetProperty(claim, out var value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>A string claim; null when it is absent or something else, such as half a surrogate pair.</summary>
    public string? this[string claim] => Text(Claims, claim);

    /// <summary>A NumericDate claim in whole seconds; null when it is absent or not a number.</summary>
    public long? Seconds(string claim) =>
        Claims.TryGetProperty(claim, out var value) && value.ValueKind == JsonValueKind.Number
            && value.TryGetDouble(out var seconds) && Math.Abs(seconds) < 1e15
            ? (long)seconds
            : null;

    /// <summary>RFC 7519 4.1.3: <c>aud</c> is a string or a list of strings.</summary>
    public bool HasAudience(string audience) =>
        Claims.TryGetProperty("aud", out var value) && value.ValueKind switch
        {
            JsonValueKind.String => value.ValueEquals(audience),
            JsonValueKind.Array => value.EnumerateArray().Any(item => item.ValueKind == JsonValueKind.String && item.ValueEquals(audience)),
            _ => false,
        };

    /// <summary>Null for anything that is not three base64url parts with JSON objects in the first two.</summary>
    public static Jwt? Parse(string token)
    {
        if (token.Length > MaximumLength || token.AsSpan().ContainsAnyExcept(Characters))
        {
            return null;
        }

        var parts = token.Split('.');
        try
        {
            return parts.Length == 3
                && ParseObject(parts[0]) is { } header
                && ParseObject(parts[1]) is { } claims
                && !header.TryGetProperty("crit", out _) // RFC 7515 4.1.11: an extension we do not understand
                ? new Jwt(header, claims, Encoding.ASCII.GetBytes(token, 0, parts[0].Length + 1 + parts[1].Length), Base64Url.DecodeFromChars(parts[2]))
                : null;
        }
        catch (Exception error) when (error is FormatException or JsonException or InvalidOperationException) // the last: a name that is not valid Unicode
        {
            return null;
        }
    }

    private static JsonElement? ParseObject(string part)
    {
        using var document = JsonDocument.Parse(Base64Url.DecodeFromChars(part));
        return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone() : null;
    }

    private static string? Text(JsonElement parent, string name)
    {
        try
        {
            return parent.TextOrNull(name);
        }
        catch (InvalidOperationException) // no valid Unicode
        {
            return null;
        }
    }
}
