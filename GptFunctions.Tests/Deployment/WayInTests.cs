using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>What stands between callers and the http pods: a Gateway with its routes, or, with the component, an Ingress.</summary>
public sealed class WayInTests
{
    private const string AllowList = "nginx.ingress.kubernetes.io/whitelist-source-range";

    public static TheoryData<string> Environments => [KustomizeRender.Staging, KustomizeRender.Production];

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Gateway_answers_for_the_public_base_url_with_TLS_and_leads_from_http_to_it(string environment)
    {
        var manifests = await KustomizeRender.LoadAsync(environment);
        var host = HostOf(manifests);
        Assert.Empty(manifests.OfKind("Ingress"));
        var gateway = Assert.Single(manifests.OfKind("Gateway"));
        Assert.Equal("letsencrypt", gateway.Map("metadata/annotations")["cert-manager.io/cluster-issuer"]);
        Assert.Equal(
            [("http", "HTTP", "80"), ("https", "HTTPS", "443")],
            gateway.List("spec/listeners").Select(listener => (listener.Text("name")!, listener.Text("protocol")!, listener.Text("port")!)));
        Assert.All(
            gateway.List("spec/listeners"),
            listener => Assert.Equal((host, "Same"), (listener.Text("hostname"), listener.Text("allowedRoutes/namespaces/from"))));
        Assert.Equal(
            ("Terminate", "gpt-functions-tls"), (gateway.Text("spec/listeners/1/tls/mode"), gateway.Text("spec/listeners/1/tls/certificateRefs/0/name")));

        var routes = manifests.OfKind("HTTPRoute");
        Assert.Equal(
            ["gpt-functions https", "gpt-functions-operations https", "gpt-functions-redirect http"],
            routes.Select(route => $"{route.Text("metadata/name")} {route.List("spec/parentRefs").Single().Text("sectionName")}"));
        Assert.All(
            routes,
            route => Assert.Equal(("gpt-functions", host), (route.Text("spec/parentRefs/0/name"), route.List("spec/hostnames").Single().ToString())));
        var redirect = manifests.Find("HTTPRoute", "gpt-functions-redirect").List("spec/rules").Single();
        Assert.Null(redirect.At("backendRefs")); // nothing is answered in the clear
        Assert.Equal(
            """[{"requestRedirect":{"scheme":"https","statusCode":301},"type":"RequestRedirect"}]""", redirect.At("filters")!.ToJsonString());
    }

    /// <summary>Over whatever the caller wrote; and a caller's invocation id, which the Functions host believes, never gets there.</summary>
    [Theory]
    [InlineData("gpt-functions")]
    [InlineData("gpt-functions-operations")]
    public async Task Route_says_who_calls_and_takes_away_what_callers_may_not_say(string name)
    {
        var manifests = await KustomizeRender.LoadAsync(KustomizeRender.Production);
        var rule = manifests.Find("HTTPRoute", name).List("spec/rules").Single();
        var filter = rule.List("filters").Single().At("requestHeaderModifier")!;
        var header = manifests.FindConfig("gpt-settings").Map("data")["CLIENT_ADDRESS_HEADER"];
        Assert.Equal((header, "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"), (filter.Text("set/0/name"), filter.Text("set/0/value")));
        Assert.Equal("""["x-ms-invocation-id"]""", filter.At("remove")!.ToJsonString());
        Assert.Equal("0s", rule.Text("timeouts/request")); // answers stream for as long as they stream
        var policy = Assert.Single(manifests.OfKind("ClientTrafficPolicy"));
        Assert.Null(policy.At("spec/clientIPDetection")); // X-Forwarded-For is the caller's to write, while no proxy of ours is in front
        Assert.Equal(("Gateway", "gpt-functions"), (policy.Text("spec/targetRefs/0/kind"), policy.Text("spec/targetRefs/0/name")));
    }

    /// <summary>For a list of addresses, which the overlay names: nobody, until it does.</summary>
    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Operations_have_a_route_of_their_own_which_nobody_from_outside_may_go(string environment)
    {
        var manifests = await KustomizeRender.LoadAsync(environment);
        var policy = Assert.Single(manifests.OfKind("SecurityPolicy"));
        var target = policy.List("spec/targetRefs").Single();
        Assert.Equal(("HTTPRoute", "gpt-functions-operations"), (target.Text("kind"), target.Text("name")));
        Assert.Equal(manifests.Find("HTTPRoute", target.Text("name")!).Text("metadata/namespace"), policy.Text("metadata/namespace"));
        Assert.Equal("Deny", policy.Text("spec/authorization/defaultAction"));
        var rule = policy.List("spec/authorization/rules").Single();
        Assert.Equal(("Allow", """["127.0.0.1/32"]"""), (rule.Text("action"), rule.At("principal/clientCIDRs")!.ToJsonString()));

        var overlay = Yaml.Load(Path.Combine(TestServices.RepositoryRoot, "infra", "k8s", "overlays", environment, "operations.yaml")).Single();
        Assert.True(JsonNode.DeepEquals(overlay.At("spec/authorization"), policy.At("spec/authorization"))); // what a company changes counts
    }

