using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>A refresh token and what is stored of it.</summary>
internal readonly record struct RefreshToken(string Value, byte[] Hash);

/// <summary>
/// Makes refresh tokens. The first of a session is random; each successor is HMAC-SHA256(key, presented token), so everybody
/// who presents one token gets the same successor, and nothing secret is stored to make that possible.
/// </summary>
internal sealed class RefreshTokens : IDisposable
{
    private const string Prefix = "gpt_rt_";
    private const int KeyBytes = 32;
    private readonly IDisposable? subscription;
    private byte[][] keys;

    public RefreshTokens(IOptionsMonitor<RefreshKeys> settings)
    {
        keys = ParseKeys(settings.CurrentValue);
        subscription = settings.OnChange(changed => keys = ParseKeys(changed));
    }

    public static bool IsKey(string base64) => TryDecode(base64) is { Length: >= KeyBytes };

    /// <summary>Whether a text looks like a refresh token at all.</summary>
    public static bool IsToken(string value) =>
        value.StartsWith(Prefix, StringComparison.Ordinal) && Base64Url.IsValid(value.AsSpan(Prefix.Length), out var bytes) && bytes == KeyBytes;

    /// <summary>The first token of a session.</summary>
    public static RefreshToken First() => FromValue(Prefix + Secret.New());

    public static RefreshToken FromValue(string value) => new(value, Sha256.Of(value));

    /// <summary>The successor that this process would make now.</summary>
    public RefreshToken Successor(string presented) => Derive(keys[0], presented);

    /// <summary>
    /// Walks from a superseded token to its newest descendant. Each stored hash tells which key made that generation.
    /// Null when no configured key explains a step, that is when a key was withdrawn too early.
    /// </summary>
    public RefreshToken? Descendant(string presented, IReadOnlyList<byte[]> laterHashes)
    {
        var current = FromValue(presented);
        foreach (var stored in laterHashes)
        {
            var next = keys.Select(key => Derive(key, current.Value)).FirstOrDefault(candidate => candidate.Hash.AsSpan().SequenceEqual(stored));
            if (next.Value is null)
            {
                return null;
            }

            current = next;
        }

        return current;
    }

    public void Dispose() => subscription?.Dispose();

    private static RefreshToken Derive(byte[] key, string presented)
    {
        Span<byte> mac = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(presented), mac);
        return FromValue(Prefix + Base64Url.EncodeToString(mac));
    }

    private static byte[][] ParseKeys(RefreshKeys settings) => [.. settings.All.Select(key => TryDecode(key)!)];

    private static byte[]? TryDecode(string base64)
    {
        var buffer = new byte[base64.Length];
        return Convert.TryFromBase64String(base64, buffer, out var length) ? buffer[..length] : null;
    }
}
