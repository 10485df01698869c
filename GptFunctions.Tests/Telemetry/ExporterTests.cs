using System.Diagnostics;
using System.Net;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Telemetry;

/// <summary>traces.md 6 to 10: the program in processes of its own, with collectors that are well, ill, slow, or away.</summary>
public sealed class ExporterTests(AppFixture<ExporterTests> fixture) : IClassFixture<AppFixture<ExporterTests>>
{
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(20);
    private static readonly Uri Keys = new("/.well-known/jwks.json", UriKind.Relative);

    /// <summary>Nobody listens, no exporter is loaded, and no thread of one runs; all of it with a collector, to show that this would be seen.</summary>
    [Fact]
    public async Task Without_a_collector_nothing_of_it_exists()
    {
        Assert.False(Traces.Source.HasListeners()); // of all apps that this process has started
        Assert.Null(Traces.Current);
        await using var collector = await TestCollector.StartAsync();
        await using var without = await AppProcess.StartAsync(fixture.App.Settings);
        await using var disabled = await AppProcess.StartAsync(With(collector, ("OTEL_SDK_DISABLED", "true")));
        await using var with = await AppProcess.StartAsync(With(collector));

        Assert.Equal((false, false), Of(without));
        Assert.Equal((false, false), Of(disabled));
        Assert.Equal((true, true), Of(with));

        static (bool IsLoaded, bool HasThread) Of(AppProcess program) => (
            File.ReadAllText($"/proc/{program.Id}/maps").Contains("OpenTelemetry.Exporter", StringComparison.Ordinal),
            Directory.EnumerateDirectories($"/proc/{program.Id}/task")
                .Any(task => File.ReadAllText(Path.Combine(task, "comm")).StartsWith("OpenTelemetry", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Collector_may_be_reached_by_grpc()
    {
        await using var collector = await TestCollector.StartAsync();
        await using var program = await AppProcess.StartAsync(fixture.App.Settings.With(collector.GrpcSettings));
        using var answer = await program.Http.GetAsync(Keys);

        await Wait.UntilAsync(() => collector.Spans.Any(span => span.Name == "GET /.well-known/{*path}" || span.Kind == "server")
            && collector.Points.Count > 0 && !collector.Logs.IsEmpty);
        Assert.Equal(0, await program.StopAsync(StopLimit));
    }

    [Fact]
    public async Task Logs_are_not_sent_where_something_else_takes_them()
    {
        await using var collector = await TestCollector.StartAsync();
        await using var program = await AppProcess.StartAsync(With(collector, ("OTEL_LOGS_EXPORTER", "none")));
        using var answer = await program.Http.GetAsync(Keys);
        Assert.Equal(0, await program.StopAsync(StopLimit));

        Assert.Contains(collector.Spans, span => span.Kind == "server");
        Assert.Contains(collector.Points, point => point.Name == "http.server.request.duration");
        Assert.Empty(collector.Logs);
    }

    /// <summary>Nothing would be sent for minutes.</summary>
    [Fact]
    public async Task Stop_sends_what_is_left()
    {
        await using var collector = await TestCollector.StartAsync();
        await using var program = await AppProcess.StartAsync(With(
            collector, ("OTEL_BSP_SCHEDULE_DELAY", "600000"), ("OTEL_BLRP_SCHEDULE_DELAY", "600000"), ("OTEL_METRIC_EXPORT_INTERVAL", "600000")));
        using var answer = await program.Http.GetAsync(Keys);
        Assert.Empty(collector.Everything);

        Assert.Equal(0, await program.StopAsync(StopLimit));

        Assert.Contains(collector.Spans, span => span.Kind == "server");
        Assert.Contains(collector.Points, point => point.Name == "http.server.request.duration");
        Assert.Contains(collector.Logs, log => log.Body.StartsWith("Application is shutting down", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("away")]
    [InlineData("ill")]
    [InlineData("silent")]
    public async Task Collector_that_takes_nothing_is_noticed_by_nobody(string state)
    {
        await using var collector = await TestCollector.StartAsync();
        var silence = new TaskCompletionSource<HttpStatusCode>();
        collector.Answer = () => state == "silent" ? silence.Task : Task.FromResult(HttpStatusCode.InternalServerError);
        await using var program = await AppProcess.StartAsync(
            state == "away" ? With(collector, ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")) : With(collector));
        using var first = await program.Http.GetAsync(Keys);

        var watch = Stopwatch.StartNew();
        for (var number = 0; number < 3000; number++) // more than the queue of spans holds
        {
            using var answer = await program.Http.GetAsync(Keys);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(60), watch.Elapsed.ToString());
        Assert.Equal(0, await program.StopAsync(StopLimit));
        silence.SetResult(HttpStatusCode.OK);
        Assert.DoesNotContain(program.Output, line => line.Contains("Unhandled", StringComparison.Ordinal));
    }

    /// <summary>What PostgreSQL says of a value may repeat the value.</summary>
    [Fact]
    public async Task Exception_of_a_statement_says_its_code_and_its_place()
    {
        await using var app = await TestApp.StartAsync(nameof(ExporterTests) + "_exception");
        await using var collector = await TestCollector.StartAsync();
        await using var program = await AppProcess.StartAsync(app.Settings.With(collector.Settings));
        var client = await OAuthFlow.AddClientAsync(app);
        await app.Database.ExecuteAsync("ALTER TABLE gpt_authorization_codes RENAME TO hidden_codes");
        await new OAuthFlow(program.Http).ExchangeAsync(client, "gpt_code_that_must_not_be_seen");

        await Wait.UntilAsync(() => collector.Spans.Any(span => span is { Source: "Npgsql", IsError: true }));
        var failed = collector.Spans.First(span => span is { Source: "Npgsql", IsError: true });
        Assert.Equal(("42P01", "42P01"), (failed.StatusText, failed.Attributes["db.response.status_code"]));
        var (name, attributes) = Assert.Single(failed.Events);
        Assert.Equal(("exception", "42P01"), (name, attributes["exception.message"]));
        Assert.Contains("Npgsql", attributes["exception.type"], StringComparison.Ordinal);
        Assert.DoesNotContain("gpt_authorization_codes", attributes["exception.stacktrace"], StringComparison.Ordinal);
        await Wait.UntilAsync(() => collector.Spans.Any(span => span.SpanId == failed.ParentId && span.IsError));
    }

    /// <summary>Whoever sends "sampled" with every request is recorded some times a second, whatever ids they choose.</summary>
    [Fact]
    public async Task Flood_of_sampled_traceparents_is_recorded_some_times_a_second()
    {
        await using var collector = await TestCollector.StartAsync();
        await using var program = await AppProcess.StartAsync(With(
            collector, ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0"), ("TRACES_FORCED_PER_SECOND", "3")));
        var watch = Stopwatch.StartNew();
        for (var number = 1; number <= 500; number++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, Keys);
            request.Headers.Add("traceparent", $"00-0000000000000000{number:x16}-b7ad6b7169203331-01");
            using var answer = await program.Http.SendAsync(request);
        }

        var seconds = (int)watch.Elapsed.TotalSeconds + 2;
        Assert.Equal(0, await program.StopAsync(StopLimit)); // sends what is left
        Assert.InRange(collector.Spans.Count(span => span.Kind == "server"), 1, 3 * seconds);
    }

    [Fact]
    public async Task Histograms_have_the_bounds_of_the_promises()
    {
        await using var collector = await TestCollector.StartAsync();
        await using var program = await AppProcess.StartAsync(With(collector));
        using var answer = await program.Http.GetAsync(Keys);

        await Wait.UntilAsync(() => collector.Points.Any(point => point.Name == "http.server.request.duration"));
        Assert.All(
            collector.Points.Where(point => point is { Type: "histogram", Unit: "s" }),
            point => Assert.Superset(new HashSet<double> { 0.02, 0.3, 5, 60 }, point.Bounds.ToHashSet()));
        string[] meters = [
            "GptFunctions.Audit", "Npgsql", "System.Runtime", "System.Net.Http", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel"];
        await Wait.UntilAsync(() => !meters.Except(collector.Points.Select(point => point.Meter), StringComparer.Ordinal).Any());
        Assert.All(
            collector.Points.Where(point => point.Attributes.ContainsKey("db.client.connection.pool.name")),
            point => Assert.StartsWith("gpt-functions", point.Attributes["db.client.connection.pool.name"], StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "OTEL_EXPORTER_OTLP_ENDPOINT must be an http:// or https:// URL")]
    [InlineData("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "OTEL_EXPORTER_OTLP_PROTOCOL must be grpc or http/protobuf")]
    [InlineData("OTEL_TRACES_SAMPLER", "sometimes", "OTEL_TRACES_SAMPLER must be always_on or always_off")]
    [InlineData("OTEL_TRACES_SAMPLER_ARG", "10", "OTEL_TRACES_SAMPLER_ARG must be a number between 0 and 1")]
    public void Setting_that_is_misspelt_stops_the_start(string name, string value, string problem) =>
        Assert.StartsWith(
            problem, Assert.Single(
                TestSettings.Problems<GptFunctions.Telemetry.TelemetrySettings>(isProduction: true, (name, value))), StringComparison.Ordinal);

    private Dictionary<string, string?> With(TestCollector collector, params (string Name, string Value)[] settings) =>
        fixture.App.Settings.With(collector.Settings).With(settings.Select(setting => KeyValuePair.Create(setting.Name, (string?)setting.Value)));
}
