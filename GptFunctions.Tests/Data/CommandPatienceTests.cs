using GptFunctions.Data;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Data;

/// <summary>data.md 7: for a command one person waits, and no requests behind them.</summary>
public sealed class CommandPatienceTests
{
    [Fact]
    public async Task Command_waits_longer_for_the_database_than_a_request()
    {
        await using var database = await TestDatabase.CreateAsync(nameof(CommandPatienceTests));
        await using var held = await database.HoldAsync("LOCK TABLE gpt_clients IN ACCESS EXCLUSIVE MODE");
        var list = AppProcess.RunAsync(TestApp.DefaultSettings(database.Url, 7071), "clients", "list");
        var longer = $"{(Database.LookUpLimit + TimeSpan.FromMilliseconds(500)).TotalSeconds} seconds";
        var waits = $"datname = current_database() AND wait_event_type = 'Lock' AND query_start < now() - '{longer}'::interval";
        await Wait.UntilAsync(async () => await database.CountAsync("pg_stat_activity", waits) > 0);
        await held.LetGoAsync();
        var (exitCode, _, error) = await list;
        Assert.True(exitCode == 0, error);
    }
}
