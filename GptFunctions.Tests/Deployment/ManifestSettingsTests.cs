using System.Text.Json.Nodes;
using GptFunctions.Gateway;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tests.Deployment;

/// <summary>The settings in the manifests are the program's: none unknown, none missing, all accepted by its own check in Production.</summary>
public sealed class ManifestSettingsTests
{
    /// <summary>Read by the host.</summary>
    private static readonly string[] Elsewhere = ["AzureFunctionsWebHost__hostid"];

    private static readonly string[] Offered =
    [
        "OPERATORS", "OPERATION_VIEWERS", "BRAND_NAME", "BRAND_COLOR", "BRAND_LOGO", "BRAND_PRIVACY_URL", "BRAND_TERMS_URL", "BRAND_SUPPORT_URL",
        "GPT_KEY_PUBLISH_SECONDS", "USAGE_WRITE_SECONDS",
    ];

    private static readonly string[] Secret = [.. SettingsTable.All.Where(row => row.Setting.IsSecret).Select(row => row.Setting.Name)];

    public static TheoryData<string, bool> Renderings => KustomizeRender.All;

    /// <summary>What a company takes in or changes stands in settings.env, each name once and with its comment, also where it is commented out.</summary>
    [Theory]
    [InlineData(KustomizeRender.Staging)]
    [InlineData(KustomizeRender.Production)]
    public void File_of_an_overlay_offers_what_a_company_sets_once(string environment)
    {
        var lines = File.ReadAllLines(Path.Combine(TestServices.RepositoryRoot, "infra", "k8s", "overlays", environment, "settings.env"));
        var names = lines.Where(line => line.Contains('=', StringComparison.Ordinal)).Select(line => line.TrimStart('#', ' ').Split('=')[0])
            .Where(name => name.All(letter => letter == '_' || char.IsAsciiLetterUpper(letter))).ToList();
        Assert.Equal(names.Distinct(StringComparer.Ordinal), names);
        Assert.Empty(names.Except(SettingsTable.Names, StringComparer.Ordinal));
        Assert.Empty(Offered.Except(names, StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Renderings))]
    public async Task Every_name_is_a_setting_of_the_program(string environment, bool plainSecrets)
    {
        var manifests = await KustomizeRender.LoadAsync(environment, plainSecrets);
        foreach (var container in Containers(manifests))
        {
            using var settings = RenderedSettings.Of(manifests, container, Broker);
            var names = settings.Environment.Keys.Where(name => !name.StartsWith("AzureFunctionsJobHost__functions__", StringComparison.Ordinal));
            Assert.Empty(names.Except([.. SettingsTable.Names, .. Elsewhere], StringComparer.Ordinal));
            Assert.Equal("Production", settings.Environment["AZURE_FUNCTIONS_ENVIRONMENT"]);
        }

        Assert.Empty(SecretsTests.Names.Select(name => name.Replace('-', '_').ToUpperInvariant()).Except(SettingsTable.Names, StringComparer.Ordinal));
        Assert.All(
            manifests.OfKind("ConfigMap"),
            config => Assert.Empty(Secret.Intersect(config.Map("data").Select(value => value.Key), StringComparer.Ordinal)));
    }

    [Theory]
    [MemberData(nameof(Renderings))]
    public async Task Production_accepts_the_settings_of_every_container(string environment, bool plainSecrets)
    {
        var manifests = await KustomizeRender.LoadAsync(environment, plainSecrets);
        foreach (var container in Containers(manifests))
        {
            using var settings = RenderedSettings.Of(manifests, container, Broker);
            Assert.Empty(Problems(settings));
        }
    }

