namespace GptFunctions.Tests.Deployment;

/// <summary>infra/deploy/azure-up.sh: what it refuses, and what it leaves to people.</summary>
[Collection(AzureUpRunOnce.Name)]
public sealed class AzureUpRefusalTests(AzureUpRun run)
{
    private const string Configuration = "infra/deploy/azure.conf";
    private const string Settings = "infra/k8s/overlays/production/settings.env";

    [Theory]
    [InlineData(Configuration, "ACR=contoso ", "ACR=REPLACE-ME ", "azure.conf: ACR is 'REPLACE-ME': choose one")]
    [InlineData(Configuration, "ACR=contoso ", "ACR=Contoso ", "ACR is 5 to 50 lower-case letters and digits")]
    [InlineData(Configuration, "VAULT_production=contoso-gpt", "VAULT_production=1", "VAULT_production is 3 to 24 letters")]
    [InlineData(Configuration, "POSTGRES_production=contoso-gpt", "POSTGRES_production=Contoso", "POSTGRES_production is 3 to 63 lower-case letters")]
    [InlineData(Configuration, "REPO=contoso/gpt", "REPO=contoso", "REPO is OWNER/NAME")]
    [InlineData(Configuration, "CLIENT_ID_production=contoso-gpt", "CLIENT_ID_production=", "CLIENT_ID_production is '': choose one")]
    [InlineData(Settings, "AUDIT_QUEUE_TYPE=quorum", "", "set AUDIT_QUEUE_TYPE=quorum (the broker has three nodes), before the first deployment")]
    [InlineData(
        Settings, "CLERK_OAUTH_CLIENT_ID=contoso", "CLERK_OAUTH_CLIENT_ID=REPLACE-ME", "still a placeholder: infra/k8s/overlays/production/settings.env:7:")]
    [InlineData(Settings, "=https://gpt.contoso.test\n", "=https://gpt.contoso.test/gpt\n", "PUBLIC_BASE_URL is https:// and a host name")]
    public async Task Name_or_setting_that_is_missing_or_wrong_is_refused(string file, string before, string after, string expected)
    {
        using var bench = new AzureBench();
        bench.Replace(file, before, after);
        await AssertRefusedAsync(bench, 1, expected);
        Assert.Empty(bench.Calls);
    }

    [Fact]
    public async Task Everything_that_is_missing_is_said_at_once()
    {
        using var bench = new AzureBench();
        bench.Replace(Configuration, "ACR=contoso ", "ACR=REPLACE-ME ");
        bench.Replace(Settings, "AUDIT_QUEUE_TYPE=quorum", "");
        var (code, said) = await bench.RunAsync("--yes");
        Assert.Equal((1, 2), (code, said.Split("refused: ").Length - 1));
        (code, said) = await bench.RunAsync("--plan"); // a plan can be read before everything is decided
        Assert.Equal((0, 2), (code, said.Split("would be refused: ").Length - 1));
    }

    [Theory]
    [InlineData("az account show", "az is not signed in")]
    [InlineData("az ad signed-in-user show", "az has to be signed in as a person")]
    [InlineData("gh auth status", "gh is not signed in")]
    [InlineData("gh api repos/contoso/gpt", "gh does not see the repository contoso/gpt")]
    public async Task Who_is_not_signed_in_is_told(string call, string expected)
    {
        using var bench = new AzureBench();
        bench.Write("refuse", call);
        await AssertRefusedAsync(bench, 1, expected);
    }

    [Theory]
    [InlineData("az")]
    [InlineData("helm")]
    [InlineData("gh")]
    [InlineData("kubelogin")]
    public async Task Tool_that_is_missing_is_named(string tool)
    {
        using var bench = new AzureBench();
        File.Delete(bench.FileOf("bin/" + tool));
        await AssertRefusedAsync(bench, 1, tool + " is not installed");
    }

