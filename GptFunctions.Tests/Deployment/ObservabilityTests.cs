using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json;
using System.Text.RegularExpressions;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>
/// infra/observability: every figure that an alert or a panel asks for is one that the program keeps, under the name that Prometheus gives it.
/// </summary>
public sealed partial class ObservabilityTests(AppFixture<ObservabilityTests> fixture) : IClassFixture<AppFixture<ObservabilityTests>>
{
    /// <summary>Of RabbitMQ, of kube-state-metrics, of ASP.NET Core and of Npgsql (the last two: ExportedMetricsTests).</summary>
    private static readonly string[] Foreign =
    [
        "rabbitmq_detailed_queue_messages", "kube_deployment_status_replicas_available", "http_server_request_duration_seconds_bucket",
        "http_server_request_duration_seconds_count", "db_client_connection_count", "db_client_connection_npgsql_pending_requests",
    ];

    private static readonly string Folder = Path.Combine(TestServices.RepositoryRoot, "infra", "observability");

    [Fact]
    public void Alerts_ask_for_figures_that_exist_and_say_what_to_do()
    {
        var rules = Yaml.Load(Path.Combine(Folder, "alerts.yaml")).Single().List("groups").SelectMany(group => group.List("rules")).ToList();
        Assert.NotEmpty(rules);
        Assert.Equal(rules.Count, rules.Select(rule => rule.Text("alert")).Distinct().Count());
        Assert.All(rules, rule =>
        {
            AssertKnown(rule.Text("expr")!);
            Assert.Contains(rule.Text("labels/severity"), (string[])["critical", "warning"]);
            Assert.False(
                string.IsNullOrWhiteSpace(rule.Text("annotations/summary")) || string.IsNullOrWhiteSpace(rule.Text("annotations/action")),
                rule.Text("alert"));
        });
    }

    /// <summary>health.md 5: the critical thresholds, of the figures that there are.</summary>
    [Theory]
    [InlineData("OutboxOld", "gpt_outbox_age_seconds", "> 60")]
    [InlineData("DeadLetters", "gpt-audit-events.dead", "> 0")]
    [InlineData("SelfTestBlocked", "gpt_selftest_state", ">= 3")]
    [InlineData("WebhooksSlow", "gpt_webhooks_duration_seconds_bucket", "> 5")]
    public void Critical_thresholds_are_alerts(string alert, string figure, string threshold)
    {
        var rule = Yaml.Load(Path.Combine(Folder, "alerts.yaml")).Single().List("groups/0/rules").Single(item => item.Text("alert") == alert);
        Assert.Equal("critical", rule.Text("labels/severity"));
        Assert.Contains(figure, rule.Text("expr"), StringComparison.Ordinal);
        Assert.EndsWith(threshold, rule.Text("expr")!.Trim(), StringComparison.Ordinal);
    }

