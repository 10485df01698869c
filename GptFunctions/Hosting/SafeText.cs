using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace GptFunctions.Hosting;

/// <summary>Texts from outside as they may be kept for operators: cut, on one line, and without what looks like a credential.</summary>
internal static partial class SafeText
{
    private const string Hidden = "(hidden)";
    private const char Cut = '…';
    private const int MostRead = 4_000; // what is longer is cut anyway; the patterns need not walk it

    /// <inheritdoc cref="Of"/>
    /// <returns>Null for an empty text.</returns>
    public static string? OrNull(string? text, int length) => string.IsNullOrEmpty(text) ? null : Of(text, length);

    /// <summary>
    /// At most <paramref name="length"/> characters. Tokens, codes and secrets of ours (43 characters of base64url) and anybody's JWTs are hidden; what would
    /// be invisible, or turn the text around it, is written as its number.
    /// </summary>
    public static string Of(string text, int length)
    {
        var known = Credential().Replace(text.Length > MostRead ? text[..MostRead] : text, Hidden);
        var safe = new StringBuilder(Math.Min(known.Length, length) + 8);
        foreach (var rune in known.EnumerateRunes())
        {
            if (safe.Length >= length)
            {
                return safe.Append(Cut).ToString();
            }

            if (IsVisible(rune))
            {
                safe.Append(rune);
            }
            else
            {
                safe.Append(CultureInfo.InvariantCulture, $"\\u{rune.Value:X4}");
            }
        }

        return known.Length < text.Length && text.Length > MostRead ? safe.Append(Cut).ToString() : safe.ToString();
    }

    /// <summary>The same for a URL: the values of its query and its fragment, and a user in it, are hidden, whatever they look like.</summary>
    public static string OfUrl(string text, int length) => Of(Userinfo().Replace(Value().Replace(text, Hidden), "://" + Hidden + "@"), length);

    private static bool IsVisible(Rune rune) => Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.OtherNotAssigned or UnicodeCategory.PrivateUse);

    // A JWT in full or in part; 40 characters and more of base64url without a word's break. ids of GPTs (g- and 40 of hex) are none.
    [GeneratedRegex(
        @"eyJ[\w-]{8,}(?:\.[\w-]*){0,4}|(?<![\w-])(?!g-[0-9a-f]{40}(?![\w-]))[A-Za-z0-9_-]{40,}",
        RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Credential();

    [GeneratedRegex(@"(?<=[?&#][^=?&#]*=)[^&#]+|(?<=[#])[^=&#]+(?=$|&)", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Value();

    [GeneratedRegex(@"://[^/?#@]*@", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Userinfo();
}

internal static class Hours
{
    /// <summary>The beginning of its hour, in UTC.</summary>
    public static DateTimeOffset BeginningOfHour(this DateTimeOffset at) => new(at.UtcTicks - (at.UtcTicks % TimeSpan.TicksPerHour), TimeSpan.Zero);
}
