using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace GptFunctions.Hosting;

/// <summary>The SHA-256 of a text in UTF-8.</summary>
internal static class Sha256
{
    public static byte[] Of(ReadOnlySpan<char> text)
    {
        var hash = new byte[SHA256.HashSizeInBytes];
        Write(text, hash);
        return hash;
    }

    /// <summary>Half of it, for what only this process remembers: nobody finds a second text for 128 bits.</summary>
    public static UInt128 HalfOf(ReadOnlySpan<char> text)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        Write(text, hash);
        return MemoryMarshal.Read<UInt128>(hash);
    }

    private static void Write(ReadOnlySpan<char> text, Span<byte> hash)
    {
        var length = Encoding.UTF8.GetByteCount(text);
        var buffer = length <= 1024 ? stackalloc byte[length] : new byte[length];
        SHA256.HashData(buffer[..Encoding.UTF8.GetBytes(text, buffer)], hash);
    }
}
