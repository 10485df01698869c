using System.Text;
using System.Text.Json;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.OAuth;

/// <summary>
/// The parameters of a query string or form body (application/x-www-form-urlencoded), read strictly: broken percent
/// encoding or UTF-8 is an error, and so is a repeated parameter (RFC 6749 3.1 and 3.2). An empty value counts as absent.
/// </summary>
internal sealed class FormParameters
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private readonly Dictionary<string, string> values = new(StringComparer.Ordinal);
    private readonly HashSet<string> repeated = new(StringComparer.Ordinal);

    private FormParameters()
    {
    }

    /// <summary>Names that came more than once. Their first value is kept, so that an error can still be sent to the right place.</summary>
    public IReadOnlySet<string> Repeated => repeated;

    public string? this[string name] => values.GetValueOrDefault(name);

    /// <summary>Null for one that was not sent.</summary>
    public string? Find(string name) => this[name];

    public static Outcome<FormParameters> OfQuery(HttpRequest request) => OfQuery(request.QueryString.Value);

    /// <param name="query">From its question mark on.</param>
    public static Outcome<FormParameters> OfQuery(string? query) =>
        Parse(string.IsNullOrEmpty(query) ? [] : Encoding.UTF8.GetBytes(query, 1, query.Length - 1), "query string");

    /// <summary>Reads a form body of at most <paramref name="maximumBytes"/>; a longer one is 413.</summary>
    public static ValueTask<Outcome<FormParameters>> OfBodyAsync(HttpRequest request, int maximumBytes) => IsForm(request.ContentType)
        ? ReadAsync(request, maximumBytes, body => Parse(body, "body"))
        : new(OAuthError.InvalidRequest(
            $"The body must be a form: send Content-Type: application/x-www-form-urlencoded, not {MediaType(request.ContentType)}."));

    /// <summary>Reads a JSON object whose values are strings, with the same rules and the same limit.</summary>
    public static ValueTask<Outcome<FormParameters>> OfJsonAsync(HttpRequest request, int maximumBytes) =>
        ReadAsync(request, maximumBytes, ParseJson);

    /// <summary>
    /// Decodes one form-encoded component; null when the percent encoding or the UTF-8 is broken, or when it holds a NUL, which PostgreSQL cannot store.
    /// </summary>
    public static string? Decode(ReadOnlySpan<byte> encoded)
    {
        if (encoded.IndexOfAny((byte)'%', (byte)'+', (byte)0) < 0 && Ascii.IsValid(encoded))
        {
            return Encoding.ASCII.GetString(encoded);
        }

        var buffer = encoded.Length <= 512 ? stackalloc byte[encoded.Length] : new byte[encoded.Length];
        var length = 0;
        for (var index = 0; index < encoded.Length; index++)
        {
            var value = encoded[index];
            if (value == '%')
            {
                if (index + 2 >= encoded.Length || !TryReadHex(encoded[index + 1], encoded[index + 2], out value))
                {
                    return null;
                }

                index += 2;
            }
            else if (value == '+')
            {
                value = (byte)' ';
            }

            if (value == 0)
            {
                return null;
            }

            buffer[length++] = value;
        }

        try
        {
            return StrictUtf8.GetString(buffer[..length]);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }

    private static async ValueTask<Outcome<FormParameters>> ReadAsync(HttpRequest request, int maximumBytes, BodyParser<Outcome<FormParameters>> parse)
    {
        var (isTooLarge, parsed) = await RequestBody.ReadAsync(request, maximumBytes, parse);
        return isTooLarge ? TooLarge(maximumBytes) : parsed;
    }

    private static Outcome<FormParameters> Parse(ReadOnlySpan<byte> text, string where)
    {
        var parameters = new FormParameters();
        foreach (var range in text.Split((byte)'&'))
        {
            var pair = text[range];
            if (pair.IsEmpty)
            {
                continue;
            }

            var equals = pair.IndexOf((byte)'=');
            var name = Decode(equals < 0 ? pair : pair[..equals]);
            var value = Decode(equals < 0 ? [] : pair[(equals + 1)..]);
            if (name is null || value is null)
            {
                return OAuthError.InvalidRequest($"The {where} is not valid application/x-www-form-urlencoded UTF-8: check the percent encoding.");
            }

            parameters.Add(name, value);
        }

        return parameters;
    }

    private static Outcome<FormParameters> ParseJson(ReadOnlySpan<byte> text)
    {
        var malformed = OAuthError.InvalidRequest("The body must be a JSON object whose values are strings.");
        var parameters = new FormParameters();
        var reader = new Utf8JsonReader(text);
        try
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return malformed;
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = reader.GetString()!;
                if (!reader.Read() || reader.TokenType is not (JsonTokenType.String or JsonTokenType.Null)
                    || reader.GetString()?.Contains('\0', StringComparison.Ordinal) == true)
                {
                    return malformed;
                }

                parameters.Add(name, reader.GetString() ?? "");
            }

            return reader.Read() ? malformed : parameters;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException) // the latter: half of a surrogate pair
        {
            return malformed;
        }
    }

    private void Add(string name, string value)
    {
        if (value.Length > 0 && !values.TryAdd(name, value))
        {
            repeated.Add(name);
        }
    }

    private static bool TryReadHex(byte high, byte low, out byte value)
    {
        value = 0;
        if (!char.IsAsciiHexDigit((char)high) || !char.IsAsciiHexDigit((char)low))
        {
            return false;
        }

        value = (byte)((Nibble(high) << 4) | Nibble(low));
        return true;

        static int Nibble(byte digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
    }

    private static bool IsForm(string? contentType) =>
        string.Equals(MediaType(contentType), "application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase);

    private static string MediaType(string? contentType) => contentType is null ? "nothing" : contentType.Split(';', 2)[0].Trim();

    private static OAuthError TooLarge(int maximumBytes) =>
        new OAuthError(
            "invalid_request", $"The body is larger than the {maximumBytes / 1024} KB that this endpoint reads.", StatusCodes.Status413PayloadTooLarge)
            .Because(RefusalReason.TooLarge);
}
