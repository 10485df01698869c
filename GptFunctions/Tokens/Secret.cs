using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace GptFunctions.Tokens;

/// <summary>High-entropy values: made from 32 random bytes, stored as SHA-256 only.</summary>
internal static class Secret
{
    /// <summary>43 characters of base64url.</summary>
    public static string New()
    {
        Span<byte> bytes = stackalloc byte[32];
        RandomNumberGenerator.Fill(bytes);
        return Base64Url.EncodeToString(bytes);
    }

    public static byte[] Hash(string value)
    {
        var length = Encoding.UTF8.GetMaxByteCount(value.Length);
        var buffer = length <= 1024 ? stackalloc byte[length] : new byte[length];
        return SHA256.HashData(buffer[..Encoding.UTF8.GetBytes(value, buffer)]);
    }
}
