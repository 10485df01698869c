using System.Text.Json.Nodes;
using GptFunctions.Gateway;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tests.Deployment;

/// <summary>What every pod has: rights, probes, resources, time to end.</summary>
public sealed class PodTests
{
    public static TheoryData<string, bool> Renderings => KustomizeRender.All;

    [Theory]
    [MemberData(nameof(Renderings))]
    public async Task Pods_have_no_rights_that_they_do_not_need(string environment, bool plainSecrets)
    {
        var manifests = await KustomizeRender.LoadAsync(environment, plainSecrets);
        var name = environment == KustomizeRender.Production ? "gpt-functions" : "gpt-functions-staging";
        Assert.Equal("restricted", manifests.Find("Namespace", name).Map("metadata/labels")["pod-security.kubernetes.io/enforce"]);
        Assert.All(manifests.Objects.Where(item => item.Text("kind") != "Namespace"), item => Assert.Equal(name, item.Text("metadata/namespace")));
        foreach (var component in Manifests.Components)
        {
            var pod = manifests.Pod(component);
            Assert.Equal("gpt-functions", pod.Text("serviceAccountName"));
            Assert.Equal("false", pod.Text("automountServiceAccountToken"));
            Assert.Equal(
                ("true", "10001", "RuntimeDefault"),
                (pod.Text("securityContext/runAsNonRoot"), pod.Text("securityContext/runAsUser"), pod.Text("securityContext/seccompProfile/type")));
            Assert.All(["hostNetwork", "hostPID", "hostIPC"], key => Assert.Null(pod.At(key)));
            foreach (var container in (JsonNode[])[manifests.Container(component), manifests.Setup(component)])
            {
                Assert.Equal(
                    """{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"readOnlyRootFilesystem":true}""",
                    container.At("securityContext")!.ToJsonString());
            }

            // No token for the vault in the pod.
            Assert.DoesNotContain("azure.workload.identity/use", manifests.Deployment(component).Map("spec/template/metadata/labels").Keys);
        }
    }

    [Theory]
    [MemberData(nameof(Renderings))]
    public async Task Pods_write_to_volumes_of_their_own_only(string environment, bool plainSecrets)
    {
        var manifests = await KustomizeRender.LoadAsync(environment, plainSecrets);
        foreach (var component in Manifests.Components)
        {
            var volumes = manifests.Pod(component).List("volumes").ToDictionary(volume => volume.Text("name")!, StringComparer.Ordinal);
            foreach (var mount in manifests.Container(component).List("volumeMounts").Concat(manifests.Setup(component).List("volumeMounts")))
            {
                var volume = volumes[mount.Text("name")!];
                Assert.True(
                    volume.At("emptyDir") is not null ? volume.Text("emptyDir/sizeLimit") is not null : mount.Text("readOnly") == "true",
                    $"{component}: {mount.ToJsonString()}");
            }

            Assert.Equal(["/azure-functions-host/Secrets", "/tmp"], Writable(manifests.Container(component)));
            Assert.Equal(["/tmp"], Writable(manifests.Setup(component)));
        }

        static List<string> Writable(JsonNode container) =>
            [.. container.List("volumeMounts").Where(mount => mount.At("readOnly") is null)
                .Select(mount => mount.Text("mountPath")!).Order(StringComparer.Ordinal)];
    }

    [Theory]
    [MemberData(nameof(Renderings))]
    public async Task Probes_ask_each_for_its_own_thing(string environment, bool plainSecrets)
    {
        var manifests = await KustomizeRender.LoadAsync(environment, plainSecrets);
        foreach (var component in Manifests.Components)
        {
            var container = manifests.Container(component);
            var alive = component == "audit" ? "/ready" : "/health"; // a consumer that is off comes back with a start only
            Assert.Equal(
                ("/health", alive, "/ready"),
                (container.Text("startupProbe/httpGet/path"), container.Text("livenessProbe/httpGet/path"), container.Text("readinessProbe/httpGet/path")));
            Assert.All(["startupProbe", "livenessProbe", "readinessProbe"], probe => Assert.Equal("http", container.Text(probe + "/httpGet/port")));
            Assert.Equal(("http", "8080"), (container.Text("ports/0/name"), container.Text("ports/0/containerPort")));
            Assert.True(Number(container, "startupProbe/periodSeconds") * Number(container, "startupProbe/failureThreshold") >= 60);
            Assert.True(Number(container, "readinessProbe/timeoutSeconds") > 3); // the check gives itself 3 s
        }
    }

