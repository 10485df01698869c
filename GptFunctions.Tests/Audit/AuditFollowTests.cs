using System.Collections.Concurrent;
using System.Diagnostics;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Audit;

/// <summary><c>audit tail --follow</c> shows every event once, in whatever order events happen, are recorded and are committed.</summary>
public sealed class AuditFollowTests : IAsyncLifetime
{
    private readonly ConcurrentQueue<string> seen = new();
    private TestDatabase database = null!;

    public async Task InitializeAsync() => database = await TestDatabase.CreateAsync(nameof(AuditFollowTests));

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task Follow_shows_events_that_are_recorded_late_or_committed_late()
    {
        await database.ExecuteAsync(Insert("before", "now() - interval '1 minute'"));
        await using var late = await database.HoldAsync(Insert("committed-late", "now()"));
        using var tail = Tail("--follow", "--since", "1h");
        await ShownAsync("before");

        await database.ExecuteAsync(Insert("next", "now()"));
        await ShownAsync("next");
        await database.ExecuteAsync(Insert("happened-long-ago", "now() - interval '3 days'"));
        await ShownAsync("happened-long-ago");
        await late.LetGoAsync();
        await ShownAsync("committed-late");
        await database.ExecuteAsync(Insert("last", "now()"));
        await ShownAsync("last");

        tail.Kill();
        await tail.WaitForExitAsync();
        Assert.Equal(["before", "next", "happened-long-ago", "committed-late", "last"], seen);
    }

    /// <summary>Writers whose transactions overlap in every way.</summary>
    [Fact]
    public async Task Follow_neither_skips_nor_repeats_while_many_write()
    {
        const int writers = 4;
        const int each = 100;
        var store = new AuditTrailStore(database.Source);
        var look = await store.LookAsync(CancellationToken.None);
        var writing = Task.WhenAll(Enumerable.Range(0, writers).Select(writer => Task.Run(async () =>
        {
            for (var number = 0; number < each; number++)
            {
                await database.ExecuteAsync(
                    $"BEGIN; {Insert($"{writer}-{number}", "now() - random() * interval '2 days'")}; SELECT pg_sleep(random() * 0.01); COMMIT");
            }
        })));
        while (!writing.IsCompleted)
        {
            look = await store.FollowAsync(look, new AuditFilter(), row => seen.Enqueue(row.ClientId!), CancellationToken.None);
        }

        await writing;
        await store.FollowAsync(look, new AuditFilter(), row => seen.Enqueue(row.ClientId!), CancellationToken.None);
        Assert.Equal(writers * each, seen.Count);
        Assert.Equal(writers * each, seen.Distinct().Count());
    }

    /// <summary>A copy of the database made from a dump counts transactions anew, often from lower numbers on.</summary>
    [Fact]
    public async Task Follow_in_a_copy_shows_old_events_once()
    {
        await database.ExecuteAsync("""
            INSERT INTO gpt_oauth_events (event_id, event_type, client_id, metadata, source, occurred_at, recorded_at, recorded_in)
            VALUES (gen_random_uuid(), 'gpt.action.test', 'restored', '{}', 'test', now() - interval '2 days', now() - interval '2 days', '900000000')
            """);
        using var tail = Tail("--follow", "--since", "7d");
        await ShownAsync("restored");
        await database.ExecuteAsync(Insert("new", "now()"));
        await ShownAsync("new");
        Assert.Equal(["restored", "new"], seen);
        tail.Kill();
        await tail.WaitForExitAsync();
    }

    private static string Insert(string client, string at) =>
        "INSERT INTO gpt_oauth_events (event_id, event_type, client_id, metadata, source, occurred_at) "
        + $"VALUES (gen_random_uuid(), 'gpt.action.test', '{client}', '{{}}', 'test', {at})";

    private Task ShownAsync(string client) => Wait.UntilAsync(() => seen.Contains(client));

    private Process Tail(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "GptFunctions.dll"), "audit", "tail", "--json", .. arguments])
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
            WorkingDirectory = Path.GetTempPath(),
        };
        foreach (var (key, value) in TestApp.DefaultSettings(database.Url, TestApp.FreePort()))
        {
            start.Environment[key] = value;
        }

        var process = new Process { StartInfo = start };
        process.OutputDataReceived += (_, line) =>
        {
            if (line.Data is { Length: > 0 } json)
            {
                seen.Enqueue(System.Text.Json.JsonElement.Parse(json).GetProperty("client_id").GetString()!);
            }
        };
        process.Start();
        process.BeginOutputReadLine();
        return process;
    }
}
