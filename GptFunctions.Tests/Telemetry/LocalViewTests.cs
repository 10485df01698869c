using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Telemetry;

/// <summary>infra/observability/compose.yaml: what it mounts is there, can be read, and fits together.</summary>
public sealed partial class LocalViewTests
{
    private static readonly string Folder = Path.Combine(TestServices.RepositoryRoot, "infra", "observability");

    [Fact]
    public void Compose_mounts_files_that_are_there_and_pins_its_images()
    {
        var services = Yaml.Load(Path.Combine(Folder, "compose.yaml")).Single()!["services"]!.AsObject();
        Assert.Equal(["collector", "jaeger", "prometheus", "grafana"], services.Select(service => service.Key));
        Assert.All(services, service => Assert.Matches(PinnedImage(), (string)service.Value!["image"]!));
        var mounts = services.SelectMany(service => service.Value!["volumes"]?.AsArray() ?? []).Select(volume => ((string)volume!).Split(':')[0]).ToList();
        Assert.True(mounts.Count >= 5);
        Assert.All(mounts, mount => Assert.True(Path.Exists(Path.Combine(Folder, mount)), mount));
        Assert.All(
            services.SelectMany(service => service.Value!["ports"]!.AsArray()),
            port => Assert.StartsWith("127.0.0.1:", (string)port!, StringComparison.Ordinal));
    }

    [Fact]
    public void Collector_sends_each_signal_somewhere_and_prometheus_asks_it()
    {
        var collector = Yaml.Load(Path.Combine(Folder, "local", "collector.yaml")).Single()!;
        var pipelines = collector["service"]!["pipelines"]!.AsObject();
        Assert.Equal(["traces", "metrics", "logs"], pipelines.Select(pipeline => pipeline.Key));
        foreach (var (kind, group) in (IEnumerable<(string, string)>)[("receivers", "receivers"), ("processors", "processors"), ("exporters", "exporters")])
        {
            var known = collector[group]!.AsObject().Select(one => one.Key);
            Assert.Empty(pipelines.SelectMany(pipeline => pipeline.Value![kind]!.AsArray().Select(one => (string)one!)).Except(known, StringComparer.Ordinal));
        }

        var port = ((string)collector["exporters"]!["prometheus"]!["endpoint"]!).Split(':')[1];
        var prometheus = Yaml.Load(Path.Combine(Folder, "local", "prometheus.yaml")).Single()!;
        Assert.Equal($"collector:{port}", (string)prometheus["scrape_configs"]![0]!["static_configs"]![0]!["targets"]![0]!);
        Assert.All(
            prometheus["rule_files"]!.AsArray(), file => Assert.True(File.Exists(Path.Combine(Folder, ((string)file!)["rules/".Length..])), (string)file!));
    }

    [GeneratedRegex(@"^[\w./-]+:v?\d+\.\d+\.\d+$", RegexOptions.None, 1000)]
    private static partial Regex PinnedImage();
}
