using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>How many run: two or more that answer HTTP, as many consumers as the queue needs, one timer.</summary>
public sealed class ScalingTests
{
    public static TheoryData<string, bool> Renderings => KustomizeRender.All;

    [Theory]
    [MemberData(nameof(Renderings))]
    public async Task Http_has_two_replicas_or_more_on_different_nodes(string environment, bool plainSecrets)
    {
        var manifests = await KustomizeRender.LoadAsync(environment, plainSecrets);
        var autoscaler = manifests.Find("HorizontalPodAutoscaler", "gpt-functions-http");
        Assert.Equal(("Deployment", "gpt-functions-http"), (autoscaler.Text("spec/scaleTargetRef/kind"), autoscaler.Text("spec/scaleTargetRef/name")));
        Assert.Equal(("2", "10"), (autoscaler.Text("spec/minReplicas"), autoscaler.Text("spec/maxReplicas")));
        Assert.Equal(("cpu", "Utilization"), (autoscaler.Text("spec/metrics/0/resource/name"), autoscaler.Text("spec/metrics/0/resource/target/type")));
        Assert.Null(manifests.Deployment("http").At("spec/replicas")); // a deployment would take back what the autoscaler added
        Assert.Equal(
            ("0", "1"),
            (manifests.Deployment("http").Text(
                "spec/strategy/rollingUpdate/maxUnavailable"), manifests.Deployment("http").Text("spec/strategy/rollingUpdate/maxSurge")));

        var budget = manifests.Find("PodDisruptionBudget", "gpt-functions-http");
        Assert.Equal("1", budget.Text("spec/minAvailable"));
        Assert.Single(manifests.OfKind("PodDisruptionBudget"));
        var labels = manifests.Deployment("http").At("spec/template/metadata/labels")!.ToJsonString();
        Assert.Equal(labels, budget.At("spec/selector/matchLabels")!.ToJsonString());
        var spread = manifests.Pod("http").List("topologySpreadConstraints");
        Assert.Equal(["topology.kubernetes.io/zone", "kubernetes.io/hostname"], spread.Select(rule => rule.Text("topologyKey")));
        Assert.All(spread, rule => Assert.Equal(labels, rule.At("labelSelector/matchLabels")!.ToJsonString()));
    }

    [Theory]
    [MemberData(nameof(Renderings))]
    public async Task Audit_scales_by_the_length_of_its_queue_from_none_to_five(string environment, bool plainSecrets)
    {
        var manifests = await KustomizeRender.LoadAsync(environment, plainSecrets);
        Assert.Null(manifests.Deployment("audit").At("spec/replicas"));
        var scaled = manifests.Find("ScaledObject", "gpt-functions-audit");
        Assert.Equal("gpt-functions-audit", scaled.Text("spec/scaleTargetRef/name"));
        Assert.Equal(
            ("0", "5", "15", "300"),
            (
                scaled.Text("spec/minReplicaCount"), scaled.Text("spec/maxReplicaCount"),
                scaled.Text("spec/pollingInterval"), scaled.Text("spec/cooldownPeriod")));
        Assert.Equal(("3", "1"), (scaled.Text("spec/fallback/failureThreshold"), scaled.Text("spec/fallback/replicas")));

        var trigger = scaled.List("spec/triggers").Single();
        Assert.Equal("rabbitmq", trigger.Text("type"));
        var metadata = trigger.Map("metadata");
        Assert.Equal(
            (AuditSettings.Queue, "QueueLength", "auto", "0", "false"),
            (metadata["queueName"], metadata["mode"], metadata["protocol"], metadata["activationValue"], metadata["unsafeSsl"]));
        // KEDA refuses numbers here.
        Assert.All(trigger.At("metadata")!.AsObject(), value => Assert.Equal(System.Text.Json.JsonValueKind.String, value.Value!.GetValueKind()));

        // What a pod has fetched is no longer counted: fewer than one pod's share, or a backlog would not show.
        var host = Yaml.Load(Path.Combine(TestServices.RepositoryRoot, "host.json")).Single(); // JSON is YAML
        Assert.True(
            host.At("extensions/rabbitMQ/prefetchCount")!.GetValue<long>() < long.Parse(metadata["value"], System.Globalization.CultureInfo.InvariantCulture));

        var authentication = manifests.Find("TriggerAuthentication", trigger.Text("authenticationRef/name")!).List("spec/secretTargetRef").Single();
        Assert.Equal(
            ("host", plainSecrets ? "gpt-secrets" : "gpt-rabbitmq", "rabbitmq-url"),
            (authentication.Text("parameter"), authentication.Text("name"), authentication.Text("key")));
    }

    [Theory]
    [MemberData(nameof(Renderings))]
    public async Task Timers_run_once(string environment, bool plainSecrets)
    {
        var timers = (await KustomizeRender.LoadAsync(environment, plainSecrets)).Deployment("timers");
        Assert.Equal(("1", "Recreate"), (timers.Text("spec/replicas"), timers.Text("spec/strategy/type")));
    }
}
