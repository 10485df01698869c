using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Deployment;

/// <summary>Secrets reach the pods as files, the database owner's only the init container, and none stands in a manifest.</summary>
public sealed partial class SecretsTests
{
    internal static readonly string[] Names =
        [
            "gpt-client-id", "gpt-client-secret", "gpt-ec-private-key", "gpt-refresh-key", "clerk-webhook-secret", "clerk-oauth-client-secret",
            "stripe-webhook-secret", "database-url", "rabbitmq-url",
        ];

    public static TheoryData<string, bool> Renderings => KustomizeRender.All;

    public static TheoryData<string> Environments => new() { KustomizeRender.Staging, KustomizeRender.Production };

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Key_vault_gives_nine_files_and_the_owner_to_setup_alone(string environment)
    {
        var manifests = await KustomizeRender.LoadAsync(environment);
        Assert.Equal(Names.Select(name => (name, name)), FilesOf(manifests, "gpt-secrets"));
        Assert.Equal(Names.Select(name => name == "database-url" ? ("database-owner-url", name) : (name, name)), FilesOf(manifests, "gpt-setup"));
        foreach (var component in Manifests.Components)
        {
            Assert.Equal("gpt-secrets", VaultClass(Volume(manifests, component, manifests.Container(component))));
            Assert.Equal("gpt-setup", VaultClass(Volume(manifests, component, manifests.Setup(component))));
        }

        var synced = manifests.OfKind("SecretProviderClass").SelectMany(item => item.List("spec/secretObjects")).Single();
        Assert.Equal("""{"data":[{"key":"rabbitmq-url","objectName":"rabbitmq-url"}],"secretName":"gpt-rabbitmq","type":"Opaque"}""", synced.ToJsonString());
        Assert.Equal(("gpt-rabbitmq", "rabbitmq-url"), SecretOf(manifests, "RABBITMQ_URL"));

        // One vault, one tenant, one identity, and the ServiceAccount is that identity.
        var azure = manifests.OfKind("SecretProviderClass")
            .Select(item => (item.Text("spec/parameters/keyvaultName"), item.Text("spec/parameters/tenantId"), item.Text("spec/parameters/clientID")))
            .Distinct().Single();
        Assert.Equal(azure.Item3, manifests.Find("ServiceAccount", "gpt-functions").Map("metadata/annotations")["azure.workload.identity/client-id"]);
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Plain_secrets_give_the_same_files(string environment)
    {
        var manifests = await KustomizeRender.LoadAsync(environment, plainSecrets: true);
        Assert.Empty(manifests.OfKind("SecretProviderClass"));
        Assert.DoesNotContain("csi:", manifests.Text, StringComparison.Ordinal);
        Assert.Null(manifests.Find("ServiceAccount", "gpt-functions").At("metadata/annotations")); // nothing of Azure is left to fill in
        foreach (var component in Manifests.Components)
        {
            Assert.Equal("gpt-secrets", Volume(manifests, component, manifests.Container(component)).Text("secret/secretName"));
            var sources = Volume(manifests, component, manifests.Setup(component)).List("projected/sources");
            Assert.Equal(
                Names.Where(name => name != "database-url").Select(name => ("gpt-secrets", name, name))
                    .Append(("gpt-setup", "database-owner-url", "database-url")),
                sources.SelectMany(Items));
        }

        Assert.Equal(("gpt-secrets", "rabbitmq-url"), SecretOf(manifests, "RABBITMQ_URL"));

        static IEnumerable<(string, string, string)> Items(JsonNode source) =>
            source.List("secret/items").Select(item => (source.Text("secret/name")!, item.Text("key")!, item.Text("path")!));
    }

    [Theory]
    [MemberData(nameof(Renderings))]
    public async Task Containers_see_no_volume_of_secrets_but_their_own(string environment, bool plainSecrets)
    {
        var manifests = await KustomizeRender.LoadAsync(environment, plainSecrets);
        foreach (var component in Manifests.Components)
        {
            Assert.DoesNotContain(manifests.Container(component).List("volumeMounts"), mount => mount.Text("name") == "setup-secrets");
            Assert.DoesNotContain(manifests.Setup(component).List("volumeMounts"), mount => mount.Text("name") == "secrets");
            var fromEnvironment = manifests.Container(component).List("env").Concat(manifests.Setup(component).List("env"))
                .Where(variable => variable.At("valueFrom") is not null);
            // For the trigger, which is the host's.
            Assert.Equal(component == "audit" ? ["RABBITMQ_URL"] : [], fromEnvironment.Select(variable => variable.Text("name")!));
        }
    }

    [Theory]
    [MemberData(nameof(Renderings))]
    public async Task Manifests_hold_no_secret(string environment, bool plainSecrets)
    {
        var manifests = await KustomizeRender.LoadAsync(environment, plainSecrets);
        Assert.Empty(manifests.OfKind("Secret"));
        Assert.DoesNotMatch(LooksSecret(), manifests.Text);
        var settings = manifests.FindConfig("gpt-settings").Map("data");
        Assert.DoesNotContain(settings.Keys, name => Names.Contains(name.Replace('_', '-').ToLowerInvariant()));
        Assert.DoesNotContain(
            settings.Keys.Except(["GPT_KEY_PUBLISH_SECONDS"], StringComparer.Ordinal),
            name => name.Contains("SECRET", StringComparison.Ordinal) || name.Contains("KEY", StringComparison.Ordinal));
    }

    /// <summary>The file of a CA of one's own, where the component's comment says that the URLs name it: for setup, too, and nothing else changes.</summary>
    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Component_brings_the_file_of_the_databases_ca_to_every_container(string environment)
    {
        var (plain, with) = (await KustomizeRender.LoadAsync(environment), await KustomizeRender.LoadDatabaseCaAsync(environment));
        Assert.Equal(plain.Objects.Count, with.Objects.Count);
        foreach (var component in Manifests.Components)
        {
            Assert.Equal("gpt-database-ca", Assert.Single(Added(pod => pod.Pod(component).List("volumes"))).Text("configMap/name"));
            foreach (var mounts in (Func<Manifests, IEnumerable<JsonNode>>[])[
                pod => pod.Container(component).List("volumeMounts"), pod => pod.Setup(component).List("volumeMounts")])
            {
                Assert.Equal(
                    """{"mountPath":"/etc/gpt-database","name":"database-ca","readOnly":true}""", Assert.Single(Added(mounts)).ToJsonString());
            }
        }

        IEnumerable<JsonNode> Added(Func<Manifests, IEnumerable<JsonNode>> list)
        {
            var before = list(plain).Select(item => item.ToJsonString()).ToHashSet(StringComparer.Ordinal);
            return list(with).Where(item => !before.Contains(item.ToJsonString()));
        }
    }

    /// <summary>
    /// The Rotate table of the runbook, the objects of each overlay (those that are commented out until somebody has them, too), the lists of the scripts,
    /// and the program's settings name the same secrets.
    /// </summary>
    [Theory]
    [MemberData(nameof(Environments))]
    public void Every_secret_of_the_rotate_table_has_its_object_and_every_object_its_row(string environment)
    {
        var runbook = File.ReadAllText(Path.Combine(TestServices.RepositoryRoot, "infra", "runbook.md"));
        var rows = runbook.Split("\n## Rotate\n")[1].Split("\n### ")[0].Split('\n').Where(line => line.StartsWith("| `", StringComparison.Ordinal))
            .SelectMany(line => Quoted().Matches(line.Split(" | ")[0]).Select(match => match.Groups["name"].Value)).Order(StringComparer.Ordinal).ToList();

        var overlay = File.ReadAllText(Path.Combine(TestServices.RepositoryRoot, "infra", "k8s", "overlays", environment, "secrets.yaml"));
        var objects = VaultObject().Matches(overlay).Select(match => (match.Groups["name"].Value, match.Groups["isOff"].Success)).ToList();
        Assert.Equal(Names, objects.Where(item => !item.Success).Select(item => item.Value));
        Assert.Equal(rows, objects.Select(item => item.Value).Append("database-owner-url").Order(StringComparer.Ordinal)); // setup's alone

        var library = File.ReadAllText(Path.Combine(TestServices.RepositoryRoot, "infra", "deploy", "lib.sh"));
        Assert.Equal(
            rows,
            KeyList().Matches(library).SelectMany(match => match.Groups["keys"].Value.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
                .Order(StringComparer.Ordinal));

        Assert.Empty(
            SettingsTable.All.Where(row => row.Setting.IsSecret).Select(row => row.Setting.Name)
                .Except(["CLERK_WEBHOOK_SIGNING_SECRET"], StringComparer.Ordinal) // another name of CLERK_WEBHOOK_SECRET
                .Except(rows.Select(key => key.Replace('-', '_').ToUpperInvariant()), StringComparer.Ordinal));
    }

    /// <summary>One that is taken in is an object like the others.</summary>
    [Fact]
    public void Object_that_is_commented_out_is_one_without_the_mark()
    {
        var overlay = File.ReadAllText(Path.Combine(TestServices.RepositoryRoot, "infra", "k8s", "overlays", "production", "secrets.yaml"));
        var all = Yaml.Parse(overlay.Replace("        # - ", "        - ", StringComparison.Ordinal)).Single().Text("spec/parameters/objects")!;
        var names = Yaml.Parse(all).Single().List("array").Select(text => Yaml.Parse(text.ToString()).Single().Text("objectName")!).ToList();
        Assert.Contains("service-key", names);
        Assert.Equal(VaultObject().Count(overlay), names.Count);
    }

    [Fact]
    public void What_looks_secret_is_recognised()
    {
        string[] secrets = [SigningKey.Generate(), Secret.New(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "amqps://app:word@broker:5671"];
        Assert.All(secrets, secret => Assert.Matches(LooksSecret(), "value: " + secret));
    }

    [GeneratedRegex("`(?<name>[a-z-]+)`", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Quoted();

    [GeneratedRegex(
        @"^        (?<isOff># )?- '\{ objectName: (?<name>[a-z-]+), objectType: secret \}'$", RegexOptions.Multiline | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex VaultObject();

    [GeneratedRegex(@"^(?:secret|setup|optional)_keys=\((?<keys>[^)]+)\)$", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex KeyList();

    /// <summary>PEM, a webhook's secret, a URL with a password, or 32 characters and more that mean nothing (zero ids are no secret).</summary>
    [GeneratedRegex(
        @"-----BEGIN|whsec_|[a-z]://[^/\s""]*:[^/\s""]*@|(?<![\w/.-])(?!AzureFunctions)(?=[A-Za-z+/_-]*\d)(?=[\d+/a-z_-]*[A-Z])[A-Za-z0-9+/_-]{32,}",
        RegexOptions.None, matchTimeoutMilliseconds: 5000)]
    private static partial Regex LooksSecret();

    private static IEnumerable<(string, string)> FilesOf(Manifests manifests, string name)
    {
        var objects = Yaml.Parse(manifests.Find("SecretProviderClass", name).Text("spec/parameters/objects")!).Single();
        foreach (var item in objects.List("array").Select(text => Yaml.Parse(text.ToString()).Single()))
        {
            Assert.Equal("secret", item.Text("objectType"));
            yield return (item.Text("objectName")!, item.Text("objectAlias") ?? item.Text("objectName")!);
        }
    }

    /// <summary>The volume at /mnt/secrets.</summary>
    private static JsonNode Volume(Manifests manifests, string component, JsonNode container)
    {
        var mount = container.List("volumeMounts").Single(item => item.Text("mountPath") == "/mnt/secrets");
        return manifests.Pod(component).List("volumes").Single(volume => volume.Text("name") == mount.Text("name"));
    }

    private static string? VaultClass(JsonNode volume) =>
        volume.Text("csi/driver") == "secrets-store.csi.k8s.io" ? volume.Text("csi/volumeAttributes/secretProviderClass") : null;

    private static (string?, string?) SecretOf(Manifests manifests, string variable)
    {
        var reference = manifests.Container("audit").List("env").Single(item => item.Text("name") == variable).At("valueFrom/secretKeyRef");
        return (reference.Text("name"), reference.Text("key"));
    }
}
