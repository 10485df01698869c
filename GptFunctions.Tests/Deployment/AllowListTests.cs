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

    [Fact]
    public async Task Ingress_leads_to_every_http_function_and_to_nothing_of_the_host()
    {
        var manifests = await KustomizeRender.LoadAsync(KustomizeRender.Production);
        var paths = manifests.Find("Ingress", "gpt-functions").List("spec/rules/0/http/paths");
        var apart = manifests.Find("Ingress", "gpt-functions-operations").List("spec/rules/0/http/paths");
        Assert.All(
            [.. paths, .. apart],
            path => Assert.Equal(
                ("gpt-functions-http", "http"), (path.Text("backend/service/name"), path.Text("backend/service/port/name"))));
        // The front page alone, and not what is below it: that would be everything.
        Assert.Equal("/", Assert.Single(paths, path => path.Text("pathType") == "Exact").Text("path"));
        var open = paths.Where(path => path.Text("pathType") == "Prefix").Select(path => path.Text("path")!).ToList();
        Assert.Equal("/operations", Assert.Single(apart).Text("path"));
        foreach (var function in Functions.Where(function => function.Trigger is HttpTriggerAttribute))
        {
            var route = "/" + ((HttpTriggerAttribute)function.Trigger).Route!.Split("/{")[0];
            Assert.True(
                route.StartsWith("/{", StringComparison.Ordinal) || LeadsTo("/operations", route) || open.Exists(path => LeadsTo(path, route)),
                $"The ingress (infra/k8s/base/ingress.yaml) has no path for {route} of the function {function.Name}.");
        }

        Assert.All(
            ["/operations", "/operations/people", "/admin", "/admin/host/status", "/runtime", "/runtime/webhooks", "/dev/sign-in"],
            path => Assert.DoesNotContain(open, prefix => LeadsTo(prefix, path)));
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
