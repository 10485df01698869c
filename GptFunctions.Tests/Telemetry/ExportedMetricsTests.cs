using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using GptFunctions.TelemetryView;
using GptFunctions.Tests.Audit;
using GptFunctions.Tests.Support;
using GptFunctions.Tests.Webhooks;

namespace GptFunctions.Tests.Telemetry;

/// <summary>
/// health.md 8: whatever rules, promises and dashboard ask for is what the program really exports, under the name that Prometheus makes of it, and with
/// the labels and bounds that they ask for.
/// </summary>
[Collection(AuditQueueTurns.Name)]
public sealed partial class ExportedMetricsTests(TelemetryFixture fixture) : IClassFixture<TelemetryFixture>
{
    private static readonly string Folder = Path.Combine(TestServices.RepositoryRoot, "infra", "observability");

    /// <summary>What takes a day, a plan, an outage or a broken broker to be counted: ObservabilityTests compares these with the instruments.</summary>
    private static readonly string[] NotProvoked =
        ["gpt_countdowns_handled_total", "gpt_countdowns_lateness_seconds", "gpt_gateway_quota_refusals_total", "gpt_statistics_lost_total"];

    [Fact]
    public async Task What_is_asked_for_is_exported_with_its_labels_and_bounds()
    {
        await using var collector = await TestCollector.StartAsync();
        var settings = fixture.ProgramSettings.With(collector.Settings).With(
            [new("AzureWebJobs.Purge.Disabled", "false"), new("AzureWebJobs.DispatchCountdowns.Disabled", "false"), new("DATABASE_POOL_SIZE", "3")]);
        await using var program = await AppProcess.StartAsync(settings);
        await CallAsync(program.Http);

        var wanted = Asked("slo.yaml", "alerts.yaml", "dashboard.json");
        Assert.True(wanted.Count > 25);
        List<OtlpPoint> points = [];
        try
        {
            await Wait.UntilAsync(() => !Missing(wanted, points = [.. collector.Points]).Any());
        }
        finally
        {
            Assert.Empty(Missing(wanted, points));
        }

        var labels = points.SelectMany(point => NamesOf(point), (point, name) => (Name: name, Labels: point.Attributes.Keys)).ToLookup(one => one.Name);
        Assert.All(Selectors("slo.yaml", "alerts.yaml"), selector => Assert.All(
            selector.Labels, label => Assert.True(labels[selector.Name].Any(one => one.Labels.Contains(label)), $"{selector.Name} has no label {label}.")));
        Assert.All(Bounds(), asked => Assert.Contains(
            asked.Bound, points.First(point => NamesOf(point).Contains(asked.Name)).Bounds));
    }

    private static IEnumerable<string> Missing(IEnumerable<string> wanted, IEnumerable<OtlpPoint> points) =>
        wanted.Except(points.SelectMany(NamesOf), StringComparer.Ordinal)
            .Where(name => !Array.Exists(NotProvoked, other => name.StartsWith(other, StringComparison.Ordinal)));

    private static string[] NamesOf(OtlpPoint point) => PrometheusNames.Of(
        point.Name, point.Unit, point.Type == "histogram" ? MetricKind.Histogram : point.IsMonotonic ? MetricKind.Counter : MetricKind.Gauge);

    /// <summary>Without its comments.</summary>
    private static string Text(string file) =>
        string.Join('\n', File.ReadLines(Path.Combine(Folder, file)).Where(line => !line.TrimStart().StartsWith('#')));

    private static HashSet<string> Asked(params string[] files) =>
        [.. files.SelectMany(file => MetricName().Matches(Text(file))).Select(match => match.Value)];

    private static IEnumerable<(string Name, string[] Labels)> Selectors(params string[] files) =>
        files.SelectMany(file => Selector().Matches(Text(file))).Select(match => (
            match.Groups["name"].Value,
            Label().Matches(match.Groups["labels"].Value).Select(label => label.Value).Except(["le", "namespace"], StringComparer.Ordinal).ToArray()));

    private static IEnumerable<(string Name, double Bound)> Bounds() =>
        Bucket().Matches(Text("slo.yaml")).Select(
            match => (match.Groups["name"].Value, double.Parse(match.Groups["bound"].Value, CultureInfo.InvariantCulture)));

    /// <summary>A bit of everything, and one refusal of each room.</summary>
    private async Task CallAsync(HttpClient http)
    {
        var client = await OAuthFlow.AddClientAsync(fixture.App);
        var tokens = await new OAuthFlow(http).TokensAsync(client, "user_exported");
        await new OAuthFlow(http).RefreshAsync(client, tokens["refresh_token"]!);
        await new OAuthFlow(http).RefreshAsync(client, "gpt_rt_unknown");
        // More at once than the pool has connections: somebody waits.
        await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => new OAuthFlow(http).IntrospectAsync(client, tokens["access_token"]!)));
        var user = await fixture.Users.AddAsync("user_exported_calls");
        var isRefused = false;
        for (var call = 0; call < 200 && !isRefused; call++) // 30 are enough when they take no time: some flows back meanwhile
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/gpt/echo", UriKind.Relative));
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", user.Token);
            request.Headers.Add("x-internal-id", "somebody else");
            using var answer = await http.SendAsync(request);
            isRefused = answer.StatusCode == HttpStatusCode.TooManyRequests;
        }

        await new WebhookSender(http).ClerkAsync(new JsonObject
        {
            ["type"] = "user.updated",
            ["data"] = new JsonObject { ["id"] = "user_exported", ["updated_at"] = WebhookSender.Now.ToUnixTimeMilliseconds() },
        });
        foreach (var path in (string[])["/gpt/nowhere", "/nowhere", "/webhooks/nobody"])
        {
            using var refused = await http.PostAsync(new Uri(path, UriKind.Relative), null);
        }
    }

    [GeneratedRegex(@"\bgpt_[a-z0-9_]+|\bhttp_server_\w+|\bdb_client_connection_(?!state)\w+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex MetricName();

    [GeneratedRegex(@"\b(?<name>gpt_[a-z0-9_]+)\{(?<labels>[^}]+)\}", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Selector();

    [GeneratedRegex(@"[a-z_]+(?=\s*[!=]~?\\?"")", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Label();

    [GeneratedRegex(@"(?<name>gpt_[a-z0-9_]+_bucket)\{[^}]*le=~?""(?<bound>[0-9.]+)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Bucket();
}
