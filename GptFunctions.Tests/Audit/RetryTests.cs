using System.Globalization;
using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Audit;

/// <summary>audit.md 9: an outage uses up no attempts; a long one goes through a retry queue with a delay.</summary>
[Collection(AuditQueueTurns.Name)]
public sealed class RetryTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private TestBroker broker = null!;
    private TestDatabase database = null!;

    public async Task InitializeAsync()
    {
        broker = await TestBroker.ConnectAsync();
        database = await TestDatabase.CreateAsync(nameof(RetryTests));
    }

    public async Task DisposeAsync()
    {
        await broker.DeleteAsync(AuditSettings.Queue, AuditSettings.DeadLetters, AuditSettings.Retry); // not every class declares them the same
        await broker.DisposeAsync();
        await database.DisposeAsync();
    }

    /// <summary>
    /// A second counts as a minute: each event is held and handed over as often as in an hour and more, and one consumer is killed meanwhile.
    /// </summary>
    [Theory]
    [InlineData("classic")]
    [InlineData("quorum")]
    public async Task Outage_of_an_hour_sends_no_event_to_the_dead_letters(string type)
    {
        await using var proxy = new TestProxy(database.Url);
        var settings = await SetUpAsync(proxy.Url, type);
        await using var victim = await AppProcess.StartAsync(settings);
        await using var survivor = await AppProcess.StartAsync(settings);
        await proxy.CutAsync();
        await PublishAsync(3);
        await Wait.UntilAsync(() => Task.FromResult(HandedOver(victim) >= 4), Patience);
        await victim.KillAsync();
        await Wait.UntilAsync(() => Task.FromResult(HandedOver(survivor) >= 20), Patience); // each far more often than the five times that a failure has
        await PublishAsync(1000);
        var before = HandedOver(survivor);
        await Wait.UntilAsync(() => Task.FromResult(HandedOver(survivor) >= before + 5), Patience);

        proxy.Restore();
        await Wait.UntilAsync(async () => await database.CountAsync("gpt_oauth_events") == 1003, Patience);
        await Wait.UntilAsync(async () => await broker.CountAsync(AuditSettings.Queue) == 0 && await broker.CountAsync(AuditSettings.Retry) == 0, Patience);
        Assert.Equal(0u, await broker.CountAsync(AuditSettings.DeadLetters));
        Assert.Equal(0, await database.CountAsync("audit_quarantine"));
    }

    /// <summary>A table that is missing or locked up for a repair is no fault of the message either.</summary>
    [Fact]
    public async Task Refusal_that_is_not_of_the_messages_making_uses_up_no_attempt()
    {
        var settings = await SetUpAsync(database.Url, "classic");
        await using var app = await TestApp.StartAsync(database, settings);
        await database.ExecuteAsync("ALTER TABLE gpt_oauth_events RENAME TO gpt_oauth_events_away");
        await PublishAsync(2);
        await Wait.UntilAsync(() => Task.FromResult(app.Log.Lines.Count(line => line.StartsWith("Warning 3020", StringComparison.Ordinal)) >= 8), Patience);
        await database.ExecuteAsync("ALTER TABLE gpt_oauth_events_away RENAME TO gpt_oauth_events");

        await Wait.UntilAsync(async () => await database.CountAsync("gpt_oauth_events") == 2, Patience);
        Assert.Equal(0u, await broker.CountAsync(AuditSettings.DeadLetters));
    }

    /// <summary>A function that is cancelled counts as failed: a pod that is stopped five times during an outage must not cost an event.</summary>
    [Fact]
    public async Task Stop_during_an_outage_hands_the_message_over()
    {
        await using var proxy = new TestProxy(database.Url);
        var settings = (await SetUpAsync(proxy.Url, "classic")).With([new("AUDIT_RETRY_SECONDS", "110")]);
        var app = await TestApp.StartAsync(database, settings);
        await using var held = await database.HoldAsync("LOCK TABLE gpt_oauth_events");
        await PublishAsync(1);
        await database.WaitForBlockedAsync(1); // the function is at work: a message that has only left the queue goes back to it
        await proxy.CutAsync();
        await app.DisposeAsync();

        await Wait.UntilAsync(async () => await broker.CountAsync(AuditSettings.Retry) == 1);
        var message = await broker.GetAsync(AuditSettings.Retry);
        Assert.Equal("110000", message.BasicProperties.Expiration);
        Assert.True(message.BasicProperties.Persistent);
        Assert.Equal(0u, await broker.CountAsync(AuditSettings.Queue));
    }

    /// <summary>Without its queue the message is held, not failed and not lost.</summary>
    [Fact]
    public async Task Message_is_held_while_there_is_no_retry_queue()
    {
        await using var proxy = new TestProxy(database.Url);
        var settings = await SetUpAsync(proxy.Url, "classic");
        await broker.DeleteAsync(AuditSettings.Retry);
        await using var app = await TestApp.StartAsync(database, settings);
        await proxy.CutAsync();
        await PublishAsync(1);
        await Wait.UntilAsync(() => app.Log.Lines.Count(line => line.StartsWith("Warning 3021", StringComparison.Ordinal)) >= 2);
        proxy.Restore();

        await Wait.UntilAsync(async () => await database.CountAsync("gpt_oauth_events") == 1);
        Assert.Equal(0u, await broker.CountAsync(AuditSettings.DeadLetters));
    }

    /// <summary>"functionTimeout and its five attempts count"; RabbitMQ takes messages away that are not acknowledged for half an hour.</summary>
    [Fact]
    public void Message_is_held_for_less_than_host_and_broker_allow()
    {
        using var host = JsonDocument.Parse(File.ReadAllText(Path.Combine(TestServices.RepositoryRoot, "host.json")));
        var timeout = TimeSpan.Parse(host.RootElement.GetProperty("functionTimeout").GetString()!, CultureInfo.InvariantCulture);
        var prefetch = host.RootElement.GetProperty("extensions").GetProperty("rabbitMQ").GetProperty("prefetchCount").GetInt32();
        var longest = new AuditSettings { RetrySeconds = 110 }.Hold;

        Assert.True(longest < timeout / 2);
        Assert.True(longest * prefetch < TimeSpan.FromMinutes(30));
    }

    private static int HandedOver(AppProcess process) => process.Output.Count(line => line.Contains("comes again in", StringComparison.Ordinal));

    private async Task<Dictionary<string, string?>> SetUpAsync(string databaseUrl, string type)
    {
        await broker.DeleteAsync(AuditSettings.Queue, AuditSettings.DeadLetters, AuditSettings.Retry);
        var settings = TestApp.DefaultSettings(databaseUrl, TestApp.FreePort()).With(
            [new("RABBITMQ_URL", broker.Url), new("AUDIT_QUEUE_TYPE", type), new("AUDIT_RETRY_SECONDS", "1")]);
        var (exitCode, output, error) = await AppProcess.RunAsync(settings, "setup");
        Assert.True(exitCode == 0, output + error);
        return settings;
    }

    private async Task PublishAsync(int count)
    {
        for (var number = 0; number < count; number++)
        {
            await broker.PublishAsync(AuditSettings.Queue, $$$"""
                {"event_id":"{{{Guid.CreateVersion7()}}}","event_type":"gpt.action.test","timestamp":"2026-01-15T12:00:00Z",
                "source_service":"test","correlation_id":"c","payload":{}}
                """);
        }
    }
}
