using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Maintenance;
using GptFunctions.Purge;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Purge;

/// <summary>purge.md 8: what operators ask of the purge on a page is done by a process that runs timers.</summary>
public sealed class PurgeOnDemandTests : IAsyncLifetime
{
    private static readonly OperatorAct Act = new("user_ops", "disk is full");
    private TestApp app = null!;

    private static Occasion Now => Occasion.OfCommand(TimeProvider.System.GetUtcNow(), "test");

    private PurgeRequests Requests => app.Get<PurgeRequests>();

    public async Task InitializeAsync()
    {
        app = await TestApp.StartAsync(nameof(PurgeOnDemandTests), new(StringComparer.Ordinal) { ["PURGE_BATCH_SIZE"] = "100" });
        var rows = new PurgeRows(app.Database, PurgeRows.Present, 4000, isClockRunning: true);
        await rows.AddOwnersAsync();
        await rows.AddCodesAsync();
    }

    public async Task DisposeAsync() => await app.DisposeAsync();

    [Fact]
    public async Task Dry_run_counts_and_the_run_deletes_and_both_are_told_and_recorded()
    {
        Assert.Null(await Requests.StartAsync(isDryRun: true, retentionDays: null, Act, Now));
        Assert.Null(await Requests.StartAsync(isDryRun: false, retentionDays: 29, Act, Now));
        Assert.Contains("under way", await Requests.StartAsync(isDryRun: false, retentionDays: null, Act, Now), StringComparison.Ordinal);
        Assert.Contains("between 1 and 3650", await Requests.StartAsync(isDryRun: true, retentionDays: 0, Act, Now), StringComparison.Ordinal);
        await using (await AppProcess.StartAsync(app.Settings.With(
        [
            new("AzureWebJobs.PurgeOnDemand.Disabled", "false"), new("AzureFunctionsJobHost__functions__0", "PurgeOnDemand"),
            new("AzureFunctionsJobHost__functions__1", "Ready"),
        ])))
        {
            await Wait.UntilAsync(async () => await app.Database.CountAsync("maintenance_runs", "outcome = 'completed'") == 2, TimeSpan.FromSeconds(40));
        }

        var runs = await Requests.ListAsync(null, 10);
        Assert.Equal(["purge", "purge_dry_run"], runs.Select(run => run.Job));
        Assert.Equal(2024, runs[0].Counts.GetProperty("expired_auth_codes_deleted").GetInt32());
        Assert.Equal(("user_ops", 29), (runs[0].StartedBy, runs[0].Asked.GetProperty("retention_days").GetInt32()));
        Assert.InRange(runs[1].Counts.GetProperty("expired_auth_codes").GetInt32(), 2000, 2024);
        Assert.Equal(4000 - 2024, await app.Database.CountAsync("gpt_authorization_codes"));
        Assert.Equal(
            [true, false],
            (await app.Database.EventsAsync(PurgeStore.Started, "operator", "user_ops"))
                .Select(told => told.GetProperty("payload").GetProperty("asked").GetProperty("dry_run").GetBoolean()));
    }

    [Fact]
    public async Task Run_beside_another_one_comes_after_it_and_one_that_is_stopped_ends_after_its_batch()
    {
        Assert.Null(await Requests.StartAsync(isDryRun: false, retentionDays: null, Act, Now));
        await using (await new PurgeStore(app.Database.Source).TryLockAsync(CancellationToken.None))
        {
            await app.Get<MaintenanceService>().RunAsync(PurgeRequests.Jobs, CancellationToken.None);
        }

        var waiting = Assert.Single(await Requests.ListAsync(null, 10));
        Assert.Equal(("active", 4000), (waiting.Outcome, await app.Database.CountAsync("gpt_authorization_codes")));
        Assert.Null(await app.Get<MaintenanceStore>().ClaimAsync(["purge"], null, TimeSpan.FromSeconds(1))); // for some seconds it is nobody's

        Assert.Equal("There is no such run.", await Requests.StopAsync("webhooks_replay", waiting.Id, Act, Now));
        Assert.Null(await Requests.StopAsync("purge", waiting.Id, Act, Now));
        Assert.Contains("not active", await Requests.StopAsync("purge", waiting.Id, Act, Now), StringComparison.Ordinal);
        Assert.Single(await app.Database.EventsAsync(PurgeJob.StoppedByOperator, "operator", "user_ops"));

        await app.Database.ExecuteAsync("""
            CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$;
            CREATE TRIGGER slow AFTER DELETE ON gpt_authorization_codes FOR EACH STATEMENT EXECUTE FUNCTION slow()
            """);
        Assert.Null(await Requests.StartAsync(isDryRun: false, retentionDays: null, Act, Now));
        var work = app.Get<MaintenanceService>().RunAsync(PurgeRequests.Jobs, CancellationToken.None);
        await Wait.UntilAsync(async () => await app.Database.CountAsync("gpt_authorization_codes") < 4000);
        var run = (await Requests.ListAsync(null, 10))[0];
        var (exitCode, output, error) = await AppProcess.RunAsync(app.Settings, "purge", "--stop", "--by", "ann", "--reason", "too slow");
        Assert.Equal((0, $"Run {run.Id} of user_ops is stopped.\n", ""), (exitCode, output, error));
        await work.WaitAsync(TimeSpan.FromSeconds(5));
        run = (await Requests.ListAsync(null, 10))[0];
        var left = await app.Database.CountAsync("gpt_authorization_codes");
        Assert.InRange(left, 1900, 3900);
        Assert.Single(await app.Database.EventsAsync(PurgeJob.StoppedByOperator, "operator", "command:ann"));
        (exitCode, _, error) = await AppProcess.RunAsync(app.Settings, "purge", "--stop");
        Assert.Equal((1, "No run that was asked for on the page is under way.\n"), (exitCode, error));
        Assert.Equal(("stopped", 4000 - left), (run.Outcome, run.Counts.GetProperty("expired_auth_codes_deleted").GetInt64()));
    }
}
