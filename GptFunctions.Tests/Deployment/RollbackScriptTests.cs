namespace GptFunctions.Tests.Deployment;

/// <summary>infra/deploy/rollback.sh, and the help of all three.</summary>
public sealed class RollbackScriptTests
{
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

    /// <summary>The last step of a restore.</summary>
    [Fact]
    public async Task Rollback_starts_pods_that_were_stopped()
    {
        using var bench = new DeployBench { IsStopped = true };
        var (code, said) = await bench.RunAsync("rollback.sh", ["--environment", "production", "--to", "current", "--yes"]);
        Assert.True(code == 0, said);
        Assert.False(bench.IsStopped);
        Assert.Contains(
            bench.Calls, call => call.EndsWith("scale deployment/gpt-functions-http --replicas=2", StringComparison.Ordinal)); // records name no other
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
}
