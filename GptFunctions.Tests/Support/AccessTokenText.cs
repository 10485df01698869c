using System.Buffers.Text;
using System.Text;
using System.Text.Json;

namespace GptFunctions.Tests.Support;

/// <summary>An access token taken apart without the product's code.</summary>
internal static class AccessTokenText
{
    public static JsonElement Header(string token) => Part(token, 0);

    public static JsonElement Claims(string token) => Part(token, 1);

    public static Guid SessionId(string token) => Guid.Parse(Claims(token).GetProperty("sid").GetString()!);

    /// <summary>The resources that it is good for: a text, or a list of texts.</summary>
    public static string[] Audience(string token) => Claims(token).GetProperty("aud") is { ValueKind: JsonValueKind.Array } list
        ? [.. list.EnumerateArray().Select(item => item.GetString()!)]
        : [Claims(token).GetProperty("aud").GetString()!];

    private static JsonElement Part(string token, int index) => JsonElement.Parse(Encoding.UTF8.GetString(Base64Url.DecodeFromChars(token.Split('.')[index])));
}