    /// <summary>The class and the issuer that the Gateway names are those of infra/k8s/cluster.</summary>
    [Fact]
    public async Task Cluster_has_what_the_Gateway_names()
    {
        var gateway = (await KustomizeRender.LoadAsync(KustomizeRender.Production)).Find("Gateway", "gpt-functions");
        var directory = Path.Combine(TestServices.RepositoryRoot, "infra", "k8s", "cluster");
        var proxies = Yaml.Load(Path.Combine(directory, "gateway-class.yaml"));
        Assert.Equal(gateway.Text("spec/gatewayClassName"), proxies[1].Text("metadata/name"));
        Assert.Equal(
            (proxies[0].Text("kind"), proxies[0].Text("metadata/name"), proxies[0].Text("metadata/namespace")),
            (proxies[1].Text("spec/parametersRef/kind"), proxies[1].Text("spec/parametersRef/name"), proxies[1].Text("spec/parametersRef/namespace")));
        Assert.Equal("Local", proxies[0].Text("spec/provider/kubernetes/envoyService/externalTrafficPolicy"));
        var issuer = Yaml.Load(Path.Combine(directory, "issuer.yaml")).Single();
        Assert.Equal(gateway.Map("metadata/annotations")["cert-manager.io/cluster-issuer"], issuer.Text("metadata/name"));
        var asked = issuer.List("spec/acme/solvers").Single().List("http01/gatewayHTTPRoute/parentRefs").Single();
        Assert.Equal((gateway.Text("metadata/name"), gateway.Text("spec/listeners/0/name")), (asked.Text("name"), asked.Text("sectionName")));
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Ingress_in_its_place_answers_for_the_same_host_with_TLS_and_limits_bodies(string environment)
    {
        var manifests = await KustomizeRender.LoadIngressAsync(environment);
        foreach (var kind in (string[])["Gateway", "HTTPRoute", "ClientTrafficPolicy", "SecurityPolicy"])
        {
            Assert.Empty(manifests.OfKind(kind));
        }

        var ingress = manifests.Find("Ingress", "gpt-functions");
        Assert.Equal(HostOf(manifests), ingress.List("spec/rules").Single().Text("host"));
        Assert.Equal(HostOf(manifests), ingress.List("spec/tls").Single().List("hosts").Single().ToString());
        Assert.NotNull(ingress.Text("spec/tls/0/secretName"));
        var annotations = ingress.Map("metadata/annotations");
        Assert.Equal(
            ("8m", "true"),
            (annotations["nginx.ingress.kubernetes.io/proxy-body-size"], annotations["nginx.ingress.kubernetes.io/force-ssl-redirect"]));
        Assert.DoesNotContain(annotations.Keys, key => key.Contains("snippet", StringComparison.Ordinal)); // refused by the controller's default
        var service = manifests.Find("Service", "gpt-functions-http");
        Assert.Equal(manifests.Deployment("http").At("spec/selector/matchLabels")!.ToJsonString(), service.At("spec/selector")!.ToJsonString());
        Assert.Equal(("http", "http"), (service.Text("spec/ports/0/name"), service.Text("spec/ports/0/targetPort")));

        var apart = manifests.Find("Ingress", "gpt-functions-operations");
        Assert.Equal("127.0.0.1/32", apart.Map("metadata/annotations")[AllowList]);
        Assert.False(annotations.ContainsKey(AllowList));
        Assert.Equal(ingress.At("spec/tls")!.ToJsonString(), apart.At("spec/tls")!.ToJsonString()); // one host, one certificate, asked for once
        Assert.Equal(ingress.Text("spec/rules/0/host"), apart.Text("spec/rules/0/host"));
        Assert.False(apart.Map("metadata/annotations").ContainsKey("cert-manager.io/cluster-issuer"));
        Assert.Equal(2, manifests.OfKind("Ingress").Count);
    }

    /// <summary>Everything else is the same, and where everything else is.</summary>
    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Ingress_changes_nothing_else(string environment)
    {
        string[] ways = ["Gateway", "HTTPRoute", "ClientTrafficPolicy", "SecurityPolicy", "Ingress"];
        var (gateway, ingress) = (await KustomizeRender.LoadAsync(environment), await KustomizeRender.LoadIngressAsync(environment));
        Assert.Equal(Others(gateway), Others(ingress));
        var place = gateway.OfKind("Namespace").Single().Text("metadata/name");
        Assert.All(
            [.. gateway.Objects, .. ingress.Objects],
            item => Assert.Equal(item.Text("kind") == "Namespace" ? null : place, item.Text("metadata/namespace")));

        IEnumerable<string> Others(Manifests manifests) => manifests.Objects
            .Where(item => !ways.Contains(item.Text("kind")) && !item.Text("metadata/name")!.StartsWith("from-", StringComparison.Ordinal))
            .Select(item => item.ToJsonString());
    }

    private static string HostOf(Manifests manifests) => new Uri(manifests.FindConfig("gpt-settings").Map("data")["PUBLIC_BASE_URL"]).Host;
}
