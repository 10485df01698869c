using System.Text.RegularExpressions;

namespace GptFunctions.Data;

/// <summary>
/// The text of a statement, written with parameters by name (<c>@now</c>). PostgreSQL knows them by position only, so they are numbered in the
/// order of their first use, once, when the constant is made.
/// </summary>
internal sealed partial class Sql
{
    private readonly string[] names;

    public Sql(string text)
    {
        names = [.. Parameter().Matches(text).Select(match => match.Groups["name"].Value).Distinct(StringComparer.Ordinal)];
        Text = Parameter().Replace(text, match => $"${Find(match.Groups["name"].Value) + 1}");
    }

    /// <summary>With $1, $2, ...</summary>
    public string Text { get; }

    public IReadOnlyList<string> Names => names;

    /// <summary>The place of a parameter, from 0; negative when the text has no such name.</summary>
    public int Find(string name) => Array.IndexOf(names, name);

    // Not part of an operator (@>, <@), nor of an address in a comment.
    [GeneratedRegex(@"(?<![\w@<])@(?<name>[a-z]\w*)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Parameter();
}
