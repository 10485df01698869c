using System.Security.Cryptography;
using System.Text;

namespace GptFunctions.Webhooks;

/// <summary>The HMAC-SHA256 of the body in hex, in a header. It has no time: a copy that somebody sends again is a duplicate.</summary>
internal sealed class HmacSignature : ISignature
{
    public bool IsPresent(Func<string, string?> headers) => Find(headers) is not null;

    public bool IsValid(Func<string, string?> headers, ReadOnlySpan<byte> body, string secret, DateTimeOffset now) =>
        Matches(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), body), Find(headers)!);

    /// <summary>Compares in a time that does not tell how much of it was right.</summary>
    internal static bool Matches(byte[] expected, string hex)
    {
        Span<byte> actual = stackalloc byte[HMACSHA256.HashSizeInBytes];
        return hex.Length == 2 * actual.Length && Convert.FromHexString(hex, actual, out _, out _) == System.Buffers.OperationStatus.Done
            && CryptographicOperations.FixedTimeEquals(actual, expected);
    }

    private static string? Find(Func<string, string?> headers) => headers("X-Signature") ?? headers("X-HMAC-Signature");
}
