using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>Who may talk to whom: nothing but what is listed.</summary>
public sealed class NetworkTests
{
    private const string Namespace = "kubernetes.io/metadata.name";

    public static TheoryData<string, bool> Renderings => KustomizeRender.All;

    [Theory]
    [MemberData(nameof(Renderings))]
    public async Task Everything_is_denied_first(string environment, bool plainSecrets)
    {
        var policies = (await KustomizeRender.LoadAsync(environment, plainSecrets)).OfKind("NetworkPolicy");
        var deny = policies.Single(policy => policy.Text("metadata/name") == "default-deny").At("spec")!;
        Assert.Equal("""{"podSelector":{},"policyTypes":["Ingress","Egress"]}""", deny.ToJsonString());
        Assert.Equal(
            ["default-deny", "from-gateway", "from-gateway-to-acme", "to-callbacks", "to-collector", "to-servers", "to-upstreams"],
            policies.Select(policy => policy.Text("metadata/name")!).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("", "envoy-gateway-system")]
    [InlineData("-ingress", "ingress-nginx")]
    public async Task Only_the_proxies_of_the_way_in_come_in_and_only_to_http(string component, string proxies)
    {
        var manifests = await KustomizeRender.LoadNamedAsync(KustomizeRender.Production + component);
        (string Selector, string Port)[] expected =
        [
            (manifests.Deployment("http").At("spec/selector")!.ToJsonString(), "8080"),
            ("""{"matchLabels":{"acme.cert-manager.io/http01-solver":"true"}}""", "8089"), // cert-manager's, while it fetches a certificate
        ];
        var policies = manifests.OfKind("NetworkPolicy").Where(item => item.At("spec/ingress") is not null).Select(item => item.At("spec")!).ToList();
        Assert.Equal(
            expected,
            policies.Select(policy => (policy.At("podSelector")!.ToJsonString(), policy.List("ingress").Single().List("ports").Single().Text("port")!))
                .OrderBy(policy => policy.Item2, StringComparer.Ordinal));
        Assert.All(
            policies,
            policy => Assert.Equal(proxies, policy.List("ingress").Single().List("from").Single().Map("namespaceSelector/matchLabels")[Namespace]));
    }

    [Fact]
    public async Task Out_go_names_database_and_broker_and_from_http_443_and_the_business_apis()
    {
        var manifests = await KustomizeRender.LoadAsync(KustomizeRender.Production);
        var servers = manifests.Find("NetworkPolicy", "to-servers").At("spec")!;
        Assert.Equal("""{"app.kubernetes.io/name":"gpt-functions"}""", servers.At("podSelector/matchLabels")!.ToJsonString());
        Assert.Equal(["UDP 53, TCP 53 to kube-system", "TCP 5432, TCP 6432, TCP 5671, TCP 5672"], servers.List("egress").Select(Words));

        var upstreams = manifests.Find("NetworkPolicy", "to-upstreams").At("spec")!;
        Assert.Equal(manifests.Deployment("http").At("spec/selector")!.ToJsonString(), upstreams.At("podSelector")!.ToJsonString());
        Assert.Equal("TCP 443", Words(upstreams.List("egress")[0]));
        Assert.Equal("true", upstreams.List("egress")[1].List("to").Single().Map("namespaceSelector/matchLabels")["gpt-functions/upstream"]);
        Assert.Equal(2, upstreams.List("egress").Count);

        var collector = manifests.Find("NetworkPolicy", "to-collector").At("spec")!;
        Assert.Equal(servers.At("podSelector")!.ToJsonString(), collector.At("podSelector")!.ToJsonString());
        var way = collector.List("egress").Single();
        Assert.Equal("true", way.List("to").Single().Map("namespaceSelector/matchLabels")["gpt-functions/collector"]);
        Assert.Equal([4317L, 4318L], way.List("ports").Select(port => (long)port!["port"]!));

        var callbacks = manifests.Find("NetworkPolicy", "to-callbacks").At("spec")!;
        Assert.Equal(manifests.Deployment("timers").At("spec/selector")!.ToJsonString(), callbacks.At("podSelector")!.ToJsonString());
        Assert.Equal(upstreams.At("egress")!.ToJsonString(), callbacks.At("egress")!.ToJsonString());
    }

    [Fact]
    public async Task Sample_for_a_business_api_lets_in_the_gateway_of_production_alone()
    {
        var manifests = await KustomizeRender.LoadAsync(KustomizeRender.Production);
        var sample = Yaml.Load(Path.Combine(TestServices.RepositoryRoot, "infra", "k8s", "samples", "business-api.yaml")).Single();
        Assert.Equal(["Ingress"], sample.List("spec/policyTypes").Select(type => type.ToString()));
        var from = sample.List("spec/ingress").Single().List("from").Single();
        Assert.Equal(manifests.OfKind("Namespace").Single().Text("metadata/name"), from.Map("namespaceSelector/matchLabels")[Namespace]);
        Assert.Equal(
            manifests.Deployment("http").Map("spec/template/metadata/labels").OrderBy(label => label.Key),
            from.Map("podSelector/matchLabels").OrderBy(label => label.Key));
    }

    private static string Words(JsonNode rule)
    {
        var ports = string.Join(", ", rule.List("ports").Select(port => $"{port.Text("protocol")} {port.Text("port")}"));
        return rule.List("to") is [var to] ? $"{ports} to {to.Map("namespaceSelector/matchLabels")[Namespace]}" : ports;
    }
}
