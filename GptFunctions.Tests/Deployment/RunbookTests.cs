using System.Diagnostics;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>infra/runbook.md and the README's commands: every file, make target, section and flag that is named exists.</summary>
public sealed partial class RunbookTests
{
    private static readonly string Root = TestServices.RepositoryRoot;
    private static readonly string Runbook = File.ReadAllText(Path.Combine(Root, "infra", "runbook.md"));
    private static readonly string Sizing = File.ReadAllText(Path.Combine(Root, "infra", "sizing.md"));

    [Fact]
    public void Files_that_it_names_exist()
    {
        var named = RepositoryPath().Matches(Runbook + Sizing).Select(match => match.Value.TrimEnd('.')).Distinct(StringComparer.Ordinal).ToList();
        Assert.Contains("infra/postgres/roles.sql", named);
        Assert.All(named, path => Assert.True(Path.Exists(Path.Combine(Root, path)), path));
    }

    [Fact]
    public void Make_targets_that_it_names_exist()
    {
        var targets = File.ReadAllLines(Path.Combine(Root, "Makefile")).Where(line => line.Contains(": ##", StringComparison.Ordinal))
            .Select(line => line.Split(':')[0]).ToList();
        var named = MakeTarget().Matches(Runbook + Sizing).Select(match => match.Groups["target"].Value).Distinct(StringComparer.Ordinal).ToList();
        Assert.Contains("production-deploy", named);
        Assert.All(named, target => Assert.Contains(target, targets));
    }

    /// <summary>The scripts' own --help names each flag.</summary>
    [Fact]
    public void Flags_of_scripts_that_it_names_exist()
    {
        var calls = ScriptCall().Matches(Runbook).ToList();
        Assert.True(calls.Count >= 5);
        foreach (var call in calls)
        {
            var help = File.ReadAllText(Path.Combine(Root, call.Groups["script"].Value)).Split("set -euo")[0];
            Assert.All(Option().Matches(call.Groups["arguments"].Value), option => Assert.Matches($@"(?<![\w-]){option.Value}(?![\w-])", help));
        }
    }

    /// <summary>What those on call are asked for, each with the page and the command (that it is one the program takes: <c>CommandLinesTests</c>).</summary>
    [Theory]
    [InlineData("somebody left", "people", "users revoke")]
    [InlineData("sign-in does not work", "sign-ins", "doctor")]
    [InlineData("who did what", "audit", "audit tail")]
    [InlineData("webhooks failed in an outage", "webhooks", "webhooks replay --all")]
    [InlineData("dead letters", "messages", "messages return")]
    [InlineData("key rotation", "overview", "keys add")]
    [InlineData("refresh key rotation", "overview", "doctor")]
    public void Way_of_those_on_call_names_page_and_command(string occasion, string page, string command)
    {
        var row = Assert.Single(Section("On call").Split('\n'), line => line.StartsWith($"| **{occasion}**", StringComparison.Ordinal)).Split(" | ");
        Assert.Equal(3, row.Length);
        Assert.Contains($"`/operations/{page}`", row[1], StringComparison.Ordinal);
        Assert.Contains("`GptFunctions " + command, row[2], StringComparison.Ordinal);
    }

    [Fact]
    public void Pages_that_it_names_exist()
    {
        var routes = File.ReadAllText(Path.Combine(Root, "docs", "routes.md")); // which is compared with the program
        var named = OperationsPage().Matches(Runbook).Select(match => match.Value).Distinct(StringComparer.Ordinal).ToList();
        Assert.Equal(9, named.Count);
        Assert.All(named, page => Assert.Contains($"| GET | {page} |", routes, StringComparison.Ordinal));
    }

    /// <summary>Links within it lead to its headings.</summary>
    [Fact]
    public void Sections_that_it_links_to_exist()
    {
        var headings = Heading().Matches(Runbook).Select(match => match.Groups["text"].Value.ToLowerInvariant().Replace(' ', '-')).ToList();
        var linked = Anchor().Matches(Runbook).Select(match => match.Groups["name"].Value).Distinct(StringComparer.Ordinal).ToList();
        Assert.Contains("on-call", linked);
        Assert.All(linked, name => Assert.Contains(name, headings));
    }

