using System.Security.Cryptography;
using System.Text;

namespace GptFunctions.Hosting;

/// <summary>The SHA-256 of a text in UTF-8.</summary>
internal static class Sha256
{
    public static byte[] Of(ReadOnlySpan<char> text)
    {
        var length = Encoding.UTF8.GetByteCount(text);
        var buffer = length <= 1024 ? stackalloc byte[length] : new byte[length];
        return SHA256.HashData(buffer[..Encoding.UTF8.GetBytes(text, buffer)]);
    }
}
