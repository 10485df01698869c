using GptFunctions.Countdowns;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Npgsql;

namespace GptFunctions.Tests.Countdowns;

public sealed class DispatcherTests : IAsyncLifetime
{
    private CountdownBench bench = null!;

    private TestDatabase Database => bench.App.Database;

    private Occasion Now => new(bench.App.Clock.GetUtcNow(), "correlation", "test");

    public async Task InitializeAsync() => bench = await CountdownBench.StartAsync(nameof(DispatcherTests));

    public async Task DisposeAsync()
    {
        await bench.App.DisposeAsync();
        await Database.DisposeAsync();
    }

    [Fact]
    public async Task What_is_due_happens_once_and_the_rest_stays()
    {
        await bench.ScheduleAsync("due");
        await bench.ScheduleAsync("later", "interval '1 hour'");
        await bench.RunAsync();
        await bench.RunAsync();
        Assert.Equal(1, await bench.EffectsAsync());
        Assert.Equal("completed", await StatusAsync("due1"));
        Assert.Equal("active", await StatusAsync("later1"));
    }

    [Fact]
    public async Task Never_early_by_the_databases_clock()
    {
        await bench.ScheduleAsync("sample", "interval '3 milliseconds' * n", count: 1000);
        var dispatcher = bench.Dispatcher();
        await Wait.UntilAsync(async () =>
        {
            await dispatcher.RunAsync(CancellationToken.None);
            return await bench.EffectsAsync() == 1000;
        });
        Assert.Equal(0, await Database.CountAsync("effects", "at < due_at"));
    }

    [Fact]
    public async Task Two_dispatchers_share_the_work_and_nothing_happens_twice()
    {
        await bench.ScheduleAsync("shared", count: 2000);
        await Task.WhenAll(bench.RunAsync(), bench.RunAsync(), bench.RunAsync());
        Assert.Equal(2000, await bench.EffectsAsync());
        Assert.Equal(2000, await Database.ScalarAsync<long>("SELECT count(DISTINCT countdown) FROM effects"));
        Assert.Equal(2000, await Database.CountAsync("countdowns", "status = 'completed'"));
    }

    [Fact]
    public async Task Failure_is_tried_again_later_each_time_and_ends_dead_with_event_and_log()
    {
        await bench.ScheduleAsync("broken");
        await bench.ScheduleAsync("good");
        bench.Instead["broken1"] = batch => batch.Add(new Statement(new Sql("SELECT 1 / 0")));
        var pauses = new List<double>();
        for (var attempt = 1; attempt <= 5; attempt++)
        {
            await bench.RunAsync();
            Assert.Equal(attempt, await Database.ScalarAsync<int>("SELECT attempts FROM countdowns WHERE subject = 'broken1'"));
            pauses.Add(await Database.ScalarAsync<double>(
                "SELECT extract(epoch FROM next_attempt_at - now())::double precision FROM countdowns WHERE subject = 'broken1'"));
            await Database.ExecuteAsync("UPDATE countdowns SET due_at = now() - interval '1 hour', next_attempt_at = now() WHERE subject = 'broken1'");
        }

        Assert.Equal([10, 20, 40, 80], pauses.Take(4).Select(pause => (int)Math.Ceiling(pause / 10) * 10));
        Assert.Equal("dead", await StatusAsync("broken1"));
        Assert.Contains("22012", await Database.ScalarAsync<string>("SELECT last_error FROM countdowns WHERE subject = 'broken1'"), StringComparison.Ordinal);
        var dead = Assert.Single(await Database.EventsAsync("gpt.countdown.dead", "subject", "broken1"));
        Assert.Equal(5, dead.GetProperty("payload").GetProperty("attempts").GetInt32());
        Assert.Contains(bench.App.Log.Lines, line => line.Contains("'GptFunctions countdowns replay'", StringComparison.Ordinal));
        Assert.Equal(1, await bench.EffectsAsync());
        await bench.RunAsync();
        Assert.Equal("dead", await StatusAsync("broken1"));
    }

    [Fact]
    public async Task Longest_pause_is_five_minutes()
    {
        await bench.ScheduleAsync("slow");
        bench.Instead["slow1"] = batch => batch.Add(new Statement(new Sql("SELECT 1 / 0")));
        var store = bench.App.Get<CountdownStore>();
        var due = Assert.Single(await store.ClaimAsync([CountdownBench.Kind], 10, TimeSpan.FromSeconds(60)));
        await Database.ExecuteAsync("UPDATE countdowns SET attempts = 30");
        var retries = new Retries(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(300), 100);
        await store.FailAsync(due, "x", 1, retries, Now);
        Assert.Equal(1, await Database.CountAsync("countdowns", "next_attempt_at BETWEEN now() + interval '290 s' AND now() + interval '300 s'"));
    }

    [Fact]
    public async Task Cancellation_that_is_committed_before_the_effect_wins()
    {
        await bench.ScheduleAsync("cancelled");
        var store = bench.App.Get<CountdownStore>();
        var due = Assert.Single(await store.ClaimAsync([CountdownBench.Kind], 10, TimeSpan.FromSeconds(60)));
        await CancelAsync("cancelled1");
        Assert.False(await store.CompleteAsync(new Effect(), due, Now));
        Assert.Equal(0, await bench.EffectsAsync());
        Assert.Equal("cancelled", await StatusAsync("cancelled1"));
        await CancelAsync("cancelled1"); // twice is once
    }

