using System.Buffers.Text;
using System.Security.Cryptography;

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
}
