using System.Globalization;
using System.Text.Json.Nodes;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Configuration;

namespace GptFunctions.Tests.Deployment;

/// <summary>Which functions run where: each exactly where it belongs, and every one that answers HTTP can be reached.</summary>
public sealed class AllowListTests
{
    private const string Setting = "AzureFunctionsJobHost__functions__";
    private static readonly string[] Probes = ["Health", "Healthz", "Ready"];

    private static readonly IReadOnlyList<FunctionDescriptor> Functions =
        [.. FunctionCatalog.Find(
            [typeof(FunctionCatalog).Assembly],
            new ConfigurationBuilder().Build()).Where(function => !function.Name.StartsWith("Dev", StringComparison.Ordinal))];

    public static TheoryData<string, bool> Renderings => KustomizeRender.All;

    [Theory]
    [MemberData(nameof(Renderings))]
    public async Task Allow_lists_name_every_function_where_it_belongs(string environment, bool plainSecrets)
    {
        var manifests = await KustomizeRender.LoadAsync(environment, plainSecrets);
        Assert.Equal(NamesOf<HttpTriggerAttribute>(), AllowList(manifests.Container("http")));
        Assert.Equal([.. NamesOf<RabbitMQTriggerAttribute>(), .. Probes], AllowList(manifests.Container("audit")));
        Assert.Equal([.. NamesOf<TimerTriggerAttribute>(), .. Probes], AllowList(manifests.Container("timers")));
        Assert.Equal(
            Functions.Count,
            NamesOf<HttpTriggerAttribute>().Count + NamesOf<RabbitMQTriggerAttribute>().Count + NamesOf<TimerTriggerAttribute>().Count);
    }

    [Theory]
    [MemberData(nameof(Renderings))]
    public async Task Development_functions_run_nowhere(string environment, bool plainSecrets)
    {
        var manifests = await KustomizeRender.LoadAsync(environment, plainSecrets);
        Assert.All(
            Manifests.Components,
            component => Assert.DoesNotContain(AllowList(manifests.Container(component)), name => name.StartsWith("Dev", StringComparison.Ordinal)));
        Assert.DoesNotContain("Development", manifests.Text, StringComparison.Ordinal);
    }

    /// <summary>The same paths by the Gateway and, with the component, by the Ingress.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("-ingress")]
    public async Task Way_in_leads_to_every_http_function_and_to_nothing_of_the_host(string component)
    {
        var manifests = await KustomizeRender.LoadNamedAsync(KustomizeRender.Production + component);
        var (paths, apart) = (Paths(manifests, "gpt-functions"), Paths(manifests, "gpt-functions-operations"));
        // The front page alone, and not what is below it: that would be everything.
        Assert.Equal("/", Assert.Single(paths, path => path.Type == "Exact").Value);
        var open = paths.Where(path => path.Type == "Prefix").Select(path => path.Value).ToList();
        Assert.Equal(paths.Count, open.Count + 1);
        Assert.Equal(("Prefix", "/operations"), Assert.Single(apart));
        foreach (var function in Functions.Where(function => function.Trigger is HttpTriggerAttribute))
        {
            var route = "/" + ((HttpTriggerAttribute)function.Trigger).Route!.Split("/{")[0];
            Assert.True(
                route.StartsWith("/{", StringComparison.Ordinal) || LeadsTo("/operations", route) || open.Exists(path => LeadsTo(path, route)),
                $"The way in (infra/k8s/base/gateway.yaml, infra/k8s/components/ingress/ingress.yaml) has no path for {route} of the function "
                    + $"{function.Name}.");
        }

        Assert.All(
            ["/operations", "/operations/people", "/admin", "/admin/host/status", "/runtime", "/runtime/webhooks", "/dev/sign-in"],
            path => Assert.DoesNotContain(open, prefix => LeadsTo(prefix, path)));
    }

    [Fact]
    public async Task Gateway_and_Ingress_lead_to_the_same_paths()
    {
        var (gateway, ingress) =
            (await KustomizeRender.LoadAsync(KustomizeRender.Production), await KustomizeRender.LoadIngressAsync(KustomizeRender.Production));
        Assert.All(
            ["gpt-functions", "gpt-functions-operations"],
            name => Assert.Equal(Paths(gateway, name), Paths(ingress, name)));
    }

    /// <summary>Of a HTTPRoute, or of an Ingress where that is what there is; each leads to our Service.</summary>
    private static List<(string Type, string Value)> Paths(Manifests manifests, string name)
    {
        if (manifests.OfKind("HTTPRoute") is [])
        {
            var paths = manifests.Find("Ingress", name).List("spec/rules/0/http/paths");
            Assert.All(
                paths,
                path => Assert.Equal(("gpt-functions-http", "http"), (path.Text("backend/service/name"), path.Text("backend/service/port/name"))));
            return [.. paths.Select(path => (path.Text("pathType")!, path.Text("path")!))];
        }

        var rule = manifests.Find("HTTPRoute", name).List("spec/rules").Single();
        var backend = rule.List("backendRefs").Single();
        var port = manifests.Find("Service", "gpt-functions-http").Text("spec/ports/0/port");
        Assert.Equal(("gpt-functions-http", port), (backend.Text("name"), backend.Text("port")));
        return [
            .. rule.List("matches").Select(
                match => (match.Text("path/type")!.Replace("PathPrefix", "Prefix", StringComparison.Ordinal), match.Text("path/value")!))];
    }

    private static bool LeadsTo(string prefix, string path) => path == prefix || path.StartsWith(prefix + "/", StringComparison.Ordinal);

    private static List<string> NamesOf<TTrigger>() =>
        [.. Functions.Where(function => function.Trigger is TTrigger).Select(function => function.Name).Order(StringComparer.Ordinal)];

    /// <summary>The host reads the list by its numbers, so they have no gap.</summary>
    private static List<string> AllowList(JsonNode container)
    {
        var entries = container.List("env").Where(variable => variable.Text("name")!.StartsWith(Setting, StringComparison.Ordinal))
            .ToDictionary(variable => variable.Text("name")!, variable => variable.Text("value")!, StringComparer.Ordinal);
        return [.. Enumerable.Range(0, entries.Count).Select(index => entries[Setting + index.ToString(CultureInfo.InvariantCulture)])];
    }
}
