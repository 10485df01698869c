using System.Globalization;
using System.Text;

namespace GptFunctions.Operations;

/// <summary>Texts that came from outside (names, ids, types, errors), for eyes.</summary>
internal static class OutsideText
{
    /// <summary>With characters that cannot be seen, or that turn others round (U+202E), written as &lt;U+202E&gt;: a list must not lie.</summary>
    public static string Visible(string? text)
    {
        if (string.IsNullOrEmpty(text) || text.EnumerateRunes().All(IsSeen))
        {
            return text ?? "";
        }

        var visible = new StringBuilder(text.Length + 32);
        foreach (var rune in text.EnumerateRunes())
        {
            if (IsSeen(rune))
            {
                visible.Append(rune.ToString());
            }
            else
            {
                visible.Append(CultureInfo.InvariantCulture, $"<U+{rune.Value:X4}>");
            }
        }

        return visible.ToString();
    }

    private static bool IsSeen(Rune rune) => rune.IsAscii
        ? rune.Value is >= ' ' and not 0x7F
        : Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator
            or UnicodeCategory.ParagraphSeparator or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned);
}
