using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>infra/deploy/deploy.sh: the order of its steps, its smoke test, and how it goes back.</summary>
public sealed class DeployScriptTests
{
    private const string InProduction = "--context contoso --namespace gpt-functions ";

    [Fact]
    public async Task Deploy_checks_first_then_applies_waits_tests_and_records()
    {
        using var bench = new DeployBench();
        var (code, said) = await bench.DeployAsync("--yes");
        Assert.True(code == 0, said);
        string[] steps =
        [
            "kubectl config current-context", "get namespace gpt-functions", "az acr repository show", "kubectl kustomize", "get secret gpt-secrets",
            "get secret gpt-setup", "git diff",
            "--dry-run=server", "get deployment gpt-functions-http", "apply -k", "rollout status deployment/gpt-functions-http --timeout=300s",
            "rollout status deployment/gpt-functions-audit",
            "rollout status deployment/gpt-functions-timers", "/ready", "/.well-known/oauth-authorization-server", "/__selftest",
            "/operations",
            "create configmap gpt-deployed-before", "create configmap gpt-deployed --",
        ];
        var at = -1;
        foreach (var step in steps)
        {
            var next = Array.FindIndex(bench.Calls, at + 1, call => call.Contains(step, StringComparison.Ordinal));
            Assert.True(next > at, $"{step} does not come after the steps before it:\n{string.Join('\n', bench.Calls)}");
            at = next;
        }

        Assert.All(bench.Changes, call => Assert.Contains(InProduction, call, StringComparison.Ordinal));
        Assert.Equal(
            $"""
            apiVersion: kustomize.config.k8s.io/v1beta1
            kind: Kustomization
            resources: [../../../infra/k8s/overlays/production]
            components: [../../../infra/k8s/overlays/plain-secrets]
            images:
              - name: gpt-functions
                newName: contoso.azurecr.io/gpt-functions
                digest: {DeployBench.Digest}

            """, bench.Kustomization);
        string[] texts =
        [
            $"runs now     {DeployBench.ImageBefore}", "migrations   V009_Later", "this version has no /__selftest",
            $"Deployed to production: {DeployBench.Image}", $"before it    {DeployBench.ImageBefore}",
            "setup        database: applied V009_Later;database: schema version 9", "make rollback ENVIRONMENT=production",
        ];
        foreach (var text in texts)
        {
            Assert.Contains(text, said, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Staging_has_a_namespace_of_its_own_and_asks_nobody()
    {
        using var bench = new DeployBench("staging");
        var (code, said) = await bench.DeployAsync();
        Assert.True(code == 0, said);
        Assert.All(bench.Changes, call => Assert.Contains("--namespace gpt-functions-staging ", call, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Dry_run_makes_every_check_and_changes_nothing()
    {
        using var bench = new DeployBench();
        var (code, said) = await bench.DeployAsync("--dry-run");
        Assert.True(code == 0, said);
        Assert.Contains(bench.Calls, call => call.EndsWith("--dry-run=server", StringComparison.Ordinal));
        Assert.Empty(bench.Changes);
        Assert.EndsWith("Nothing was changed (--dry-run).\n", said, StringComparison.Ordinal);
    }

    /// <summary>What fails, first, and works again with the manifests of before.</summary>
    [Theory]
    [InlineData("apply -k [^ ]*$", "", "FAILED: kubectl apply")]
    [InlineData("rollout status deployment/gpt-functions-http", "", "FAILED: the rollout")]
    [InlineData("rollout status deployment/gpt-functions-timers", "", "FAILED: the rollout")]
    [InlineData("^curl .*/ready$", "{\"status\":\"not_ready\"}\n503", "FAILED: the smoke test")]
    [InlineData("^curl .*/ready$", "", "FAILED: the smoke test")] // no answer at all
    [InlineData("^curl .*/oauth-authorization-server$", "{\"issuer\":\"https://another.test\"}\n200", "FAILED: the smoke test")]
    [InlineData("^curl .*/__selftest$", "{}\n503", "FAILED: the smoke test")]
    [InlineData("^curl .*/operations$", "<html>\n200", "FAILED: the smoke test")]
    [InlineData("^curl .*/operations$", "\n500", "FAILED: the smoke test")]
    public async Task Failure_brings_back_what_was_recorded(string pattern, string answer, string expected)
    {
        using var bench = new DeployBench();
        bench.Insert(pattern, answer, 1, 0);
        var (code, said) = await bench.DeployAsync("--yes");
        Assert.True(code == 3, said);
        Assert.Contains(expected, said, StringComparison.Ordinal);
        Assert.Contains($"Back: {DeployBench.ImageBefore} runs in production again.", said, StringComparison.Ordinal);
        var calls = bench.Calls;
        var restored = Array.FindIndex(calls, call => call.EndsWith("/before.yaml", StringComparison.Ordinal));
        Assert.Contains(InProduction + "apply -f ", calls[restored], StringComparison.Ordinal);
        Assert.Equal(3, calls[restored..].Count(call => call.Contains("rollout status", StringComparison.Ordinal)));
        Assert.DoesNotContain(calls, call => call.Contains("create configmap", StringComparison.Ordinal)); // the record stays
    }

    /// <summary>What operators read of a self-test: its state, and each part that is not well, with and without the service key.</summary>
    [Theory]
    [InlineData("""{"status":"ok","subsystems":{"clerk":{"status":"ok"},"database":{"status":"ok"}}}""", 200, 0, "smoke test: /__selftest 200\n")]
    [InlineData(
        """{"status":"degraded","subsystems":{"callbacks":{"status":"safe_mode"},"database":{"status":"ok"},"rabbitmq":{"status":"degraded"}}}""",
        200, 0, "smoke test: /__selftest 200, degraded: callbacks safe_mode, rabbitmq degraded\n")]
    [InlineData(
        """
        {"status":"blocker","subsystems":{"clerk":{"status":"blocker","duration_ms":3,"details":{},"error":"No answer."},"purge":{"status":"ok"}}}
        """,
        503, 3, "smoke test: /__selftest answered 503 (clerk blocker): {\"status\":\"blocker\"")]
    [InlineData("<html>Bad Gateway</html>", 502, 3, "smoke test: /__selftest answered 502 (): <html>Bad Gateway</html>\n")]
    public async Task Self_test_is_said_part_by_part_and_a_blocker_undoes_the_deployment(string body, int status, int expected, string line)
    {
        ArgumentNullException.ThrowIfNull(body);
        using var bench = new DeployBench();
        bench.Insert("^curl .*/__selftest$", $"{body.TrimEnd()}\n{status}");
        var (code, said) = await bench.DeployAsync("--yes");
        Assert.Equal(expected, code);
        Assert.Contains(line, said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(403, "smoke test: /operations 403, closed from here")]
    [InlineData(404, "smoke test: /operations 404, closed from here")]
    [InlineData(302, "smoke test: /operations leads this address to the sign-in (infra/k8s/overlays/production/operations.yaml)")]
    public async Task Operations_are_closed_to_who_comes_from_outside(int status, string expected)
    {
        using var bench = new DeployBench();
        bench.Insert("^curl .*/operations$", $"\n{status}");
        var (code, said) = await bench.DeployAsync("--yes");
        Assert.Equal(0, code);
        Assert.Contains(expected, said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Service_key_goes_through_a_pipe_so_that_no_call_shows_it()
    {
        using var bench = new DeployBench();
        bench.Settings["SERVICE_KEY"] = "service-key-of-this-test";
        Assert.Equal(0, (await bench.DeployAsync("--yes")).ExitCode);
        Assert.DoesNotContain(bench.Calls, call => call.Contains("service-key-of-this-test", StringComparison.Ordinal));
        Assert.Contains(bench.Calls, call => call.Contains("--header @-", StringComparison.Ordinal));
    }

    /// <summary>After a restore: the manifests name no replicas, and the autoscaler leaves zero alone, so nobody else would start them.</summary>
    [Fact]
    public async Task Stopped_pods_are_started_after_the_manifests_and_before_the_wait()
    {
        using var bench = new DeployBench { IsStopped = true };
        bench.Insert("^kubectl kustomize ", $"kind: ConfigMap\ndata:\n  PUBLIC_BASE_URL: {DeployBench.Url}\nspec:\n  minReplicas: 3\n");
        var (code, said) = await bench.DeployAsync("--yes");
        Assert.True(code == 0, said);
        Assert.False(bench.IsStopped);
        Assert.Contains($"runs now     {DeployBench.ImageBefore}, stopped (0 replicas): it will be started", said, StringComparison.Ordinal);
        var calls = bench.Calls.ToList();
        var started = calls.FindIndex(call => call.EndsWith("scale deployment/gpt-functions-http --replicas=3", StringComparison.Ordinal));
        Assert.InRange(
            started, calls.FindIndex(call => call.Contains(" apply -k ", StringComparison.Ordinal) && !call.Contains("--dry-run", StringComparison.Ordinal)),
            calls.FindIndex(call => call.Contains("rollout status", StringComparison.Ordinal)));
    }

    /// <summary>"Runs again" is said of pods that run: those of before are started as well when what was to be deployed fails.</summary>
    [Theory]
    [InlineData("apply -k [^ ]*$")]
    [InlineData("^curl .*/__selftest$")]
    public async Task Failure_while_pods_are_stopped_starts_those_of_before(string pattern)
    {
        using var bench = new DeployBench { IsStopped = true };
        bench.Insert(pattern, "\n503", 1, 0);
        var (code, said) = await bench.DeployAsync("--yes");
        Assert.True(code == 3, said);
        Assert.Contains("runs in production again", said, StringComparison.Ordinal);
        Assert.False(bench.IsStopped);
    }

    [Fact]
    public async Task Pods_that_cannot_be_started_are_not_said_to_run()
    {
        using var bench = new DeployBench { IsStopped = true };
        bench.Insert(" scale deployment/", "", 1);
        var (code, said) = await bench.DeployAsync("--yes");
        Assert.DoesNotContain("again.", said, StringComparison.Ordinal);
        Assert.True(code == 4, said);
    }

    [Fact]
    public async Task Failure_of_a_first_deployment_is_left_to_be_looked_at()
    {
        using var bench = new DeployBench();
        bench.Insert("get configmap");
        bench.Insert("rollout status", "", 1);
        var (code, said) = await bench.DeployAsync("--yes");
        Assert.True(code == 4, said);
        Assert.Contains("Nothing is recorded that could be brought back.", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Failure_to_go_back_is_exit_code_4()
    {
        using var bench = new DeployBench();
        bench.Insert("rollout status", "", 1);
        var (code, said) = await bench.DeployAsync("--yes");
        Assert.True(code == 4, said);
        Assert.Contains("Bringing it back failed too", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Same_image_again_does_not_become_what_rollback_goes_back_to()
    {
        using var bench = new DeployBench();
        bench.Insert("get configmap gpt-deployed .*image", DeployBench.Image);
        var (code, said) = await bench.DeployAsync("--yes");
        Assert.True(code == 0, said);
        Assert.DoesNotContain(bench.Calls, call => call.Contains("create configmap gpt-deployed-before", StringComparison.Ordinal));
    }
}
