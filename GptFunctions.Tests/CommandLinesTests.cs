using System.CommandLine;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests;

/// <summary>deployment.md 10: every command line that a document or a message of the program names is one that the program takes.</summary>
public sealed partial class CommandLinesTests
{
    private static readonly string Root = TestServices.RepositoryRoot;

    public static TheoryData<string> Documents { get; } = new(
        Directory.EnumerateFiles(Path.Combine(Root, "docs"), "*.md", SearchOption.AllDirectories)
            .Concat(Directory.EnumerateFiles(Path.Combine(Root, "infra"), "*.md"))
            .Append(Path.Combine(Root, "README.md")).Append(Path.Combine(Root, "CONTRIBUTING.md"))
            .Select(file => Path.GetRelativePath(Root, file)).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Documents))]
    public void Command_line_in_a_document_is_taken(string file)
    {
        ArgumentNullException.ThrowIfNull(file);
        Assert.All(LinesOf(File.ReadAllText(Path.Combine(Root, file))), AssertTaken);
    }

    [Fact]
    public void Command_line_in_a_message_is_taken()
    {
        var lines = Directory.EnumerateFiles(Path.Combine(Root, "GptFunctions"), "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal))
            .SelectMany(file => Said().Matches(File.ReadAllText(file))).Select(match => match.Groups["line"].Value).ToList();
        Assert.True(lines.Count > 8, string.Join('\n', lines));
        Assert.All(lines, AssertTaken);
    }

    [Fact]
    public void Runbook_names_each_command_that_changes_something()
    {
        var runbook = File.ReadAllText(Path.Combine(Root, "infra", "runbook.md"));
        var changing = Leaves(RootOf(), "").Where(leaf => leaf.Command.Options.Any(option => option.Name == "--by")).Select(leaf => leaf.Path).ToList();
        Assert.Contains("keys add", changing);
        Assert.All(changing, path => Assert.True(
            runbook.Contains(path, StringComparison.Ordinal) || runbook.Contains("$KEYS " + path.Split(' ')[^1], StringComparison.Ordinal), path));
    }

    [Theory]
    [InlineData("clients delete ID")]
    [InlineData("sessions revoke --everybody")]
    [InlineData("key list")]
    [InlineData("sessions list revoke")]
    [InlineData("doctor --jsn")]
    public void Command_line_that_does_not_exist_is_found(string line) => Assert.NotEmpty(ErrorsOf(line));

    private static void AssertTaken(string line)
    {
        var errors = ErrorsOf(line);
        Assert.True(errors.Length == 0, $"GptFunctions {line}: {string.Join(' ', errors)}");
    }

    /// <summary>In fences the lines, elsewhere what stands between backticks.</summary>
    private static List<string> LinesOf(string document)
    {
        var parts = document.Split("```");
        return
        [
            .. parts.Index().SelectMany(part => (part.Index % 2 == 1 ? Fenced() : Quoted()).Matches(part.Item).Select(match => match.Groups["line"].Value)),
        ];
    }

    /// <summary>A command may be named without what it takes. What stands for an id (ID, '...') is one where only that is taken.</summary>
    private static string[] ErrorsOf(string line)
    {
        var words = Word().Matches(line).Select(match => match.Value.Trim('\'', '"')).TakeWhile(word => word is not ("|" or ">" or "&&" or ";")).ToArray();
        if (words is [] || words[^1].EndsWith('|'))
        {
            return ["is no command line"];
        }

        var named = words.Aggregate((Command?)RootOf(), (command, word) => command?.Subcommands.FirstOrDefault(child => child.Name == word));
        if (named is not null)
        {
            return [];
        }

        string[][] readings = [words, [.. words.Select(word => Placeholder().IsMatch(word) ? Guid.Empty.ToString() : word)]];
        return readings.Select(reading => RootOf().Parse(reading).Errors.Select(error => error.Message).ToArray()).MinBy(errors => errors.Length)!;
    }

    private static RootCommand RootOf()
    {
        var root = new RootCommand();
        foreach (var command in Features.Commands)
        {
            root.Add(command);
        }

        return root;
    }

    private static IEnumerable<(string Path, Command Command)> Leaves(Command command, string path) => command.Subcommands.Count == 0
        ? [(path, command)]
        : command.Subcommands.SelectMany(child => Leaves(child, $"{path} {child.Name}".Trim()));

    /// <summary>Between backticks, where ... or the end of the cell ends what is shown.</summary>
    [GeneratedRegex(
        @"`(?:dotnet [^ `\n]*)?GptFunctions(?:\.dll)? (?<line>[a-z][^`\n]*?)(?=`|\n| \.\.\.)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Quoted();

    [GeneratedRegex(
        @"^ *(?:dotnet [^ \n]*)?GptFunctions(?:\.dll)? (?<line>[a-z].*?)(?=$| \.\.\.)", RegexOptions.Multiline | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Fenced();

    /// <summary>Between quotes in a sentence.</summary>
    [GeneratedRegex(@"'GptFunctions (?<line>[a-z][^'""{]*)'", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Said();

    [GeneratedRegex("'[^']*'|\"[^\"]*\"|[^ ]+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Word();

    [GeneratedRegex(@"^([A-Z_]+|\.\.\.)$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Placeholder();
}