    [Fact]
    public async Task Countdown_that_was_put_off_while_it_was_claimed_has_no_effect_yet()
    {
        await bench.ScheduleAsync("moved");
        var store = bench.App.Get<CountdownStore>();
        var due = Assert.Single(await store.ClaimAsync([CountdownBench.Kind], 10, TimeSpan.FromSeconds(60)));
        await Database.ExecuteAsync($"""
            WITH due AS (SELECT '{CountdownBench.Kind}' AS kind, 'moved1' AS subject, now() + interval '1 hour' AS due_at)
            {CountdownStatements.Reschedule.Replace("@now", "now()", StringComparison.Ordinal)}
            """);
        Assert.False(await store.CompleteAsync(new Effect(), due, Now));
        Assert.Equal(0, await bench.EffectsAsync());
        Assert.Equal(1, await Database.CountAsync("countdowns", "status = 'active' AND due_at > now() + interval '59 minutes'"));
    }

    [Fact]
    public async Task What_a_dead_process_had_claimed_waits_for_the_end_of_its_lease_only()
    {
        await bench.ScheduleAsync("claimed");
        Assert.Single(await bench.App.Get<CountdownStore>().ClaimAsync([CountdownBench.Kind], 10, TimeSpan.FromSeconds(60)));
        await bench.RunAsync();
        Assert.Equal(0, await bench.EffectsAsync());
        await Database.ExecuteAsync("UPDATE countdowns SET lease_until = now()");
        await bench.RunAsync();
        Assert.Equal(1, await bench.EffectsAsync());
    }

    [Fact]
    public async Task Process_that_comes_too_late_changes_nothing()
    {
        await bench.ScheduleAsync("slow");
        var store = bench.App.Get<CountdownStore>();
        var due = Assert.Single(await store.ClaimAsync([CountdownBench.Kind], 10, TimeSpan.FromSeconds(60)));
        await Database.ExecuteAsync("UPDATE countdowns SET lease_until = now()");
        await bench.RunAsync();
        Assert.False(await store.CompleteAsync(new Effect(), due, Now));
        Assert.Equal(1, await bench.EffectsAsync());
    }

    [Fact]
    public async Task Outage_is_no_attempt_of_the_handler()
    {
        await bench.ScheduleAsync("unlucky");
        bench.Instead["unlucky1"] = batch => batch.Add(new Statement(new Sql("SELECT pg_terminate_backend(pg_backend_pid())")));
        await bench.RunAsync();
        Assert.Equal(0, await Database.ScalarAsync<int>("SELECT attempts FROM countdowns WHERE subject = 'unlucky1'"));
        Assert.Equal(1, await Database.CountAsync("countdowns", "status = 'active' AND lease_until IS NULL AND next_attempt_at > now()"));
    }

    [Fact]
    public async Task Kind_that_nobody_here_knows_is_left_for_others()
    {
        await bench.ScheduleAsync("unknown", kind: "test.of_a_later_version");
        await bench.RunAsync();
        Assert.Equal(1, await Database.CountAsync("countdowns", "status = 'active' AND lease_until IS NULL AND attempts = 0"));
    }

    [Fact]
    public async Task Stop_finishes_what_runs_and_gives_the_rest_back()
    {
        await bench.ScheduleAsync("many", count: 150);
        using var stop = new CancellationTokenSource();
        bench.Instead["many1"] = _ => stop.Cancel();
        await bench.Dispatcher().RunAsync(stop.Token);
        var done = await bench.EffectsAsync();
        Assert.InRange(done, 1, 149);
        Assert.Equal(done, await Database.CountAsync("countdowns", "status = 'completed'"));
        Assert.Equal(150 - done, await Database.CountAsync("countdowns", "status = 'active' AND lease_until IS NULL"));
    }

    [Fact]
    public async Task Late_and_dead_are_counted()
    {
        await bench.ScheduleAsync("old", "interval '-1 minute'", kind: "test.of_a_later_version");
        await bench.ScheduleAsync("gone");
        await Database.ExecuteAsync("UPDATE countdowns SET status = 'dead', finished_at = now() WHERE subject = 'gone1'");
        await bench.RunAsync();
        Assert.Equal((1, 1), (bench.App.Get<CountdownMetrics>().State.Late, bench.App.Get<CountdownMetrics>().State.Dead));
        Assert.Contains(bench.App.Log.Lines, line => line.Contains("1 countdowns are late", StringComparison.Ordinal));
    }

    private Task<string?> StatusAsync(string subject) => Database.ScalarAsync<string>($"SELECT status FROM countdowns WHERE subject = '{subject}'");

    private Task CancelAsync(string subject) => Database.ExecuteAsync($"""
        WITH over AS (SELECT '{CountdownBench.Kind}' AS kind, '{subject}' AS subject)
        {CountdownStatements.Cancel.Replace("@now", "now()", StringComparison.Ordinal)}
        """);

    private sealed class Effect : ICountdownHandler
    {
        public string Kind => CountdownBench.Kind;

        public void AddEffect(NpgsqlBatch batch, DueCountdown countdown, Occasion occasion) =>
            batch.Add(new Statement(new Sql("INSERT INTO effects (countdown, subject, due_at) VALUES (@id, @subject, @due_at)"))
                .Bind("id", countdown.Id).Bind("subject", countdown.Subject).Bind("due_at", countdown.DueAt));
    }
}
