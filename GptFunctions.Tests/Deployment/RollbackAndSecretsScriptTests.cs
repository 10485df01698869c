using System.Text;
using System.Text.RegularExpressions;

namespace GptFunctions.Tests.Deployment;

/// <summary>infra/deploy/rollback.sh and secrets.sh.</summary>
public sealed partial class RollbackAndSecretsScriptTests
{
    private static readonly string[] Variables =
    [
        "GPT_CLIENT_ID", "GPT_CLIENT_SECRET", "GPT_EC_PRIVATE_KEY", "GPT_REFRESH_KEY", "CLERK_WEBHOOK_SECRET", "CLERK_OAUTH_CLIENT_SECRET",
        "STRIPE_WEBHOOK_SECRET", "DATABASE_URL", "RABBITMQ_URL", "DATABASE_OWNER_URL",
    ];

    [Fact]
    public async Task Rollback_applies_the_manifests_of_before_waits_tests_and_records()
    {
        using var bench = new DeployBench();
        var (code, said) = await bench.RunAsync("rollback.sh", ["--environment", "production"], "production\n");
        Assert.True(code == 0, said);
        Assert.Collection(
            bench.Changes,
            call => Assert.Matches("^kubectl --context contoso --namespace gpt-functions apply -f .*/rollback\\.yaml$", call),
            call => Assert.Contains("apply --server-side", call, StringComparison.Ordinal),
            call => Assert.EndsWith("delete configmap gpt-deployed-before --ignore-not-found", call, StringComparison.Ordinal));
        Assert.Equal(3, bench.Calls.Count(call => call.Contains("rollout status", StringComparison.Ordinal)));
        Assert.Contains(bench.Calls, call => call.EndsWith("/ready", StringComparison.Ordinal));
        Assert.Contains($"Rolled back: {DeployBench.ImageBefore} runs in production again", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rollback_without_a_record_is_refused()
    {
        using var bench = new DeployBench();
        bench.Insert("get configmap gpt-deployed-before");
        await AssertRefusedAsync(bench, "nothing is recorded in ConfigMap gpt-deployed-before of gpt-functions", "--yes");
    }

    [Fact]
    public async Task Rollback_in_another_context_is_refused()
    {
        using var bench = new DeployBench();
        bench.Insert("config current-context", "another");
        await AssertRefusedAsync(bench, "kubectl points at 'another'", "--yes");
    }

    [Fact]
    public async Task Rollback_that_nobody_confirms_is_refused()
    {
        using var bench = new DeployBench();
        await AssertRefusedAsync(bench, "'' is not 'production'.");
    }

    [Fact]
    public async Task Rollback_dry_run_changes_nothing()
    {
        using var bench = new DeployBench();
        var (code, said) = await bench.RunAsync("rollback.sh", ["--environment", "production", "--dry-run"]);
        Assert.True(code == 0, said);
        Assert.Contains($"bring back   {DeployBench.ImageBefore}", said, StringComparison.Ordinal);
        Assert.Empty(bench.Changes);
    }

    [Theory]
    [InlineData("rollout status", "", "it does not come up")]
    [InlineData("^curl .*/ready$", "\n503", "it is up, and does not work")]
    public async Task Rollback_that_fails_is_exit_code_4_and_keeps_the_records(string pattern, string answer, string expected)
    {
        using var bench = new DeployBench();
        bench.Insert(pattern, answer, 1);
        var (code, said) = await bench.RunAsync("rollback.sh", ["--environment", "production", "--yes"]);
        Assert.True(code == 4, said);
        Assert.Contains(expected, said, StringComparison.Ordinal);
        Assert.Single(bench.Changes);
    }

    [Fact]
    public async Task Rollback_to_current_brings_back_the_last_good_deployment_and_keeps_the_one_before()
    {
        using var bench = new DeployBench();
        var (code, said) = await bench.RunAsync("rollback.sh", ["--environment", "production", "--to", "current", "--yes"]);
        Assert.True(code == 0, said);
        Assert.Contains(
            bench.Calls,
            call => call.Contains("get configmap gpt-deployed --ignore-not-found -o jsonpath={.data.manifests", StringComparison.Ordinal));
        Assert.DoesNotContain(bench.Calls, call => call.Contains("delete configmap", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Secrets_go_through_a_pipe_and_stand_on_no_command_line_and_in_no_output()
    {
        using var bench = new DeployBench();
        var values = Set(bench);
        var (code, said) = await bench.RunAsync("secrets.sh", ["--environment", "production"]);
        Assert.True(code == 0, said);
        Assert.Equal("kubectl --context contoso --namespace gpt-functions apply --server-side --force-conflicts -f -", Assert.Single(bench.Changes));
        var written = Entry().Matches(bench.Input)
            .ToDictionary(
                match => match.Groups["key"].Value, match => Encoding.UTF8.GetString(Convert.FromBase64String(match.Groups["value"].Value)),
                StringComparer.Ordinal);
        Assert.Equal(Variables.Select(name => name.ToLowerInvariant().Replace('_', '-')), written.Keys);
        Assert.Equal(values, written.Values);
        Assert.Equal(2, bench.Input.Split("kind: Secret").Length - 1);
        Assert.Contains("name: gpt-setup\n", bench.Input.Split("---\n")[1], StringComparison.Ordinal);
        Assert.StartsWith("database-owner-url: ", bench.Input.Split("---\n")[1].Split("\ndata:\n  ")[1], StringComparison.Ordinal);
        foreach (var value in values)
        {
            foreach (var text in (string[])[said, .. bench.Calls])
            {
                Assert.DoesNotContain(value, text, StringComparison.Ordinal);
                Assert.DoesNotContain(Convert.ToBase64String(Encoding.UTF8.GetBytes(value)), text, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public async Task Secret_that_is_optional_joins_the_others_when_it_is_set()
    {
        using var bench = new DeployBench();
        Set(bench);
        bench.Settings["GPT_EC_PREVIOUS_KEYS"] = "an older key";
        var (code, said) = await bench.RunAsync("secrets.sh", ["--environment", "production"]);
        Assert.Equal((0, "Secrets gpt-secrets (10 keys) and gpt-setup (1) of gpt-functions are as the variables say.\n"), (code, said));
        Assert.Contains($"  gpt-ec-previous-keys: {Convert.ToBase64String("an older key"u8)}\n", bench.Input, StringComparison.Ordinal);
        Assert.DoesNotContain("orders-webhook-secret", bench.Input, StringComparison.Ordinal);
    }

    public static TheoryData<string> EachVariable => [.. Variables];

    [Theory]
    [MemberData(nameof(EachVariable))]
    public async Task Secret_that_is_empty_is_refused_by_name(string variable)
    {
        foreach (var value in (string[])["", " \n"])
        {
            using var bench = new DeployBench();
            Set(bench);
            bench.Settings[variable] = value;
            var (code, said) = await bench.RunAsync("secrets.sh", ["--environment", "production"]);
            Assert.Equal(
                (1, $"refused: {variable} is empty: set it (in GitHub: environment production, secret {variable}).\nNothing was changed.\n"),
                (code, said));
            Assert.Empty(bench.Changes);
        }
    }

    [Fact]
    public async Task Application_with_the_owners_url_is_refused()
    {
        using var bench = new DeployBench();
        Set(bench);
        bench.Settings["DATABASE_URL"] = bench.Settings["DATABASE_OWNER_URL"];
        var (code, said) = await bench.RunAsync("secrets.sh", ["--environment", "production"]);
        Assert.Equal(1, code);
        Assert.Contains("DATABASE_URL and DATABASE_OWNER_URL are the same", said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("deploy.sh", "--image REGISTRY/gpt-functions@sha256:")]
    [InlineData("rollback.sh", "--to before|current")]
    [InlineData("secrets.sh", "CLERK_WEBHOOK_SECRET")]
    public async Task Help_tells_usage_and_needs_nothing(string script, string expected)
    {
        using var bench = new DeployBench();
        var (code, said) = await bench.RunAsync(script, ["--help"]);
        Assert.Equal(0, code);
        Assert.Contains(expected, said, StringComparison.Ordinal);
        Assert.Empty(bench.Calls);
    }

    private static async Task AssertRefusedAsync(DeployBench bench, string expected, params string[] more)
    {
        var (code, said) = await bench.RunAsync("rollback.sh", ["--environment", "production", .. more]);
        Assert.True(code == 1, said);
        Assert.Contains(expected, said, StringComparison.Ordinal);
        Assert.Empty(bench.Changes);
    }

    /// <summary>A value for each variable, with what shells and YAML trip over.</summary>
    private static List<string> Set(DeployBench bench)
    {
        var values = Variables.Select((name, number) => $"{name.ToLowerInvariant()} '\"$(x)`\\{number}: #").ToList();
        foreach (var (name, value) in Variables.Zip(values))
        {
            bench.Settings[name] = value;
        }

        return values;
    }

    [GeneratedRegex("^  (?<key>[a-z-]+-[a-z-]+): (?<value>[A-Za-z0-9+/=]+)$", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Entry();
}