    [Theory]
    [InlineData("gpt-client-id")]
    [InlineData("gpt-client-secret")]
    [InlineData("gpt-ec-private-key")]
    [InlineData("gpt-refresh-key")]
    [InlineData("clerk-oauth-client-secret")]
    [InlineData("database-url")]
    [InlineData("rabbitmq-url")]
    public async Task Without_a_secret_that_is_required_the_start_is_refused(string missing)
    {
        ArgumentNullException.ThrowIfNull(missing);
        var manifests = await KustomizeRender.LoadAsync(KustomizeRender.Production);
        using var settings = RenderedSettings.Of(manifests, manifests.Container("http"), []);
        File.Delete(Path.Combine(settings.SecretsPath, missing));
        Assert.StartsWith(missing.Replace('-', '_').ToUpperInvariant() + " is missing", Assert.Single(Problems(settings)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(KustomizeRender.Staging)]
    [InlineData(KustomizeRender.Production)]
    public async Task Gateway_routes_are_read_without_a_problem(string environment)
    {
        var manifests = await KustomizeRender.LoadAsync(environment);
        using var settings = RenderedSettings.Of(manifests, manifests.Container("http"), []);
        var config = GatewayConfig.Load(settings.Environment["GATEWAY_CONFIG"]!);
        Assert.Empty(config.Problems);
        Assert.NotEmpty(config.Routes);
        Assert.NotNull(config.OpenApiFile);

        // The way in waits longer for a silent upstream than the slowest route, and a pod that ends has time for it.
        var slowest = config.Routes.Max(route => route.Timeout).TotalSeconds;
        var ingress = (await KustomizeRender.LoadIngressAsync(environment)).Find("Ingress", "gpt-functions");
        var waits = (string[])[
            manifests.Find("ClientTrafficPolicy", "gpt-functions").Text("spec/timeout/http/streamIdleTimeout")!.TrimEnd('s'),
            ingress.Map("metadata/annotations")["nginx.ingress.kubernetes.io/proxy-read-timeout"],
        ];
        Assert.All(
            [.. waits.Select(seconds => long.Parse(seconds, System.Globalization.CultureInfo.InvariantCulture)),
                manifests.Pod("http").At("terminationGracePeriodSeconds")!.GetValue<long>()],
            seconds => Assert.InRange(slowest, 1, seconds));
    }

    [Fact]
    public async Task One_relay_a_pod_of_http_and_none_elsewhere()
    {
        var manifests = await KustomizeRender.LoadAsync(KustomizeRender.Production);
        foreach (var component in Manifests.Components)
        {
            using var settings = RenderedSettings.Of(manifests, manifests.Container(component), Broker);
            Assert.Equal(component == "http" ? null : "false", settings.Environment.GetValueOrDefault("OUTBOX_RELAY"));
            Assert.Equal(component == "http", settings.Environment.ContainsKey("GATEWAY_CONFIG"));
            Assert.Equal("X-Real-IP", settings.Environment["CLIENT_ADDRESS_HEADER"]); // see WayInTests
        }
    }

    /// <summary>What the program says at its start in Production, with everything right but these secrets.</summary>
    internal static async Task<IReadOnlyList<string>> ProblemsAsync(IEnumerable<KeyValuePair<string, string>> secrets)
    {
        var manifests = await KustomizeRender.LoadAsync(KustomizeRender.Production);
        using var settings = RenderedSettings.Of(manifests, manifests.Container("http"), []);
        foreach (var (name, value) in secrets)
        {
            await File.WriteAllTextAsync(Path.Combine(settings.SecretsPath, name.Replace('_', '-').ToLowerInvariant()), value);
        }

        return Problems(settings);
    }

    private static Dictionary<string, string> Broker => new(StringComparer.Ordinal) { ["rabbitmq-url"] = "amqps://app:password@broker:5671" };

    private static IEnumerable<JsonNode> Containers(Manifests manifests) =>
        Manifests.Components.SelectMany(component => new[] { manifests.Container(component), manifests.Setup(component) });

    /// <summary>What the program would say at its start.</summary>
    private static IReadOnlyList<string> Problems(RenderedSettings settings)
    {
        // Above everything the machine's environment says, but below the files, as in a pod.
        var all = SettingsTable.Names.ToDictionary(name => name, _ => (string?)null, StringComparer.Ordinal).With(settings.Environment);
        using var app = (IDisposable)StandaloneHost.Build(builder =>
        {
            builder.Configuration.AddInMemoryCollection(
                all.Select(setting => KeyValuePair.Create(setting.Key.Replace("__", ":", StringComparison.Ordinal), setting.Value)));
            Features.Add(builder);
        });
        var services = ((Microsoft.AspNetCore.Builder.WebApplication)app).Services;
        try
        {
            services.GetRequiredService<IStartupValidator>().Validate();
            services.GetRequiredService<OpenApiDocument>(); // routes against scopes: at the start, too
            return [];
        }
        catch (Exception error) when (Startup.Problems(error) is { Count: > 0 } problems)
        {
            return problems;
        }
    }
}
