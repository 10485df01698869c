using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace GptFunctions.Data;

/// <summary>
/// The text of a statement, written with parameters by name (<c>@now</c>). PostgreSQL knows them by position only, so they are numbered in the
/// order of their first use, once, when the constant is made.
/// </summary>
internal sealed partial class Sql
{
    private static readonly ConcurrentDictionary<string, string> Summaries = new(StringComparer.Ordinal);
    private readonly string[] names;

    /// <param name="text">With parameters by name.</param>
    /// <param name="constant">What it is called in the code; the compiler's to say, as the next.</param>
    /// <param name="file">Where it stands.</param>
    public Sql(string text, [CallerMemberName] string constant = "", [CallerFilePath] string file = "")
    {
        names = [.. Parameter().Matches(text).Select(match => match.Groups["name"].Value).Distinct(StringComparer.Ordinal)];
        Text = Parameter().Replace(text, match => $"${Find(match.Groups["name"].Value) + 1}");
        Summaries.TryAdd(Text, $"{Path.GetFileNameWithoutExtension(file)}.{constant}");
    }

    /// <summary>With $1, $2, ...</summary>
    public string Text { get; }

    public IReadOnlyList<string> Names => names;

    /// <summary>The name by which traces call a statement, such as TokenStore.Exchange; null for a text that is no <see cref="Sql"/>.</summary>
    public static string? SummaryOf(string text) => Summaries.GetValueOrDefault(text);

    /// <summary>The place of a parameter, from 0; negative when the text has no such name.</summary>
    public int Find(string name) => Array.IndexOf(names, name);

    // Not part of an operator (@>, <@), nor of an address in a comment.
    [GeneratedRegex(@"(?<![\w@<])@(?<name>[a-z]\w*)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Parameter();
}
