using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Audit;

/// <summary>Nothing stops the relay, and nothing at the head of the outbox blocks what comes behind it.</summary>
[Collection(AuditQueueTurns.Name)]
public sealed class RelayTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private TestApp app = null!;
    private TestBroker broker = null!;

    private TestDatabase Database => app.Database;

    public async Task InitializeAsync()
    {
        broker = await TestBroker.ConnectAsync();
        var database = await TestDatabase.CreateAsync(nameof(RelayTests));
        var settings = new Dictionary<string, string?>(StringComparer.Ordinal) { ["RABBITMQ_URL"] = broker.Url, ["OUTBOX_RELAY"] = "true" };
        await broker.DeleteAsync(AuditSettings.Queue, AuditSettings.DeadLetters, AuditSettings.Retry); // what an earlier run left
        var (exitCode, output, error) = await AppProcess.RunAsync(TestApp.DefaultSettings(database.Url, 0).With(settings), "setup");
        Assert.True(exitCode == 0, output + error);
        app = await TestApp.StartAsync(database, settings);
    }

    public async Task DisposeAsync()
    {
        await app.DisposeAsync();
        await broker.DisposeAsync();
    }

    [Fact]
    public async Task Relay_goes_on_after_an_exception_that_nobody_expected()
    {
        await Database.ExecuteAsync("ALTER TABLE outbox_messages RENAME TO outbox_away"); // 42P01 is no outage
        await Wait.UntilAsync(() => app.Log.Lines.Any(IsWaiting));
        await Database.ExecuteAsync("ALTER TABLE outbox_away RENAME TO outbox_messages");
        await AppendAsync("gpt.action.test", "user_after", 1);

        await WaitForAsync("user_after", 1);
        using var health = await app.Http.GetAsync(new Uri("/health", UriKind.Relative));
        Assert.True(health.IsSuccessStatusCode);
        Assert.Single(app.Log.Lines, IsWaiting);
        await Wait.UntilAsync(() => app.Log.Lines.Any(line => line.StartsWith("Information 3003", StringComparison.Ordinal)));

        static bool IsWaiting(string line) => line.StartsWith("Warning 3002", StringComparison.Ordinal) && line.Contains("42P01", StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unroutable_events_block_nobody_and_are_set_aside_until_they_are_put_back()
    {
        await AppendAsync("gpt.unknown.event", "user_stranded", 700);
        await AppendAsync("gpt.action.test", "user_behind", 1);
        await WaitForAsync("user_behind", 1);
        await Wait.UntilAsync(async () => await Database.CountAsync("outbox_messages") == 700); // not for good yet: a binding may be on its way

        await SetAsideAsync(700);
        Assert.Equal(0, await Database.CountAsync("outbox_messages"));
        await Wait.UntilAsync(() => app.Log.Lines.Any(line =>
            line.StartsWith("Error 3004", StringComparison.Ordinal) && line.Contains("700", StringComparison.Ordinal))); // said once it is committed
        await Wait.UntilAsync(() => app.Get<AuditMetrics>().Backlog.Stranded == 700);
        var list = await AppProcess.RunAsync(app.Settings, "audit", "stranded", "list");
        Assert.Contains("gpt.unknown.event", list.Output, StringComparison.Ordinal);
        Assert.Contains("700 events are set aside.", list.Output, StringComparison.Ordinal);

        await broker.BindAsync(AuditSettings.Queue, "gpt.events", "gpt.unknown.#");
        var requeue = await AppProcess.RunAsync(app.Settings, "audit", "stranded", "requeue", "--type", "gpt.unknown.event");
        Assert.Equal((0, "700 events are back in the outbox."), (requeue.ExitCode, requeue.Output.Trim()));
        await WaitForAsync("user_stranded", 700);
        Assert.Equal(0, await Database.CountAsync("outbox_stranded"));
        Assert.Equal(Enumerable.Range(1, 700), (await Database.ScalarAsync<int[]>(
            "SELECT array_agg((metadata ->> 'number')::int ORDER BY recorded_in) FROM gpt_oauth_events WHERE clerk_user_id = 'user_stranded'"))!);
    }

    /// <summary>"a test compares the types that the program can write with the bindings: a type without one would wait in the outbox for ever"</summary>
    [Fact]
    public async Task Every_type_of_event_has_a_binding()
    {
        string[] types = [.. DocumentTablesTests.EventTypes, "gpt.action.any", "gpt.action.any.result"];
        foreach (var type in types)
        {
            await AppendAsync(type, "user_" + type, 1);
        }

        Assert.True(types.Length > 10);
        await Wait.UntilAsync(async () => await Database.CountAsync("gpt_oauth_events", "clerk_user_id LIKE 'user_gpt.%'") == types.Length, Patience);
    }

    /// <summary>AMQP has room for 255 octets.</summary>
    [Fact]
    public async Task Routing_key_that_the_protocol_cannot_carry_blocks_nobody()
    {
        await AppendAsync("gpt.action." + new string('x', 300), "user_long", 1);
        await AppendAsync("gpt.action.test", "user_short", 1);
        await WaitForAsync("user_short", 1);
        await SetAsideAsync(1);
    }

    private Task AppendAsync(string routingKey, string user, int count) => Database.ExecuteAsync($"""
        INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
        SELECT id, '{routingKey}', now(), event_envelope(id, 'gpt.action.test', now(), 'c', jsonb_build_object('clerk_user_id', '{user}', 'number', number))
        FROM generate_series(1, {count}) number, LATERAL (SELECT uuid_v7(now() - number * interval '1 ms') AS id) made ORDER BY number
        """);

    private Task WaitForAsync(string user, int count) =>
        Wait.UntilAsync(async () => await Database.CountAsync("gpt_oauth_events", $"clerk_user_id = '{user}'") == count, Patience);

    /// <summary>Lets a minute pass since the relay noticed, and lets it try again without its pauses.</summary>
    private async Task SetAsideAsync(int count)
    {
        await Wait.UntilAsync(() => app.Log.Lines.Any(line => line.StartsWith("Warning 3002", StringComparison.Ordinal)));
        app.Clock.Advance(TimeSpan.FromMinutes(1));
        await Wait.UntilAsync(async () =>
        {
            app.Get<OutboxSignal>().Raise();
            return await Database.CountAsync("outbox_stranded") == count;
        }, Patience);
    }
}
