using GptFunctions.Purge;
using GptFunctions.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Tests.Purge;

/// <summary>purge.md 6, hosting.md 9: the purge runs on schedule in the standalone host, and a run that was missed is caught up.</summary>
public sealed class PurgeTimerTests : IAsyncLifetime
{
    private const string MissedNothing = "Information 4004";
    private const string CatchingUp = "Information 4003";
    private TestDatabase database = null!;

    public async Task InitializeAsync() => database = await TestDatabase.CreateAsync(nameof(PurgeTimerTests));

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task Start_after_a_missed_run_purges_once_and_then_the_timer_fires_on_schedule()
    {
        var rows = new PurgeRows(database, PurgeRows.Present, 1000, isClockRunning: true);
        await rows.AddOwnersAsync();
        await rows.AddCodesAsync();
        await using var app = await StartAsync(PurgeFunctions.Name);
        await WaitForRunsAsync(1);
        Assert.Contains(app.Log.Lines, line => line.StartsWith(CatchingUp, StringComparison.Ordinal));
        Assert.Equal(500, await database.CountAsync("gpt_authorization_codes"));

        app.Clock.Advance(TimeSpan.FromHours(6));
        await WaitForRunsAsync(2);
        Assert.Equal(500 - 6, await database.CountAsync("gpt_authorization_codes"));
        Assert.Contains(app.Log.Lines, line => line.StartsWith("Information 4001 purge {", StringComparison.Ordinal));
        Assert.DoesNotContain(app.Log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));

        await using var restarted = await StartAsync(PurgeFunctions.Name);
        await WaitForAsync(restarted, MissedNothing);
        Assert.Equal(2, await database.CountAsync("maintenance_runs"));
    }

    [Theory]
    [InlineData(-1, 4003)] // made up for
    [InlineData(0, 4004)] // nothing was missed
    [InlineData(1, 4004)]
    public async Task CatchUp_purges_when_the_last_run_began_before_the_last_scheduled_time(int secondsAfterSchedule, int logged)
    {
        var due = new DateTimeOffset(2026, 6, 1, 12, 0, 0, TimeSpan.Zero);
        await database.ExecuteAsync(
            $$"""
            INSERT INTO maintenance_runs (job, started_at, finished_at, outcome, counts)
            VALUES ('purge', {{PurgeRows.Sql(due.AddSeconds(secondsAfterSchedule))}}, now() + interval '1 hour', 'cut_short', '{}')
            """);
        var bench = new PurgeBench(database, due.AddHours(5).AddMinutes(59));
        await bench.Purge.CatchUpAsync(CancellationToken.None);
        Assert.Equal(logged, bench.Log.Lines.First().Id);
    }

    [Theory]
    [InlineData("Health", null)]
    [InlineData(PurgeFunctions.Name, "true")]
    public async Task Start_without_the_function_neither_purges_nor_catches_up(string function, string? disabled)
    {
        await using var app = await StartAsync(function, disabled);
        Assert.DoesNotContain(app.Services.GetServices<IHostedService>(), service => service is PurgeCatchUp or GptFunctions.Hosting.TimerLoop);
    }

    [Fact]
    public async Task Start_before_setup_catches_up_once_the_tables_are_there()
    {
        var empty = await TestDatabase.CreateAsync(nameof(PurgeTimerTests) + "_empty", isMigrated: false);
        await using var app = await StartAsync(PurgeFunctions.Name, onto: empty);
        await WaitForAsync(app, "Information 4006");
        await app.Get<GptFunctions.Data.Migrator>().ApplyAsync(CancellationToken.None);
        await Wait.UntilAsync(async () => await empty.CountAsync("maintenance_runs") == 1);
        await empty.DisposeAsync();
    }

    private Task<TestApp> StartAsync(string function, string? disabled = null, TestDatabase? onto = null) => TestApp.StartAsync(
        onto ?? database, new(StringComparer.Ordinal) { ["AzureWebJobs.Purge.Disabled"] = disabled, ["AzureFunctionsJobHost:functions:0"] = function });

    private Task WaitForRunsAsync(int count) => Wait.UntilAsync(async () => await database.CountAsync("maintenance_runs", "outcome = 'completed'") == count);

    private static Task WaitForAsync(TestApp app, string line) =>
        Wait.UntilAsync(() => app.Log.Lines.Any(logged => logged.StartsWith(line, StringComparison.Ordinal)));
}
