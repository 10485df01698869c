using System.Net;
using System.Text.RegularExpressions;
using GptFunctions.Hosting;
using GptFunctions.Operations.Pages;
using GptFunctions.Statistics;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Operations;

/// <summary>operations.md 4: what is wrong, who runs, what happened in the last two days.</summary>
public sealed partial class OverviewPageTests(OperationsFixture<OverviewPageTests> fixture) : IClassFixture<OperationsFixture<OverviewPageTests>>
{
    private const string Path = "/operations/overview";
    private readonly TestApp app = fixture.App;

    [Fact]
    public async Task Overview_shows_each_part_of_the_self_test_and_the_figures_of_those_on_call()
    {
        var html = await OperationsFixture<OverviewPageTests>.ReadAsync(await fixture.SignInAsync(OperationsFixture<OverviewPageTests>.Viewer), Path);
        var text = OperationsFixture<OverviewPageTests>.TextOf(html);
        foreach (var part in (string[])["database", "outbox", "rabbitmq", "countdowns", "purge", "signing_key", "change_feed"])
        {
            Assert.Contains($">{part}</td>", html, StringComparison.Ordinal);
        }

        Assert.Contains("Safe mode off", text, StringComparison.Ordinal);
        Assert.Matches("Outbox [0-9]+ waiting", text);
        Assert.Contains("0 late, 0 dead", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Processes_of_different_versions_and_killed_ones_are_said()
    {
        await app.Get<StatisticsWriter>().WriteAsync(false);
        await app.Database.ExecuteAsync("""
            INSERT INTO replicas (instance, name, role, version, safe_mode, started_at, seen_at, batch) VALUES
                (gen_random_uuid(), 'pod-b<script>alert(1)</script>', 'timers', '0.9.1', true, now(), now(), 1),
                (gen_random_uuid(), 'pod-dead', 'audit', '0.8.0', false, now(), now() - interval '5 minutes', 1)
            """);
        var html = await OperationsFixture<OverviewPageTests>.ReadAsync(await fixture.SignInAsync(OperationsFixture<OverviewPageTests>.Operator), Path);
        var text = OperationsFixture<OverviewPageTests>.TextOf(html);
        Assert.Contains("2 versions run", text, StringComparison.Ordinal);
        Assert.Contains(
            $"{ProgramVersion.Text}, 0.9.1", text.Replace("0.9.1, " + ProgramVersion.Text, $"{ProgramVersion.Text}, 0.9.1", StringComparison.Ordinal),
            StringComparison.Ordinal);
        Assert.Matches("pod-dead was killed audit 0.8.0", text);
        Assert.Contains("runs in safe mode timers", text, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", html, StringComparison.Ordinal);
        await app.Database.ExecuteAsync("DELETE FROM replicas WHERE name LIKE 'pod-%'");
    }

    [Fact]
    public async Task Hours_are_bars_with_a_sentence_and_a_table()
    {
        await app.Database.ExecuteAsync("""
            INSERT INTO hourly_counts (hour, kind, outcome, count)
            SELECT date_trunc('hour', now(), 'UTC') - n * interval '1 hour', 'webhook', outcome, 10 * (n + 1)
            FROM generate_series(0, 60) n, unnest(ARRAY['completed', 'failed']) outcome;
            INSERT INTO refusals (hour, endpoint, reason, client_id, count)
            SELECT date_trunc('hour', now(), 'UTC'), '/oauth/token', 'reason_' || n, '', 100 - n FROM generate_series(1, 9) n
            """);
        var html = await OperationsFixture<OverviewPageTests>.ReadAsync(await fixture.SignInAsync(OperationsFixture<OverviewPageTests>.Viewer), Path);
        var text = OperationsFixture<OverviewPageTests>.TextOf(html);
        Assert.Contains("aria-label=\"Webhooks by outcome: 23520 in 48 hours, at most 960 in one,", html, StringComparison.Ordinal);
        Assert.Contains("completed 11760 failed 11760", text, StringComparison.Ordinal);
        Assert.Contains("reason_5 95 others 370", text, StringComparison.Ordinal);
        Assert.Equal(96, Bar().Count(Section(html, "Webhooks by outcome")));
        Assert.Equal(48, Hour().Count(Section(html, "Webhooks by outcome")));
        Assert.Contains("No code was exchanged.", text, StringComparison.Ordinal);
        Assert.DoesNotMatch(" style=|<script", html);
    }

    [Fact]
    public void Bars_fill_their_field_and_no_more()
    {
        var from = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var report = new HourlyReport(
            from, [
                new(from, "k", "a", 3), new(from, "k", "b", 1), new(from.AddHours(47), "k", "a", 8), new(from.AddHours(48), "k", "a", 100),
                new(from, "x", "a", 9)]);
        var bars = HourBars.Of("Title", "None", report, "k");
        Assert.Equal((12, 8, "a b"), (bars.Total, bars.Most, string.Join(' ', bars.Parts)));
        Assert.Equal([("s0", "1", "76.5", "43.5"), ("s1", "1", "62", "14.5"), ("s0", "471", "4", "116")], bars.Draw());

        var nested = HourBars.Of("Title", "None", report, "k", ["a", "b"]);
        Assert.Equal((11, 8), (nested.Total, nested.Most));
        Assert.Equal([("s0", "1", "76.5", "43.5"), ("s1", "1", "105.5", "14.5"), ("s0", "471", "4", "116")], nested.Draw());
    }

    [Fact]
    public async Task Overview_is_there_for_viewers_and_for_nobody_else()
    {
        using var stranger = await (await fixture.SignInAsync("user_stranger")).GetAsync(Path);
        Assert.Equal(HttpStatusCode.NotFound, stranger.StatusCode);
    }

    private static string Section(string html, string title)
    {
        var begin = html.IndexOf($"<h3>{title}</h3>", StringComparison.Ordinal);
        return html[begin..html.IndexOf("</section>", begin, StringComparison.Ordinal)];
    }

    [GeneratedRegex("<rect ", RegexOptions.None, 1000)]
    private static partial Regex Bar();

    [GeneratedRegex("<th scope=\"row\">", RegexOptions.None, 1000)]
    private static partial Regex Hour();
}
