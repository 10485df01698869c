using System.CommandLine;
using System.Reflection;
using System.Text.RegularExpressions;
using GptFunctions.Audit;
using GptFunctions.Gateway;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Configuration;

namespace GptFunctions.Tests;

/// <summary>docs/: what the tables list is what the program has, neither more nor less. <see cref="Deployment.ObservabilityTests"/> has the metrics.</summary>
public sealed partial class DocumentTablesTests
{
    private static readonly IReadOnlyList<FunctionDescriptor> Functions =
        FunctionCatalog.Find([typeof(FunctionCatalog).Assembly], new ConfigurationBuilder().Build());

    /// <summary>The types of audit events that are constants of the program; those of the gateway's actions are made of their routes' names.</summary>
    internal static IEnumerable<string> EventTypes => typeof(AuditEvents).Assembly.GetTypes()
        .SelectMany(type => type.GetFields(BindingFlags.Public | BindingFlags.Static)).Where(constant => constant.IsLiteral)
        .Select(constant => constant.GetRawConstantValue()).OfType<string>().Where(text => EventType().IsMatch(text));

    [Fact]
    public void Routes_are_those_of_the_functions()
    {
        var rows = Rows("routes.md", "## Routes").ToDictionary(cells => Code(cells[0]).Single(), StringComparer.Ordinal);
        var functions = Functions.Where(function => function.Trigger is HttpTriggerAttribute).ToDictionary(function => function.Name, StringComparer.Ordinal);
        Assert.Equal(functions.Keys.Order(StringComparer.Ordinal), rows.Keys.Order(StringComparer.Ordinal));
        Assert.All(rows, row =>
        {
            var trigger = (HttpTriggerAttribute)functions[row.Key].Trigger;
            Assert.Equal(["/" + trigger.Route], Code(row.Value[2]));
            var methods = row.Value[1] == "any" ? [] : row.Value[1].Split(", ");
            Assert.All(methods, method => Assert.Contains(method, trigger.Methods!, StringComparer.OrdinalIgnoreCase));
        });
    }

    [Fact]
    public void What_runs_without_a_caller_is_listed_with_its_schedule_or_queue()
    {
        var listed = Rows("routes.md", "## What runs without a caller").Select(cells => (Code(cells[0]).Single(), Code(cells[1]).Single()));
        var functions = Functions.Where(function => function.Trigger is not HttpTriggerAttribute).Select(function => (function.Name, function.Trigger switch
        {
            TimerTriggerAttribute timer => timer.Schedule,
            var queue => ((RabbitMQTriggerAttribute)queue).QueueName,
        }));
        Assert.Equal(functions.Order(), listed.Order());
    }

    [Fact]
    public void Commands_are_those_of_the_program()
    {
        var commands = typeof(Commands).Assembly.GetTypes()
            .Select(type => type.GetMethod("Create", BindingFlags.Public | BindingFlags.Static, [])).OfType<MethodInfo>()
            .Where(create => create.ReturnType == typeof(Command))
            .SelectMany(create => Leaves((Command)create.Invoke(null, null)!, ""));
        var listed = Rows("routes.md", "## Commands").SelectMany(cells => Code(cells[0]));
        Assert.Equal(commands.Order(StringComparer.Ordinal), listed.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Headers_that_pass_are_those_of_the_rules()
    {
        var listed = Rows("headers.md", "## What passes of the caller's headers").SelectMany(cells => Code(cells[0]));
        var known = HeaderRules.Standard.Concat(HeaderRules.StandardPrefixes.Select(prefix => prefix + "*"));
        Assert.Equal(known.Order(StringComparer.Ordinal), listed.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Answers_are_those_of_the_gateway()
    {
        var sources = Directory.EnumerateFiles(Path.Combine(TestServices.RepositoryRoot, "GptFunctions", "Gateway"), "*.cs").Select(File.ReadAllText);
        var codes = sources.SelectMany(text => RefusalCode().Matches(text)).Select(match => match.Groups["code"].Value).Distinct(StringComparer.Ordinal);
        var rows = Rows("answers.md", "# Answers of the gateway").ToList();
        Assert.Equal(codes.Order(StringComparer.Ordinal), rows.SelectMany(cells => Code(cells[1])).Order(StringComparer.Ordinal));
        Assert.Equal(rows.Select(cells => cells[0]).Order(StringComparer.Ordinal), rows.Select(cells => cells[0]));
    }

    [Fact]
    public void Events_are_those_that_the_program_writes()
    {
        Assert.Equal(
            EventTypes.Concat(["gpt.action.NAME", "gpt.action.NAME.result"]).Order(StringComparer.Ordinal),
            Rows("events.md", "# Audit events").Select(cells => Code(cells[0]).Single()).Order(StringComparer.Ordinal));
    }

    private static IEnumerable<string> Leaves(Command command, string above) => command.Subcommands.Count == 0
        ? [above + command.Name]
        : command.Subcommands.SelectMany(below => Leaves(below, above + command.Name + " "));

    /// <summary>The cells of the rows of the first table below a heading.</summary>
    private static IEnumerable<string[]> Rows(string document, string heading)
    {
        var text = File.ReadAllText(Path.Combine(TestServices.RepositoryRoot, "docs", document));
        return text.Split(heading + "\n", 2)[1].Split('\n').SkipWhile(line => !line.StartsWith('|')).TakeWhile(line => line.StartsWith('|')).Skip(2)
            .Select(line => line[1..^1].Split('|').Select(cell => cell.Trim()).ToArray());
    }

    private static IEnumerable<string> Code(string cell) => Quoted().Matches(cell).Select(match => match.Groups["text"].Value);

    [GeneratedRegex("`(?<text>[^`]+)`", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Quoted();

    [GeneratedRegex(@"^gpt\.(oauth|webhook|countdown|action|operator)\.[a-z_]+$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex EventType();

    [GeneratedRegex("Code = \"(?<code>[A-Z_]+)\"", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex RefusalCode();
}
