using System.Globalization;
using System.Text.RegularExpressions;

namespace GptFunctions.Tests.Deployment;

/// <summary>A plan and a run from nothing, which both classes look at.</summary>
[CollectionDefinition(Name)]
public sealed class AzureUpRunOnce : ICollectionFixture<AzureUpRun>
{
    public const string Name = "azure-up";
}

/// <summary>See <see cref="AzureUpRunOnce"/>.</summary>
public sealed class AzureUpRun : IAsyncLifetime
{
    internal AzureBench Bench { get; } = new();

    internal string Plan { get; private set; } = "";

    internal string[] CallsOfPlan { get; private set; } = [];

    internal string Said { get; private set; } = "";

    internal string[] Changes { get; private set; } = [];

    public async Task InitializeAsync()
    {
        (var code, Plan) = await Bench.RunAsync("--plan");
        Assert.True(code == 0, Plan);
        CallsOfPlan = Bench.Calls;
        (code, Said) = await Bench.RunAsync("--yes");
        Assert.True(code == 0, Said);
        Changes = Bench.Changes;
    }

    public Task DisposeAsync()
    {
        Bench.Dispose();
        return Task.CompletedTask;
    }
}

/// <summary>infra/deploy/azure-up.sh: from an empty subscription to the first deployment, in order, once.</summary>
[Collection(AzureUpRunOnce.Name)]
public sealed partial class AzureUpTests(AzureUpRun run)
{
    /// <summary>At which of its changes a run breaks off. AZURE_UP_BREAK=2 interrupts before each change that there is, in a minute.</summary>
    private static readonly int Break = int.Parse(Environment.GetEnvironmentVariable("AZURE_UP_BREAK") ?? "25", CultureInfo.InvariantCulture);

    [Fact]
    public void Up_makes_each_thing_after_what_it_needs()
    {
        string[] steps =
        [
            "az provider register --namespace Microsoft.ContainerService", "az group create", "az acr create", "az network vnet create",
            "--role Network Contributor", "az aks create", "az role assignment create --assignee-object-id "
                + "me-1", "kubelogin convert-kubeconfig", "az keyvault create", "--role Key Vault Secrets Officer",
            "az keyvault secret set --vault-name contoso-gpt --name database-admin-password", "--role Key Vault Secrets User",
            "--subject system:serviceaccount:gpt-functions:gpt-functions", "--delegations Microsoft.DBforPostgreSQL/flexibleServers",
            "az postgres flexible-server create", "flexible-server db create", "exec -i gpt-psql", "--name database-url ", "create namespace gpt-functions",
            "helm upgrade --install envoy-gateway ", "infra/k8s/cluster/gateway-class.yaml", "helm upgrade --install cert-manager ",
            "infra/k8s/cluster/issuer.yaml", "cluster-operator.yml", "infra/k8s/cluster/broker.yaml", "add_vhost production", "add_user gpt-production",
            "set_permissions --vhost production", "--name rabbitmq-url ", "apply -f -", "record-set a add-record", "--role AcrPush",
            "--subject repo:contoso/gpt:environment:production",
            "gh api --method PUT repos/contoso/gpt/environments/production", "gh variable set SECRETS_SOURCE --body keyvault", "docker build", "docker push",
            "deploy.sh --environment production --image contoso.azurecr.io/gpt-functions@sha256:3", "exec -i gpt-psql", "annotate namespace gpt-functions",
        ];
        var at = -1;
        foreach (var step in steps)
        {
            var next = Array.FindIndex(run.Changes, at + 1, call => call.Contains(step, StringComparison.Ordinal));
            Assert.True(next > at, $"{step} does not come after the steps before it:\n{string.Join('\n', run.Changes)}");
            at = next;
        }

        Assert.Contains("production is there: https://gpt.contoso.test/ready", run.Said, StringComparison.Ordinal);
        Assert.Equal("""{"reviewers":[{"type":"User","id":42},{"type":"User","id":42}]}""", run.Bench.Read("reviewers"));
        Assert.Equal("apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata:\n  name: gpt-functions", run.Bench.Read("applied").Trim());
        var overlay = run.Bench.Read("infra/k8s/overlays/production/azure.yaml");
        Assert.Contains(
            "  parameters:\n    keyvaultName: contoso-gpt\n    tenantId: tenant-1\n    clientID: "
                + "client-of-gpt-functions-production\n", overlay, StringComparison.Ordinal);
    }