    /// <summary>
    /// Four numbers in four places, each longer than the one before: the slowest call, what either host waits for it after SIGTERM, and what
    /// the pod leaves them until SIGKILL.
    /// </summary>
    [Theory]
    [MemberData(nameof(Renderings))]
    public async Task Pods_may_finish_what_they_do(string environment, bool plainSecrets)
    {
        var manifests = await KustomizeRender.LoadAsync(environment, plainSecrets);
        using var settings = RenderedSettings.Of(manifests, manifests.Container("http"), []);
        var route = new GatewayRoute(
            "any", ["GET"], PathTemplate.Parse("/gpt/any")!, new Uri("http://upstream"), PathTemplate.Parse("/any")!, "any", "read", 1);
        var slowest = GatewayConfig.Load(settings.Environment["GATEWAY_CONFIG"]!).Routes.Append(route).Max(route => route.Timeout).TotalSeconds;
        var ofTheHost = int.Parse(DockerfileTests.Environment["ASPNETCORE_SHUTDOWNTIMEOUTSECONDS"], System.Globalization.CultureInfo.InvariantCulture);
        await using var app = StandaloneHost.Build(builder => builder.AddHosting());
        var ofTheProgram = app.Services.GetRequiredService<IOptions<HostOptions>>().Value.ShutdownTimeout.TotalSeconds;

        Assert.InRange(slowest, 45, Math.Min(ofTheHost, ofTheProgram) - 1);
        foreach (var component in Manifests.Components)
        {
            var rest = Number(manifests.Pod(component), "terminationGracePeriodSeconds") - Number(
                manifests.Container(component), "lifecycle/preStop/sleep/seconds");
            Assert.True(rest > Math.Max(ofTheHost, ofTheProgram), $"{component} is killed {rest} s after SIGTERM, before its hosts give up.");
        }
    }

    /// <summary>The same variable for both hosts, for whoever has slower routes.</summary>
    [Fact]
    public async Task Program_waits_as_long_as_the_hosts_variable_says()
    {
        await using var app = StandaloneHost.Build(builder =>
        {
            builder.AddHosting();
            builder.Configuration.AddInMemoryCollection([new("shutdownTimeoutSeconds", "90")]); // as ASP.NET Core reads ASPNETCORE_SHUTDOWNTIMEOUTSECONDS
        });
        Assert.Equal(TimeSpan.FromSeconds(90), app.Services.GetRequiredService<IOptions<HostOptions>>().Value.ShutdownTimeout);
    }

    [Theory]
    [MemberData(nameof(Renderings))]
    public async Task Containers_have_requests_and_limits_and_the_image_of_the_deployment(string environment, bool plainSecrets)
    {
        var manifests = await KustomizeRender.LoadAsync(environment, plainSecrets);
        foreach (var container in Manifests.Components.Select(manifests.Container).Concat(Manifests.Components.Select(manifests.Setup)))
        {
            Assert.Equal("gpt-functions", container.Text("image")); // a deployment puts registry and digest in its place
            Assert.All(["requests/cpu", "requests/memory", "limits/cpu", "limits/memory"], path => Assert.NotNull(container.At("resources/" + path)));
        }

        Assert.Equal(
            ["functions", "setup"],
            Manifests.Components.SelectMany(component => new[] { manifests.Container(component).Text("name")!, manifests.Setup(component).Text("name")! })
                .Distinct(StringComparer.Ordinal));
        Assert.Equal(["dotnet", "/home/site/wwwroot/GptFunctions.dll", "setup"], manifests.Setup("http").List("command").Select(word => word.ToString()));
        Assert.Equal(
            3,
            Manifests.Components.Select(component => Variable(manifests.Container(component), "AzureFunctionsWebHost__hostid"))
                .Distinct(StringComparer.Ordinal).Count());
        // Switches the host to a lock manager with a sidecar.
        Assert.All(Manifests.Components, component => Assert.Null(Variable(manifests.Container(component), "POD_NAMESPACE")));
    }

    private static long Number(JsonNode node, string path) => node.At(path)!.GetValue<long>();

    private static string? Variable(JsonNode container, string name) =>
        container.List("env").SingleOrDefault(variable => variable.Text("name") == name).Text("value");
}
