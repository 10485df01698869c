using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests;

/// <summary>docs/design: who names a rule names one that is there, and each rule names tests that are there.</summary>
public sealed partial class DesignRulesTests
{
    private static readonly string Root = TestServices.RepositoryRoot;

    private static readonly Dictionary<string, List<Rule>> Rules = Directory.EnumerateFiles(Path.Combine(Root, "docs", "design"), "*.md")
        .Where(file => Path.GetFileName(file) != "README.md")
        .ToDictionary(file => Path.GetFileName(file), Read, StringComparer.Ordinal);

    /// <summary>Classes, and methods with their class.</summary>
    private static readonly HashSet<string> Tests = typeof(DesignRulesTests).Assembly.GetTypes()
        .SelectMany(type => type.GetMethods(), (type, method) => (Class: type.Name, Method: method))
        .Where(test => test.Method.IsDefined(typeof(FactAttribute), inherit: true))
        .SelectMany(test => (string[])[test.Class, $"{test.Class}.{test.Method.Name}"])
        .ToHashSet(StringComparer.Ordinal);

    /// <summary>What the examples of docs/adding.md add.</summary>
    private static readonly string[] Added =
        [
            "GptFunctions/OAuth/Pages/HelpPage.razor", "GptFunctions/Pages/Languages/Swedish.cs", "GptFunctions/OAuth/HelpFunctions.cs",
            "GptFunctions/Data/Migrations/V###_Name.sql",
            "GptFunctions/Webhooks/ReturnWebhooks.cs", "GptFunctions.Tests/Webhooks/ReturnWebhooksTests.cs"];

    private sealed record Rule(int Number, string Text, string[] Tests);

    [Fact]
    public void Numbers_of_rules_are_unique_and_go_up()
    {
        Assert.True(Rules.Count > 8);
        Assert.All(Rules, file => Assert.Equal(file.Value.Select(rule => rule.Number).Distinct().Order(), file.Value.Select(rule => rule.Number)));
        var index = File.ReadAllText(Path.Combine(Root, "docs", "design", "README.md"));
        Assert.All(Rules, file => Assert.Contains($"]({file.Key})", index, StringComparison.Ordinal));
    }

    [Fact]
    public void Rule_names_tests_that_exist()
    {
        foreach (var (file, rules) in Rules)
        {
            Assert.NotEmpty(rules);
            Assert.All(rules, rule => Assert.True(rule.Text.Length > 0 && rule.Tests.Length > 0, $"{file} {rule.Number} names no test."));
            Assert.All(rules, rule => Assert.All(rule.Tests, test => Assert.True(Tests.Contains(test), $"{file} {rule.Number}: there is no test {test}.")));
        }
    }

    [Fact]
    public async Task Citation_leads_to_a_rule()
    {
        var count = 0;
        foreach (var file in Sources())
        {
            var citations = Citation().Matches(await File.ReadAllTextAsync(file)).Where(citation => Rules.ContainsKey(citation.Groups["file"].Value)).ToList();
            count += citations.Count;
            Assert.All(citations, citation => AssertLeads(Path.GetRelativePath(Root, file), citation));
        }

        Assert.True(count > 100);
    }

    /// <summary>A document of any kind that a comment names, by its name alone or by its path.</summary>
    [Fact]
    public async Task Document_that_is_named_exists()
    {
        var documents = Directory.EnumerateFiles(Path.Combine(Root, "docs"), "*.md", SearchOption.AllDirectories)
            .Concat(Directory.EnumerateFiles(Path.Combine(Root, "infra"), "*.md", SearchOption.AllDirectories))
            .Select(file => Path.GetFileName(file)!).ToHashSet(StringComparer.Ordinal);
        foreach (var file in Sources())
        {
            var named = Citation().Matches(await File.ReadAllTextAsync(file)).Select(citation => citation.Groups["file"].Value);
            Assert.All(named, name => Assert.True(documents.Contains(name), $"{Path.GetRelativePath(Root, file)} names {name}."));
        }
    }

    /// <summary>docs/adding.md leads a newcomer by the hand: what it names is there.</summary>
    [Fact]
    public void Guide_names_files_and_tests_that_exist()
    {
        var named = Quoted().Matches(File.ReadAllText(Path.Combine(Root, "docs", "adding.md"))).Select(match => match.Groups["name"].Value).ToList();
        var files = named.Where(name => RepositoryFile().IsMatch(name) && !Added.Contains(name)).ToList();
        Assert.True(files.Count > 15);
        Assert.All(files, file => Assert.True(Path.Exists(Path.Combine(Root, file.Replace("*", "production", StringComparison.Ordinal))), file));
        Assert.All(named.Where(name => TestName().IsMatch(name)), test => Assert.True(Tests.Contains(test), test));
        var members = named.Where(name => MemberName().IsMatch(name) && !TestName().IsMatch(name)).ToList();
        Assert.True(members.Count > 3);
        Assert.All(members, member => Assert.True(IsMember(member.Split('.')), member));
    }

    private static bool IsMember(string[] name) => typeof(FunctionCatalog).Assembly.GetTypes().Concat(typeof(DesignRulesTests).Assembly.GetTypes())
        .Where(type => type.Name == name[0])
        .SelectMany(type => type.GetMembers(BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic))
        .Any(member => member.Name == name[1]);

    private static void AssertLeads(string source, Match citation)
    {
        var numbers = Number().Matches(citation.Groups["rules"].Value).Select(number => int.Parse(number.Value, CultureInfo.InvariantCulture)).ToList();
        Assert.True(numbers.Count > 0, $"{source} names {citation.Value} without a number.");
        Assert.All(numbers, number => Assert.True(
            Rules[citation.Groups["file"].Value].Exists(rule => rule.Number == number), $"{source} names {citation.Value}: there is no rule {number}."));
    }

    private static IEnumerable<string> Sources() => ((string[])["GptFunctions", "GptFunctions.Tests", "infra"])
        .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(Root, folder), "*", SearchOption.AllDirectories))
        .Where(file => Path.GetExtension(file) is ".cs" or ".razor" or ".sql" or ".mjs" or ".sh" or ".yaml" && !BuildOutput().IsMatch(file));

    private static List<Rule> Read(string file) =>
        [.. RuleText().Matches(File.ReadAllText(file)).Select(rule => new Rule(
            int.Parse(rule.Groups["number"].Value, CultureInfo.InvariantCulture),
            rule.Groups["text"].Value.Trim(),
            [.. Quoted().Matches(rule.Groups["tests"].Value).Select(test => test.Groups["name"].Value)]))];

    [GeneratedRegex(
        @"^(?<number>\d+)\. (?<text>.*?)(^ +Held by (?<tests>.*?))?(?=^\d+\. |^#|\z)",
        RegexOptions.Multiline | RegexOptions.Singleline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex RuleText();

    [GeneratedRegex("`(?<name>[^`\n]+)`", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Quoted();

    [GeneratedRegex(
        @"(?<![\w.-])(?<file>[a-z][a-z-]*\.md)\b(?<rules> \d+((, | and | to )\d+)*)?", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Citation();

    [GeneratedRegex(
        @"^(GptFunctions(\.Tests)?|infra|docs)/[^ ]+$|^local\.settings\.sample\.json$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex RepositoryFile();

    [GeneratedRegex(@"^[A-Z]\w+\.[A-Z]\w+$", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex MemberName();

    [GeneratedRegex(@"^\w+Tests(\.\w+)?$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex TestName();

    [GeneratedRegex(@"\d+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Number();

    [GeneratedRegex(@"[/\\](bin|obj|node_modules)[/\\]", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex BuildOutput();
}
