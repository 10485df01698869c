using System.Text.Json;

namespace GptFunctions.Hosting;

internal static class JsonText
{
    /// <summary>A member that is a text; null when it is absent or something else.</summary>
    /// <exception cref="InvalidOperationException">It is no Unicode: half a surrogate pair.</exception>
    public static string? TextOrNull(this JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
