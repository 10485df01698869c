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

    private static JsonElement Part(string token, int index) => JsonElement.Parse(Encoding.UTF8.GetString(Base64Url.DecodeFromChars(token.Split('.')[index])));
}
