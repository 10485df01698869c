using System.Text.Json;

namespace GptFunctions.Webhooks;

/// <summary>Reads members that may be absent, null, or of another kind than expected.</summary>
internal static class JsonBody
{
    private const long LastYear = 100_000_000_000; // in seconds: about the year 5138

    /// <summary>A member of an object.</summary>
    public static JsonElement? Member(this JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>A member that is an object, or an object that says nothing.</summary>
    public static JsonElement Object(this JsonElement element, string name) => element.Member(name) ?? default;

    /// <summary>A text that is not empty. Without U+0000, which PostgreSQL cannot store.</summary>
    public static string? Text(this JsonElement element, string name) =>
        element.Member(name) is { ValueKind: JsonValueKind.String } value && value.GetString()!.Replace("\0", "", StringComparison.Ordinal) is { Length: > 0 } text ? text : null;

    /// <summary>The elements of an array.</summary>
    public static IEnumerable<JsonElement> Items(this JsonElement element, string name) => element.Member(name) is { ValueKind: JsonValueKind.Array } array ? array.EnumerateArray() : [];

    public static bool IsTrue(this JsonElement element, string name) => element.Member(name) is { ValueKind: JsonValueKind.True };

    /// <summary>A point in time as a number of seconds or milliseconds since 1970; null when it is none.</summary>
    public static DateTimeOffset? UnixTime(this JsonElement element, string name, long unitsPerSecond) =>
        element.Member(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt64(out var units) && units > 0 && units / unitsPerSecond < LastYear
            ? DateTimeOffset.FromUnixTimeMilliseconds(units * (1000 / unitsPerSecond))
            : null;
}
