using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace GptFunctions.Hosting;

/// <summary><c>--limit</c> and <c>--json</c> of a command that lists rows, and how it prints them: one a line.</summary>
internal sealed class ListOptions
{
    private readonly Option<int> limit = new("--limit") { Description = "How many.", DefaultValueFactory = _ => 50 };
    private readonly Option<bool> json = new("--json") { Description = "One JSON object a line." };

    /// <param name="command">Gets both options.</param>
    public ListOptions(Command command)
    {
        limit.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < 1)
            {
                result.AddError("--limit must be 1 or more.");
            }
        });
        command.Add(limit);
        command.Add(json);
    }

    public int Limit(ParseResult parsed) => parsed.GetValue(limit);

    /// <returns>The exit code.</returns>
    public int Print<T>(ParseResult parsed, IEnumerable<T> rows, JsonTypeInfo<T> asJson, Func<T, string> asText)
    {
        foreach (var row in rows)
        {
            Console.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(row, asJson) : OneLine(asText(row)));
        }

        return 0;
    }

    /// <summary>What came from outside may hold line breaks and worse; a terminal shall not act on it.</summary>
    public static string OneLine(string text) => text.Any(IsOdd) ? string.Concat(text.Select(letter => IsOdd(letter) ? '\uFFFD' : letter)) : text;

    private static bool IsOdd(char letter) => char.IsControl(letter) || char.GetUnicodeCategory(letter) is
        System.Globalization.UnicodeCategory.Format or System.Globalization.UnicodeCategory.LineSeparator
        or System.Globalization.UnicodeCategory.ParagraphSeparator;
}