    /// <summary>
    /// health.md 7: what slo.yaml promises is what the rules beside it say, Prometheus takes all of them, and they tell what their own tests expect
    /// (infra/observability/render.sh).
    /// </summary>
    [Fact]
    public async Task Rules_are_rendered_from_the_promises_and_hold_their_own_tests()
    {
        using var script = Process.Start(new ProcessStartInfo("bash", [Path.Combine(Folder, "render.sh"), "--check"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        })!;
        var (output, error) = (script.StandardOutput.ReadToEndAsync(), script.StandardError.ReadToEndAsync());
        await script.WaitForExitAsync();
        Assert.True(script.ExitCode == 0, await output + await error);
    }

    [Fact]
    public void Promises_are_the_five_with_their_objectives_and_ask_for_figures_that_exist()
    {
        var promises = Yaml.Load(Path.Combine(Folder, "slo.yaml")).Single().List("slos");
        Assert.Equal(
            [("token", "99.9"), ("gateway", "99.9"), ("gateway-added", "95"), ("webhooks", "99.9"), ("audit", "99.99")],
            promises.Select(promise => (promise.Text("name")!, promise.Text("objective")!)));
        Assert.All(promises.SelectMany(promise => promise.At("sli/events")!.AsObject()), query => AssertKnown(query.Value!.ToString()));

        // Who promises something about a time asks for a bucket, so its bound has to be one.
        var bounds = promises.SelectMany(promise => Bound().Matches(promise.Text("sli/events/error_query")!)).Select(match => match.Groups["bound"].Value);
        Assert.Equal(["0.3", "0.02", "5", "60"], bounds);
    }

    /// <summary>Each alert has its row in the runbook, and its query for people who use Application Insights.</summary>
    [Fact]
    public void Alerts_have_a_row_in_the_runbook_and_a_query_in_Kusto()
    {
        var runbook = File.ReadAllText(Path.Combine(TestServices.RepositoryRoot, "infra", "runbook.md"));
        var promises = Yaml.Load(Path.Combine(Folder, "slo.yaml")).Single().List("slos").Select(promise => promise.Text("alerting/name")!).ToList();
        var alerts = Yaml.Load(Path.Combine(Folder, "alerts.yaml")).Single().List("groups").SelectMany(group => group.List("rules"))
            .Select(rule => rule.Text("alert")!).ToList();
        Assert.All(
            [.. alerts, .. promises.SelectMany(name => (string[])[name + "Fast", name + "Slow", name + "Ticket"])],
            alert => Assert.Contains($"`{alert}`", runbook, StringComparison.Ordinal));

        var queries = Directory.EnumerateFiles(Path.Combine(Folder, "kusto"), "*.kql").ToDictionary(file => Path.GetFileNameWithoutExtension(file)!);
        Assert.Equal([.. alerts.Concat(promises).Append("refused-refreshes").Order(StringComparer.Ordinal)], queries.Keys.Order(StringComparer.Ordinal));
        var known = Instruments().Select(instrument => instrument.Name).ToList();
        Assert.All(
            queries.Values.SelectMany(file => KustoName().Matches(File.ReadAllText(file))).Select(match => match.Groups["name"].Value),
            name => Assert.Contains(name, known));
    }

    [Fact]
    public void Dashboard_shows_every_figure_and_none_that_does_not_exist()
    {
        using var dashboard = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, "dashboard.json")));
        var panels = dashboard.RootElement.GetProperty("panels").EnumerateArray().ToList();
        Assert.Equal(panels.Count, panels.Select(panel => panel.GetProperty("id").GetInt32()).Distinct().Count());
        var queries = panels.SelectMany(panel => panel.GetProperty("targets").EnumerateArray()).Select(target => target.GetProperty("expr").GetString()!)
            .ToList();
        Assert.All(queries, AssertKnown);
        var shown = queries.SelectMany(Names).ToHashSet(StringComparer.Ordinal);
        Assert.All(Figures(), figure => Assert.True(figure.Any(shown.Contains), $"The dashboard has no panel for {figure[0]}."));
    }

    [Fact]
    public void Metrics_document_lists_every_figure_with_its_unit()
    {
        var rows = MetricRow().Matches(File.ReadAllText(Path.Combine(TestServices.RepositoryRoot, "docs", "metrics.md")));
        Assert.Equal(
            Instruments().Select(instrument => (instrument.Name, instrument.Unit ?? "")).Order(),
            rows.Select(row => (row.Groups["name"].Value, row.Groups["unit"].Value)).Order());
    }

    private void AssertKnown(string query)
    {
        var names = Names(query).ToList();
        Assert.NotEmpty(names);
        Assert.Empty(names.Except([.. Figures().SelectMany(figure => figure), .. Foreign], StringComparer.Ordinal));
    }

    private static IEnumerable<string> Names(string query) => MetricName().Matches(query).Select(match => match.Value);

    /// <summary>The names of each instrument of the program.</summary>
    private List<string[]> Figures() => [.. Instruments().Select(PrometheusNames)];

    private List<Instrument> Instruments()
    {
        // Whatever the program calls so: meters come into being with the objects that hold them.
        foreach (var type in typeof(RequestLog).Assembly.GetTypes().Where(type => type.Name.EndsWith("Metrics", StringComparison.Ordinal)))
        {
            Assert.NotNull(fixture.App.Services.GetService(type));
        }

        var found = new Dictionary<string, Instrument>(StringComparer.Ordinal);
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, _) =>
        {
            if (instrument.Meter.Name.StartsWith("GptFunctions.", StringComparison.Ordinal))
            {
                found[instrument.Name] = instrument;
            }
        };
        listener.Start();
        Assert.NotEmpty(found);
        return [.. found.Values];
    }

    private static string[] PrometheusNames(Instrument instrument) => Support.PrometheusNames.Of(
        instrument.Name, instrument.Unit,
        instrument.GetType().Name.Split('`')[0] switch { "Counter" => MetricKind.Counter, "Histogram" => MetricKind.Histogram, _ => MetricKind.Gauge });

    [GeneratedRegex(@"\b(?:gpt|kube|rabbitmq)_\w+|\bhttp_server_\w+|\bdb_client_connection_(?!state)\w+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex MetricName();

    [GeneratedRegex("le=~?\"(?<bound>[0-9.]+)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Bound();

    [GeneratedRegex("Name == \"(?<name>gpt[^\"]+)\"", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex KustoName();

    [GeneratedRegex(@"^\| `(?<name>gpt\.[a-z_.]+)` \| (?<unit>\S*) \|", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex MetricRow();
}