    [Fact]
    public async Task Secret_that_nobody_can_be_asked_for_is_named_before_anything_is_made()
    {
        using var bench = new AzureBench();
        bench.Settings["CLERK_WEBHOOK_SECRET"] = "";
        bench.Settings["STRIPE_WEBHOOK_SECRET"] = "";
        var (code, said) = await bench.RunAsync("--yes");
        Assert.Equal((1, 2), (code, said.Split("is not set, and nobody can be asked for it here").Length - 1));
        Assert.Empty(bench.Changes);

        bench.StartBefore(run.Bench, "gpt-client-id");
        Directory.Delete(bench.FileOf("vault"), recursive: true);
        bench.Settings["CLERK_WEBHOOK_SECRET"] = "whsec_1"; // and on it goes
        bench.Settings["STRIPE_WEBHOOK_SECRET"] = " ";
        (code, said) = await bench.RunAsync("--yes");
        Assert.Equal(4, code);
        Assert.Contains("stripe-webhook-secret is empty", said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("production\n", 0)]
    [InlineData("yes\n", 1)]
    public async Task Production_wants_its_name_typed(string input, int expected)
    {
        using var bench = new AzureBench();
        bench.Settings["BREAK"] = "1";
        var (code, said) = await bench.RunWithInputAsync(input, "--environment", "production");
        Assert.Equal(expected == 0 ? 4 : 1, code); // 4: it began
        Assert.Equal(expected == 0, said.Contains("FAILED at 'Resource providers", StringComparison.Ordinal));
        Assert.Empty(bench.Changes);
    }

    [Fact]
    public async Task Name_that_is_taken_in_Azure_is_said()
    {
        using var bench = new AzureBench();
        bench.StartBefore(run.Bench, "az acr create");
        bench.Write("taken", "");
        await AssertRefusedAsync(bench, 4, "the registry's name contoso is not free");
        bench.StartBefore(run.Bench, "az keyvault create");
        bench.Write("deleted", "");
        await AssertRefusedAsync(bench, 4, "the vault contoso-gpt was deleted and can come back");
    }

    [Fact]
    public async Task Cluster_that_failed_is_asked_for_once_more()
    {
        using var bench = new AzureBench();
        bench.StartBefore(run.Bench, "get-credentials");
        bench.Write("failed", "");
        bench.Settings["BREAK"] = "4"; // far enough
        await AssertRefusedAsync(bench, 4, "FAILED at 'Your way to the cluster'");
        Assert.Contains("az aks update --resource-group gpt --name gpt --yes --output none", bench.Changes);
    }

    /// <summary>Names that are kept elsewhere: the address is said, and the next run goes on.</summary>
    [Fact]
    public async Task Record_that_somebody_else_makes_is_asked_for()
    {
        using var bench = new AzureBench();
        bench.StartBefore(run.Bench, "record-set");
        bench.Replace(Configuration, "DNS_ZONE=contoso.test", "DNS_ZONE=");
        await AssertRefusedAsync(bench, 3, "make an A record for gpt.contoso.test with the address 20.1.2.3");
        bench.Write("name", "");
        var (code, said) = await bench.RunAsync("--yes");
        Assert.True(code == 0, said);
        Assert.DoesNotContain(bench.Changes, call => call.Contains("record-set", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Record_with_another_address_is_left_alone()
    {
        using var bench = new AzureBench();
        bench.StartBefore(run.Bench, "record-set");
        bench.Write("record", "198.51.100.7");
        await AssertRefusedAsync(bench, 4, "has an A record with another address than 20.1.2.3");
        Assert.DoesNotContain(bench.Changes, call => call.Contains("record-set", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Image_is_of_a_commit_or_one_that_is_in_the_registry()
    {
        using var bench = new AzureBench();
        bench.StartBefore(run.Bench, "az acr login");
        bench.Write("dirty", "");
        await AssertRefusedAsync(bench, 4, "has changes that no commit holds");
        File.Delete(bench.FileOf("bin/docker"));
        bench.Settings["PATH"] = bench.FileOf("bin") + ":/usr/bin:/bin";
        await AssertRefusedAsync(bench, 4, "is not in the registry", "--image", DeployBench.Image);
        bench.Write("pushed", "");
        var (code, said) = await bench.RunAsync("--yes", "--image", DeployBench.Image); // no docker is needed
        Assert.True(code == 0, said);
        Assert.Contains(bench.Changes, call => call == $"deploy.sh --environment production --image {DeployBench.Image} --yes");
    }

    [Fact]
    public async Task Broker_of_ones_own_is_asked_for_its_url()
    {
        using var bench = new AzureBench();
        bench.StartBefore(run.Bench, "az acr login");
        File.Delete(bench.FileOf("vault/rabbitmq-url"));
        bench.Replace(Configuration, "BROKER_NODES=3 ", "BROKER_NODES=0 ");
        bench.Replace(Settings, "AUDIT_QUEUE_TYPE=quorum", "");
        await AssertRefusedAsync(bench, 1, "RABBITMQ_URL is not set");
        bench.Settings["RABBITMQ_URL"] = "amqps://gpt:password@broker.test:5671/gpt";
        var (code, said) = await bench.RunAsync("--yes");
        Assert.True(code == 0, said);
        Assert.Equal("amqps://gpt:password@broker.test:5671/gpt", bench.Vault["rabbitmq-url"]);
        Assert.DoesNotContain(bench.Calls, call => call.Contains("rabbitmqc", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("--environment is missing")]
    [InlineData("--environment is staging or production", "--environment", "test")]
    [InlineData("--image must name a digest", "--environment", "production", "--image", "contoso.azurecr.io/gpt-functions:v1")]
    [InlineData("Unknown argument '--force'", "--force")]
    public async Task Wrong_usage_is_exit_code_2_and_calls_nothing(string expected, params string[] arguments)
    {
        using var bench = new AzureBench();
        var (code, said) = await bench.RunWithInputAsync("", arguments);
        Assert.Equal(2, code);
        Assert.Contains(expected, said, StringComparison.Ordinal);
        Assert.Empty(bench.Calls);
    }

    [Fact]
    public async Task Help_tells_usage_and_needs_nothing()
    {
        using var bench = new AzureBench();
        var (code, said) = await bench.RunWithInputAsync("", "--help");
        Assert.Equal(0, code);
        Assert.Contains("infra/deploy/azure.conf", said, StringComparison.Ordinal);
        Assert.Empty(bench.Calls);
    }

    private static async Task AssertRefusedAsync(AzureBench bench, int expectedCode, string expected, params string[] more)
    {
        var before = bench.Changes;
        var (code, said) = await bench.RunAsync(["--yes", .. more]);
        Assert.True(code == expectedCode, said);
        Assert.Contains(expected, said, StringComparison.Ordinal);
        if (expectedCode == 1)
        {
            Assert.EndsWith("Nothing was changed.\n", said, StringComparison.Ordinal);
            Assert.Equal(before, bench.Changes);
        }
    }
}