    /// <summary>Who changes rows by hand leaves no audit event: the program does it. Roles, and copying a trail, are the administrator's.</summary>
    [Fact]
    public void No_row_of_the_program_is_changed_by_hand()
    {
        var tables = Directory.EnumerateFiles(Path.Combine(Root, "GptFunctions", "Data", "Migrations"))
            .SelectMany(file => Table().Matches(File.ReadAllText(file))).Select(match => match.Groups["name"].Value).ToHashSet(StringComparer.Ordinal);
        Assert.Contains("gpt_sessions", tables);
        var changed = Change().Matches(Runbook + Sizing).Select(match => match.Groups["name"].Value).Where(tables.Contains).ToList();
        Assert.Equal(["gpt_oauth_events"], changed); // INSERT: what was recorded on a server that is given up
        Assert.All(
            (string[])["--user", "--session", "--all"],
            option => Assert.Contains("GptFunctions sessions revoke " + option, Runbook, StringComparison.Ordinal));
    }

    /// <summary>ingress-nginx can clear a caller's header by its own settings only, so it is a step, and the step that tries a host is beside it.</summary>
    [Fact]
    public void Ingress_clears_a_callers_invocation_id_and_one_curl_tries_a_host()
    {
        var install = ShellBlock().Matches(Runbook).Select(match => match.Groups["text"].Value)
            .Single(block => block.Contains("helm upgrade --install ingress-nginx", StringComparison.Ordinal));
        Assert.Matches(@" --set controller\.proxySetHeaders\.x-ms-invocation-id=(?:\s|$)", install);
        Assert.Contains(
            ShellBlock().Matches(Runbook),
            block => block.Groups["text"].Value.StartsWith("curl ", StringComparison.Ordinal)
                && block.Groups["text"].Value.Contains("-H 'x-ms-invocation-id: ", StringComparison.Ordinal));
    }

    /// <summary>Deployments, Secrets, ConfigMaps and so on, as the manifests call them.</summary>
    [Fact]
    public async Task Objects_of_the_cluster_that_it_names_exist()
    {
        var manifests = await KustomizeRender.LoadAsync(KustomizeRender.Production);
        var names = manifests.Objects.Select(item => item.Text("metadata/name")!).ToHashSet(StringComparer.Ordinal);
        var named = ClusterObject().Matches(Runbook).Select(match => match.Groups["name"].Value).Distinct(StringComparer.Ordinal).ToList();
        Assert.Contains("gpt-functions-timers", named);
        Assert.All(named, name => Assert.Contains(name, names));
        Assert.All(
            NamespaceOption().Matches(Runbook).Select(match => match.Groups["name"].Value).Except(["rabbitmq"], StringComparer.Ordinal),
            name => Assert.Equal("gpt-functions", name));
    }

    [Fact]
    public async Task Shell_blocks_can_be_read_by_bash()
    {
        foreach (var block in ShellBlock().Matches(Runbook).Select(match => match.Groups["text"].Value))
        {
            using var bash = Process.Start(
                new ProcessStartInfo("bash", ["-n"]) { RedirectStandardInput = true, RedirectStandardError = true, UseShellExecute = false })!;
            await bash.StandardInput.WriteAsync(block);
            bash.StandardInput.Close();
            var said = await bash.StandardError.ReadToEndAsync();
            await bash.WaitForExitAsync();
            Assert.True(bash.ExitCode == 0 && said.Length == 0, said + block);
        }
    }

    private static string Section(string heading) => Runbook.Split($"\n## {heading}\n")[1].Split("\n## ")[0];

    [GeneratedRegex(@"(?<![\w/.-])(?:infra|GptFunctions(?!/bin/)|GptFunctions\.Tests|\.github)/[\w./-]*\w", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex RepositoryPath();

    [GeneratedRegex(@"(?:`|^)make (?<target>[a-z0-9-]+)", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex MakeTarget();

    [GeneratedRegex(@"(?<script>infra/[\w/-]+\.sh)(?<arguments>(?: +(?:--?)?[\w./:@=-]+)*)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ScriptCall();

    [GeneratedRegex(@"(?<![\w-])--[a-z][a-z-]*", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Option();

    [GeneratedRegex(@"^###? (?<text>[\w -]+)$", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Heading();

    [GeneratedRegex(@"\]\(#(?<name>[\w-]+)\)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Anchor();

    [GeneratedRegex(@"`/operations/[\w-]+`", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex OperationsPage();

    [GeneratedRegex(@"CREATE (?:UNLOGGED )?TABLE (?<name>\w+)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Table();

    [GeneratedRegex(@"(?:UPDATE|DELETE FROM|INSERT INTO|TRUNCATE) (?<name>\w+)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Change();

    [GeneratedRegex(@"(?:deployment/|deploy/|scaledobject )(?<name>gpt-[a-z-]+)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ClusterObject();

    [GeneratedRegex(@"kubectl -n (?<name>[\w-]+)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex NamespaceOption();

    [GeneratedRegex(@"```sh\n(?<text>.*?)```", RegexOptions.Singleline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ShellBlock();
}
