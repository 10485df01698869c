using System.Globalization;
using System.Text;

namespace GptFunctions.Hosting;

/// <summary>Text from outside that people read in the middle of ours: names of clients and of people, e-mail addresses.</summary>
internal static class DisplayText
{
    /// <summary>In UTF-16 code units.</summary>
    public const int MaximumName = 100;

    /// <summary>Without what people would not see, or what would turn the text around it: control and format characters, line ends.</summary>
    public static string Clean(string text)
    {
        if (IsPlain(text))
        {
            return text;
        }

        var clean = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes()) // a surrogate alone becomes U+FFFD
        {
            if (!IsUnseen(rune))
            {
                clean.Append(rune);
            }
        }

        return clean.ToString().Trim();
    }

    /// <summary>Clean, and at most so long: what is cut off leaves an ellipsis. Never half a character.</summary>
    /// <param name="most">In UTF-16 code units, the ellipsis included.</param>
    public static string Clean(string text, int most)
    {
        var clean = Clean(text);
        if (clean.Length <= most)
        {
            return clean;
        }

        var end = 0;
        while (StringInfo.GetNextTextElementLength(clean, end) is var next && end + next < most)
        {
            end += next;
        }

        // One element of any length (a letter under a thousand accents) may be more than there is room for.
        return (end > 0 ? clean[..end] : clean[..(char.IsHighSurrogate(clean[most - 2]) ? most - 2 : most - 1)]) + "…";
    }

    /// <summary>Clean and at most as long as a name; null when nothing is left.</summary>
    public static string? NameOf(string? text) => text is not null && Clean(text, MaximumName) is { Length: > 0 } clean ? clean : null;

    /// <summary>Why an operator's text may not be a name, as a sentence that begins with where it stands; null when it may.</summary>
    /// <param name="place">An option or a setting: <c>--name</c>.</param>
    public static string? ProblemWithName(string place, string name) =>
        string.IsNullOrWhiteSpace(name) ? $"{place} is empty."
        : FirstUnseen(name) is { } unseen
            ? $"{place} holds U+{unseen.Value:X4}, which people would not see, or which turns the text around it: leave control and format characters out."
        : name.Length > MaximumName ? $"{place} is longer than {MaximumName} characters: people read it on a phone."
        : null;

    private static Rune? FirstUnseen(string text)
    {
        foreach (var rune in text.EnumerateRunes())
        {
            if (IsUnseen(rune))
            {
                return rune;
            }
        }

        return null;
    }

    private static bool IsPlain(string text) => text.All(character => character is >= ' ' and <= '~') && text is not ([' ', ..] or [.., ' ']);

    private static bool IsUnseen(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned;
}
