using System.Text.Json;

namespace GptFunctions.Webhooks;

/// <summary>Reads members that may be absent, null, or of another kind than expected.</summary>
internal static class JsonBody
{
    private const long LastYear = 100_000_000_000; // in seconds: about the year 5138

    /// <summary>A member of an object.</summary>
    public static JsonElement? Member(this JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && Find(element, name) is { ValueKind: not (JsonValueKind.Undefined or JsonValueKind.Null) } value
            ? value
            : null;

    private static JsonElement Find(JsonElement parent, string name)
    {
        try
        {
            return parent.TryGetProperty(name, out var value) ? value : default;
        }
        catch (InvalidOperationException error)
        {
            throw new JsonException("A name is not valid Unicode.", error);
        }
    }

    /// <summary>A member that is an object, or an object that says nothing.</summary>
    public static JsonElement Object(this JsonElement element, string name) => element.Member(name) ?? default;

    /// <summary>A text that is not empty. Without U+0000, which PostgreSQL cannot store.</summary>
    /// <exception cref="JsonException">It is no Unicode: half of a surrogate pair.</exception>
    public static string? Text(this JsonElement element, string name) =>
        element.Member(name) is { ValueKind: JsonValueKind.String } value && Decode(value).Replace("\0", "", StringComparison.Ordinal) is { Length: > 0 } text
            ? text
            : null;

    /// <summary>The text of anything.</summary>
    /// <exception cref="JsonException">It is no Unicode: half of a surrogate pair.</exception>
    public static string Decode(JsonElement value)
    {
        try
        {
            return value.ToString();
        }
        catch (InvalidOperationException error)
        {
            throw new JsonException("A text is not valid Unicode.", error);
        }
    }

    /// <summary>The elements of an array.</summary>
    public static IEnumerable<JsonElement> Items(this JsonElement element, string name) =>
        element.Member(name) is { ValueKind: JsonValueKind.Array } array ? array.EnumerateArray() : [];

    /// <summary>True or false; null when it is neither.</summary>
    public static bool? Flag(this JsonElement element, string name) => element.Member(name)?.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => null,
    };

    /// <summary>A whole number; null when it is none.</summary>
    public static long? Number(this JsonElement element, string name) =>
        element.Member(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt64(out var number) ? number : null;

    /// <summary>A point in time as a number of seconds or milliseconds since 1970; null when it is none.</summary>
    public static DateTimeOffset? UnixTime(this JsonElement element, string name, long unitsPerSecond) =>
        element.Member(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt64(out var units) && units > 0 && units / unitsPerSecond < LastYear
            ? DateTimeOffset.FromUnixTimeMilliseconds(units * (1000 / unitsPerSecond))
            : null;
}
