using System.Diagnostics;
using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Maintenance;
using GptFunctions.Tests.Support;
using GptFunctions.Webhooks;

namespace GptFunctions.Tests.Webhooks;

/// <summary>webhooks.md 20 to 22: all that failed again, by any process, each event once, with progress and stop.</summary>
public sealed class WebhookReplayTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private TestApp app = null!;

    private TestDatabase Database => app.Database;

    private Dictionary<string, string?> Workers => app.Settings.With(
    [
        new("AzureWebJobs.ReplayWebhooks.Disabled", "false"), new("AzureFunctionsJobHost__functions__0", "ReplayWebhooks"),
        new("AzureFunctionsJobHost__functions__1", "Ready"),
    ]);

    public async Task InitializeAsync() => app = await TestApp.StartAsync(nameof(WebhookReplayTests), new(WebhookSender.Settings));

    public async Task DisposeAsync() => await app.DisposeAsync();

    [Fact]
    public async Task Command_replays_what_matches_once_and_tells()
    {
        await AddFailedAsync(30);
        await AddFailedAsync(5, "user.updated", "other");
        await Database.ExecuteAsync("UPDATE webhook_events SET payload = '{\"type\":1}' WHERE event_id = 'failed7'");

        Assert.Contains("--reason", (await RunAsync("--yes")).Error, StringComparison.Ordinal);
        var (unsure, _, question) = await AppProcess.RunAsync(app.Settings, "webhooks", "replay", "--all", "--reason", "x");
        Assert.Equal((1, "35 events would be handled again: add --yes, because nobody can be asked here.\n"), (unsure, question));
        var (exitCode, output, error) = await RunAsync("--yes", "--type", "user.created", "--reason", "the table is repaired", "--by", "ada");

        Assert.Equal((1, "30 of 30: 29 completed, 0 ignored, 0 stale, 1 failed again, 0 handled by others. Done.\n"), (exitCode, output));
        Assert.Contains("Run 1 (begun ", error, StringComparison.Ordinal);
        Assert.Equal(29, await Database.CountAsync("webhook_events", "status = 'completed' AND attempts = 2 AND duration_ms >= 0"));
        Assert.Equal(1, await Database.CountAsync("webhook_events", "event_id = 'failed7' AND attempts = 2 AND error LIKE 'what was kept of it%'"));
        Assert.Equal(5, await Database.CountAsync("webhook_events", "type = 'user.updated' AND attempts = 1 AND status = 'failed'"));
        Assert.Equal(
            29, await Database.CountAsync("outbox_messages", $"routing_key = '{AuditEvents.UserUpdated}' AND envelope ->> 'correlation_id' = 'replay-1'"));
        var told = Assert.Single(await Database.EventsAsync(WebhookReplayJob.Started, "run_id", "1")).GetProperty("payload");
        Assert.Equal(
            ("command:ada", "the table is repaired", "user.created"),
            (told.GetProperty("operator").GetString(), told.GetProperty("reason").GetString(), told.GetProperty("asked").GetProperty("type").GetString()));
        Assert.Equal("completed", await Database.ScalarAsync<string>("SELECT outcome FROM maintenance_runs"));

        // What failed again is tried by the next run, not by this one once more.
        var again = await RunAsync("--yes", "--type", "user.created", "--reason", "again");
        Assert.StartsWith("1 of 1: 0 completed, 0 ignored, 0 stale, 1 failed again", again.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Interrupted_command_stops_at_once_and_the_same_command_goes_on()
    {
        await AddFailedAsync(150);
        await using (var command = AppProcess.StartCommand(app.Settings, "webhooks", "replay", "--all", "--yes", "--since", "7d", "--reason", "first"))
        {
            await Wait.UntilAsync(async () => await DoneAsync() > 10);
            var clock = Stopwatch.StartNew();
            Assert.Equal(130, await command.StopAsync()); // SIGTERM: Ctrl-C of a child is ignored where the tests run in the background
            Assert.InRange(clock.Elapsed.TotalSeconds, 0, 4);
            Assert.Contains(command.Output, line => line.EndsWith("Stopped: the same command goes on.", StringComparison.Ordinal));
        }

        var done = await DoneAsync();
        Assert.InRange(done, 10, 149);
        Assert.Equal("stopped", await Database.ScalarAsync<string>("SELECT outcome FROM maintenance_runs"));
        var stopped = Assert.Single(await Database.EventsAsync(WebhookReplayJob.Stopped, "run_id", "1")).GetProperty("payload");
        Assert.Equal(done, stopped.GetProperty("counts").GetProperty("completed").GetInt64());

        var (exitCode, output, _) = await RunAsync("--yes", "--since", "7d", "--reason", "second");
        Assert.Equal((0, "150 of 150: 150 completed, 0 ignored, 0 stale, 0 failed again, 0 handled by others. Done.\n"), (exitCode, output));
        Assert.Equal(1, await Database.CountAsync("maintenance_runs", "outcome = 'completed'"));
        Assert.Equal(2, (await Database.EventsAsync(WebhookReplayJob.Started, "run_id", "1")).Count);
        Assert.Equal(150, await Database.CountAsync("webhook_events", "attempts = 2"));
    }

    [Fact]
    public async Task Replay_that_was_asked_for_on_the_page_is_stopped_by_a_command()
    {
        await AddFailedAsync(3);
        var (run, _) = await app.Get<InboxService>().StartReplayAsync(new ReplayAsked(), new OperatorAct("user_ops", "repaired"), Now);

        Assert.Equal(
            (0, $"Run {run!.Id} of user_ops is stopped; asked for in the same words, it goes on where it stood.\n", ""),
            await AppProcess.RunAsync(app.Settings, "webhooks", "replay", "--stop", "--by", "ann"));
        Assert.Equal("stopped", await Database.ScalarAsync<string>("SELECT outcome FROM maintenance_runs"));
        Assert.Single(await Database.EventsAsync(WebhookReplayJob.Stopped, "operator", "command:ann"));
        Assert.Equal((1, "", "No replay is under way.\n"), await AppProcess.RunAsync(app.Settings, "webhooks", "replay", "--stop"));
        Assert.Contains("--stop stands alone", (await RunAsync("--stop", "--reason", "x")).Error, StringComparison.Ordinal);
    }

    /// <summary>Every third event fails again, so that a second attempt would show in its count.</summary>
    [Fact]
    public async Task Two_processes_share_a_run_and_one_goes_on_when_the_other_is_killed()
    {
        await AddFailedAsync(300);
        await Database.ExecuteAsync("""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON users
                FOR EACH ROW WHEN (right(NEW.clerk_user_id, 1) IN ('0', '3', '6', '9')) EXECUTE FUNCTION refuse()
            """);
        await using var first = await AppProcess.StartAsync(Workers);
        var inbox = app.Get<InboxService>();
        var (run, _) = await inbox.StartReplayAsync(new ReplayAsked(), new OperatorAct("user_ops", "repaired"), Now);
        await Wait.UntilAsync(async () => await DoneAsync() > 20, Patience);
        await using var second = await AppProcess.StartAsync(Workers);
        await first.KillAsync();
        Assert.InRange(await DoneAsync(), 20, 299);

        await Wait.UntilAsync(async () => await inbox.FindReplayAsync() is null, Patience);
        Assert.Equal("completed", await Database.ScalarAsync<string>("SELECT outcome FROM maintenance_runs"));
        Assert.Equal((180, 120), (
            await Database.CountAsync("webhook_events", "status = 'completed' AND attempts = 2"),
            await Database.CountAsync("webhook_events", "status = 'failed' AND attempts = 2")));
        Assert.Single(await Database.EventsAsync(WebhookReplayJob.Started, "run_id", run!.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)));
    }

    [Fact]
    public async Task Run_is_slow_enough_for_live_events_and_stopped_within_two_seconds()
    {
        await AddFailedAsync(200);
        var maintenance = app.Get<MaintenanceService>();
        var inbox = app.Get<InboxService>();
        var (run, _) = await inbox.StartReplayAsync(new ReplayAsked(), new OperatorAct("user_ops", "repaired"), Now);
        var work = maintenance.RunAsync([WebhookReplayJob.JobName], CancellationToken.None);
        await Wait.UntilAsync(async () => await Database.CountAsync("maintenance_runs", "lease_until IS NOT NULL") == 1);
        await maintenance.RunAsync([WebhookReplayJob.JobName], CancellationToken.None); // somebody has it
        Assert.False(work.IsCompleted);
        var clock = Stopwatch.StartNew();
        var before = await DoneAsync();
        await Wait.UntilAsync(async () => await DoneAsync() >= before + 50);
        Assert.InRange((await DoneAsync() - before) / clock.Elapsed.TotalSeconds, 1, WebhookReplayJob.MostPerSecond * 1.5);

        var (other, obstacle) = await inbox.StartReplayAsync(new ReplayAsked { Source = "stripe" }, new OperatorAct("user_ops", "more"), Now);
        Assert.Equal((run!.Id, $"A replay is under way (run {run.Id} of user_ops): wait for its end, or stop it."), (other!.Id, obstacle));
        clock.Restart();
        Assert.Null(await inbox.StopReplayAsync(run.Id, new OperatorAct("user_ops", "too early"), Now));
        await work;
        Assert.InRange(clock.Elapsed.TotalSeconds, 0, 2);
        Assert.Equal($"Run {run.Id} is not active: it has ended already.", await inbox.StopReplayAsync(run.Id, new OperatorAct("user_ops", null), Now));
        var row = Assert.Single(await inbox.ListReplaysAsync(10));
        Assert.Equal(("stopped", await DoneAsync(), 200), (row.Outcome, InboxService.CountsOf(row).Completed, InboxService.CountsOf(row).Found));
    }

    [Fact]
    public async Task Replay_of_one_event_is_told_once_whatever_becomes_of_it()
    {
        await AddFailedAsync(1);
        await AddFailedAsync(1, "user.renamed", "unknown");
        await Database.ExecuteAsync("""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION refuse()
            """);
        var act = new OperatorAct("user_ops", "a try");
        var inbox = app.Get<InboxService>();
        Assert.Equal("failed: The event could not be handled; deliver it again", (await inbox.ReplayAsync("clerk", "failed1", act, Now)).Problem);
        await Database.ExecuteAsync("DROP FUNCTION refuse CASCADE");
        Assert.Equal(("completed", null), await inbox.ReplayAsync("clerk", "failed1", act, Now));
        Assert.Equal(("ignored", null), await inbox.ReplayAsync("clerk", "unknown1", act, Now));
        Assert.NotNull((await inbox.ReplayAsync("clerk", "failed1", act, Now)).Problem);
        var told = await Database.EventsAsync(WebhookStore.Replayed, "operator", "user_ops");
        Assert.Equal(
            ["failed1 failed P0001: not now", "failed1 completed ", "unknown1 ignored "],
            told.Select(item => item.GetProperty("payload"))
                .Select(payload => $"{payload.GetProperty("event_id")} {payload.GetProperty("outcome")} {Text(payload, "error")}"));

        static string? Text(JsonElement payload, string name) => payload.TryGetProperty(name, out var value) ? value.GetString() : null;
    }

    private static Occasion Now => Occasion.OfCommand(TimeProvider.System.GetUtcNow(), "test");

    private Task<long> DoneAsync() => Database.CountAsync("webhook_events", "attempts = 2 AND status = 'completed'");

    private Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] words) =>
        AppProcess.RunAsync(app.Settings, ["webhooks", "replay", "--all", .. words]);

    private Task AddFailedAsync(int count, string type = "user.created", string name = "failed") => Database.ExecuteAsync($$"""
        INSERT INTO webhook_events (source, event_id, type, subject, status, attempts, event_at, received_at, processed_at, error, payload)
        SELECT 'clerk', '{{name}}' || n, '{{type}}', 'user_{{name}}' || n, 'failed', 1, now(), at, at, 'P0001: not now', convert_to(jsonb_build_object(
            'type', '{{type}}', 'timestamp', 1700000000000, 'data', jsonb_build_object(
                'id', 'user_{{name}}' || n, 'updated_at', 1700000000000, 'email_addresses', '[]'::jsonb))::text, 'UTF8')
        FROM (SELECT n, now() - interval '1 hour' + n * interval '1 second' AS at FROM generate_series(1, {{count}}) n) rows
        """);
}