    [Fact]
    public void Vault_gets_every_secret_and_nothing_else_shows_one()
    {
        var vault = run.Bench.Vault;
        Assert.Equal(
            [.. DeployBench.SecretKeys.Append("database-owner-url").Append("database-admin-password").Order(StringComparer.Ordinal)],
            vault.Keys.Order(StringComparer.Ordinal));
        Assert.Matches(
            "^postgresql://gpt_app:[0-9a-f]{48}@contoso-gpt.postgres.database.azure.com:5432/gptfunctions\\?sslmode=verify-full$", vault["database-url"]);
        Assert.Matches("^postgresql://gpt_owner:[0-9a-f]{48}@contoso-gpt.postgres", vault["database-owner-url"]);
        Assert.Equal($"amqp://gpt-production:{run.Bench.Read("broker")}@gpt.rabbitmq.svc:5672/production", vault["rabbitmq-url"]);
        Assert.Equal(vault["database-admin-password"], run.Bench.Read("admin").TrimEnd());
        foreach (var name in AzureBench.Asked)
        {
            Assert.Equal(run.Bench.Settings[name], vault[name.ToLowerInvariant().Replace('_', '-')]);
        }

        // psql: the administrator's password first, then roles.sql, then each new password twice, as it asks for them.
        var sql = run.Bench.Read("sql");
        Assert.StartsWith(vault["database-admin-password"] + "\n-- Three roles", sql, StringComparison.Ordinal);
        var app = PasswordOf(vault["database-url"]);
        Assert.Contains($"\\password gpt_app\n{app}\n{app}\n", sql, StringComparison.Ordinal);

        // The URL of the owner is another's, and the keys are such that the program takes them.
        Assert.NotEqual(PasswordOf(vault["database-owner-url"]), app);
        Assert.True(Convert.FromBase64String(vault["gpt-refresh-key"]).Length == 32);
        Assert.Contains("PRIVATE KEY", System.Text.Encoding.ASCII.GetString(Convert.FromBase64String(vault["gpt-ec-private-key"])), StringComparison.Ordinal);
        var secrets = vault.Where(secret => secret.Key != "gpt-client-id").Select(secret => secret.Value)
            .Append(app).Append(PasswordOf(vault["rabbitmq-url"]));
        Assert.All(
            secrets,
            secret => Assert.DoesNotContain(
                (string[])[run.Said, .. run.Bench.Calls], text => text.Contains(secret, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Second_run_changes_nothing()
    {
        var (code, said) = await run.Bench.RunAsync("--yes");
        Assert.True(code == 0, said);
        Assert.Equal(run.Changes, run.Bench.Changes);
        Assert.Equal(24, IsThere().Count(said));
    }

    /// <summary>The plan is what a run does, command by command; what only Azure knows has a name in it.</summary>
    [Fact]
    public void Plan_prints_every_command_of_a_run_and_calls_nothing()
    {
        Assert.Empty(run.CallsOfPlan);
        (string Value, string Name)[] names =
        [
            ("/id/of-gpt-cluster", "$CLUSTER_IDENTITY"), ("principal-of-gpt-cluster", "$CLUSTER_WHO"), ("/id/subnet/cluster", "$SUBNET"),
            ("/id/subnet/database-production", "$DATABASE_SUBNET"), ("/id/cluster", "$CLUSTER"), ("/id/vault", "$VAULT_ID"),
            ("/id/registry", "$REGISTRY_ID"), ("/id/zone", "$ZONE"), ("me-1", "$ME"), ("principal-of-gpt-functions-production", "$PODS"),
            ("principal-of-gpt-pipeline", "$PIPELINE"), ("https://issuer.test/", "$ISSUER"), ("20.1.2.3", "$ADDRESS"),
            ("client-of-gpt-pipeline", "$AZURE_CLIENT_ID"), ("tenant-1", "$AZURE_TENANT_ID"), ("subscription-1", "$AZURE_SUBSCRIPTION_ID"),
            ("0123456789abcdef0123456789abcdef01234567", "$COMMIT"), ("sha256:" + new string('3', 64), "$DIGEST"),
        ];
        var done = run.Changes.Select(call => names.Aggregate(call, (text, pair) => text.Replace(pair.Value, pair.Name, StringComparison.Ordinal)));
        var planned = run.Plan.Split('\n').Where(line => line.StartsWith("+  ", StringComparison.Ordinal)).Select(line => line[3..].Split(" | ")[^1])
            .Where(line => !line.StartsWith("sed ", StringComparison.Ordinal) && !line.StartsWith("rm ", StringComparison.Ordinal));
        Assert.Equal(
            planned.Select(line => Quotes().Replace(line, "")),
            done.Select(line => Quotes().Replace(line, "")
                .Replace("deploy.sh ", "env KUBE_CONTEXT=gpt SECRETS_SOURCE=keyvault infra/deploy/deploy.sh ", StringComparison.Ordinal)));
        Assert.Contains("?  az aks show --resource-group gpt --name gpt --query provisioningState --output tsv\n", run.Plan, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Interrupted_run_goes_on_and_makes_nothing_twice()
    {
        using var bench = new AzureBench();
        var (code, step, at) = (4, "", Break);
        while (code != 0)
        {
            bench.Settings["BREAK"] = at.ToString(CultureInfo.InvariantCulture);
            (code, var said) = await bench.RunAsync("--yes");
            Assert.True(code is 0 || (code is 4 && at < 200), said);
            if (code == 4)
            {
                Assert.Contains("Run the same command again: it goes on here.", said, StringComparison.Ordinal);
                // A step that is done as a whole is begun anew: then it is to break off later in it.
                var failed = said.Split("FAILED at '")[1].Split('\'')[0];
                (at, step) = (failed == step ? at + 1 : Break, failed);
            }
        }

        Assert.Empty(run.Changes.Except(bench.Changes, StringComparer.Ordinal));
        var created = bench.Changes.Where(
            call => call.StartsWith("az ", StringComparison.Ordinal) && call.Contains(" create ", StringComparison.Ordinal)).ToList();
        Assert.Equal(created.Distinct(StringComparer.Ordinal), created);
        Assert.Equal(run.Bench.Vault.Keys.Order(StringComparer.Ordinal), bench.Vault.Keys.Order(StringComparer.Ordinal));
        var app = PasswordOf(bench.Vault["database-url"]);
        Assert.EndsWith($"\\password gpt_app\n{app}\n{app}\n", bench.Read("sql").Split(bench.Vault["database-admin-password"])[^2], StringComparison.Ordinal);
        Assert.Equal(bench.Read("broker"), PasswordOf(bench.Vault["rabbitmq-url"]));
    }

    /// <summary>As its plan says, which is what a run does.</summary>
    [Fact]
    public async Task Staging_has_a_server_a_vault_a_virtual_host_and_a_namespace_of_its_own()
    {
        using var bench = new AzureBench("staging");
        var (code, plan) = await bench.RunAsync("--plan");
        Assert.True(code == 0, plan);
        string[] own =
        [
            "az keyvault create --resource-group gpt --name contoso-gpt-staging ",
            "az postgres flexible-server create --resource-group gpt --name contoso-gpt-staging ",
            "--address-prefixes 10.20.17.0/24", "--tier Burstable", "add_vhost staging", "add_user gpt-staging", "create namespace gpt-functions-staging",
            "--subject system:serviceaccount:gpt-functions-staging:gpt-functions", "--record-set-name gpt-staging ",
            "gh variable set AKS_CLUSTER --body gpt --repo contoso/gpt --env staging", "deploy.sh --environment staging ",
        ];
        Assert.All(own, text => Assert.Contains(text, plan, StringComparison.Ordinal));
    }

    private static string PasswordOf(string url) => url.Split("://")[1].Split('@')[0].Split(':')[1];

    [GeneratedRegex("['\"]", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Quotes();

    [GeneratedRegex(": is there$", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex IsThere();
}
