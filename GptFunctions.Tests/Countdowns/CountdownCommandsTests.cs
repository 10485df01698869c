using System.Text.Json;
using GptFunctions.Countdowns;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Countdowns;

public sealed class CountdownCommandsTests : IAsyncLifetime
{
    private CountdownBench bench = null!;

    private TestDatabase Database => bench.App.Database;

    public async Task InitializeAsync() => bench = await CountdownBench.StartAsync(nameof(CountdownCommandsTests));

    public async Task DisposeAsync() => await bench.App.DisposeAsync();

    [Fact]
    public async Task List_shows_what_is_asked_for()
    {
        await bench.ScheduleAsync("active", "interval '1 hour'");
        await bench.ScheduleAsync("done");
        await bench.RunAsync();
        var all = await RunAsync("list");
        Assert.Equal(0, all.ExitCode);
        Assert.Contains("active1", all.Output, StringComparison.Ordinal);
        Assert.Contains("done1", all.Output, StringComparison.Ordinal);
        var some = await RunAsync("list", "--status", "active", "--kind", CountdownBench.Kind, "--subject", "active1", "--json");
        var row = JsonElement.Parse(Assert.Single(some.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)));
        Assert.Equal(("active1", "active", 0), (
            row.GetProperty("subject").GetString(), row.GetProperty("status").GetString(), row.GetProperty("attempts").GetInt32()));
        Assert.Equal(1, (await RunAsync("list", "--limit", "0")).ExitCode);
    }

    [Fact]
    public async Task Replay_starts_a_dead_one_anew_and_tells()
    {
        await bench.ScheduleAsync("dead");
        await Database.ExecuteAsync("UPDATE countdowns SET status = 'dead', attempts = 5, finished_at = now(), last_error = 'x'");
        var id = await Database.ScalarAsync<Guid>("SELECT id FROM countdowns");
        Assert.Equal((0, $"{id} is active again\n"), await ResultAsync("replay", id));
        Assert.Single(await Database.EventsAsync(CountdownStore.Replayed, "countdown_id", id.ToString()));
        await bench.RunAsync();
        Assert.Equal(1, await bench.EffectsAsync());
        Assert.Contains("no dead countdown", (await RunAsync("replay", id.ToString())).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Replay_beside_an_active_one_of_its_kind_and_subject_is_refused()
    {
        await bench.ScheduleAsync("twice");
        await Database.ExecuteAsync("UPDATE countdowns SET status = 'dead', finished_at = now()");
        var id = await Database.ScalarAsync<Guid>("SELECT id FROM countdowns");
        await bench.ScheduleAsync("twice");
        var (exitCode, _, error) = await RunAsync("replay", id.ToString());
        Assert.Equal(1, exitCode);
        Assert.Contains("active already", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("active", "NULL")]
    [InlineData("dead", "now()")]
    public async Task Cancel_ends_one_without_its_effect_and_tells(string status, string finishedAt)
    {
        await bench.ScheduleAsync("cancelled");
        await Database.ExecuteAsync($"UPDATE countdowns SET status = '{status}', finished_at = {finishedAt}");
        var id = await Database.ScalarAsync<Guid>("SELECT id FROM countdowns");
        Assert.Equal((0, $"{id} is cancelled\n"), await ResultAsync("cancel", id, "--reason", "a mistake"));
        var told = Assert.Single(await Database.EventsAsync(CountdownStore.Cancelled, "countdown_id", id.ToString())).GetProperty("payload");
        Assert.Equal(("a mistake", "command:"), (told.GetProperty("reason").GetString(), told.GetProperty("operator").GetString()![..8]));
        await bench.RunAsync();
        Assert.Equal(0, await bench.EffectsAsync());
        Assert.Contains("no active or dead", (await RunAsync("cancel", id.ToString(), "--reason", "again")).Error, StringComparison.Ordinal);
        Assert.Contains("--reason", (await RunAsync("cancel", id.ToString())).Error, StringComparison.Ordinal);
    }

    private Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments) =>
        AppProcess.RunAsync(bench.App.Settings, ["countdowns", .. arguments]);

    private async Task<(int ExitCode, string Output)> ResultAsync(string command, Guid id, params string[] more)
    {
        var (exitCode, output, _) = await RunAsync([command, id.ToString(), .. more]);
        return (exitCode, output);
    }
}
