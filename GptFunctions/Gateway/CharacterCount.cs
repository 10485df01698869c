using System.Text;
using Microsoft.Net.Http.Headers;

namespace GptFunctions.Gateway;

/// <summary>
/// Counts the characters of a text that comes in pieces, as whoever reads it will see them: decoded by its charset (UTF-8 unless it says
/// otherwise), a surrogate pair once, and octets that are no text as the replacement characters that stand for them.
/// </summary>
internal sealed class CharacterCount(string? contentType)
{
    private readonly Decoder decoder = EncodingOf(contentType).GetDecoder();
    private readonly char[] buffer = new char[1024];

    public long Total { get; private set; }

    public void Add(ReadOnlySpan<byte> piece)
    {
        while (!piece.IsEmpty)
        {
            decoder.Convert(piece, buffer, flush: false, out var used, out var made, out _);
            piece = piece[used..];
            Count(made);
        }
    }

    /// <summary>What was left of a character that has no end counts as one.</summary>
    public void End()
    {
        decoder.Convert([], buffer, flush: true, out _, out var made, out _);
        Count(made);
    }

    private static Encoding EncodingOf(string? contentType)
    {
        try
        {
            return MediaTypeHeaderValue.TryParse(contentType, out var type) && type.Charset.HasValue
                ? Encoding.GetEncoding(HeaderUtilities.RemoveQuotes(type.Charset).ToString())
                : Encoding.UTF8;
        }
        catch (Exception error) when (error is ArgumentException or NotSupportedException)
        {
            return Encoding.UTF8; // a charset that nobody here knows
        }
    }

    private void Count(int made)
    {
        foreach (var character in buffer.AsSpan(0, made))
        {
            Total += char.IsLowSurrogate(character) ? 0 : 1;
        }
    }
}
