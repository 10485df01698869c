using System.Diagnostics;
using System.Net;
using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Tests.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Health;

/// <summary>health.md 9 to 12 with a broker: everything well, the broker taken away, and nothing left behind.</summary>
[Collection(AuditQueueTurns.Name)]
public sealed class SelfTestBrokerTests : IAsyncLifetime
{
    private static readonly TimeSpan AboutThreeSeconds = TimeSpan.FromSeconds(5); // on a busy machine
    private SelfTestBench bench = null!;

    public async Task InitializeAsync() => bench = await SelfTestBench.StartAsync(nameof(SelfTestBrokerTests), await TestBroker.ConnectAsync());

    public async Task DisposeAsync() => await bench.DisposeAsync();

    [Fact]
    public async Task Broker_away_or_silent_degrades_because_events_wait()
    {
        await bench.UntilAsync(HttpStatusCode.OK);
        await bench.BrokerWay!.CutAsync();
        await bench.UntilAsync(HttpStatusCode.OK, "rabbitmq degraded");

        bench.BrokerWay!.Restore();
        await bench.UntilAsync(HttpStatusCode.OK);
        bench.BrokerWay!.Silence();
        var watch = Stopwatch.StartNew();
        Assert.Equal(["rabbitmq degraded"], (await bench.RunAsync()).NotOk);
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, AboutThreeSeconds);

        bench.BrokerWay!.Speak();
        await bench.UntilAsync(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Runs_leave_nothing_behind()
    {
        await bench.UntilAsync(HttpStatusCode.OK);
        IReadOnlyDictionary<string, long> before = new Dictionary<string, long>();
        await Wait.UntilAsync(async () =>
        {
            before = await bench.CountAllAsync();
            return before["broker connections"] == 1; // the consumer's; the run before may still be saying goodbye
        });
        Assert.Equal(1, before["feed connections"]);
        for (var run = 0; run < 20; run++)
        {
            Assert.Empty((await bench.RunAsync()).NotOk);
        }

        await Wait.UntilAsync(async () => (await bench.CountAllAsync()).SequenceEqual(before));
    }

    [Fact]
    public async Task Everything_well_is_ok_in_the_shape_of_the_contract()
    {
        await Wait.UntilAsync(async () => (await bench.RunAsync()).Details("rabbitmq").TryGetProperty("consumers", out var count) && count.ToString() == "1");
        await bench.UntilAsync(HttpStatusCode.OK);
        var matrix = await bench.RunAsync();
        Assert.Equal(["status", "version", "safe_mode", "timestamp", "subsystems", "metrics"], matrix.Json.EnumerateObject().Select(member => member.Name));
        Assert.Equal("ok", matrix.Json.GetProperty("status").GetString());
        Assert.False(matrix.Json.GetProperty("safe_mode").GetBoolean());
        Assert.Equal(
            [
                "callbacks", "change_feed", "clerk", "countdowns", "database", "gateway_upstreams", "outbox", "purge", "rabbitmq", "rate_limits",
                "secrets_mount", "signing_key", "stripe", "webhook_clerk", "webhook_orders", "webhook_stripe", "webhook_verification",
            ], matrix.Subsystems.Select(part => part.Name));
        Assert.All(matrix.Subsystems, part =>
        {
            Assert.Equal(["status", "duration_ms", "details", "error"], part.Value.EnumerateObject().Select(member => member.Name));
            Assert.Equal(JsonValueKind.Null, part.Value.GetProperty("error").ValueKind);
            Assert.InRange(part.Value.GetProperty("duration_ms").GetInt64(), 0, 3000);
        });
        Assert.Equal("""{"total":17,"passed":17,"safe_mode":0,"degraded":0,"blocker":0}""", matrix.Json.GetProperty("metrics").ToString());
        Assert.Equal(15, matrix.Details("database").GetProperty("pool_size").GetInt32());
        Assert.InRange(matrix.Details("database").GetProperty("pool_in_use").GetInt32(), 0, 14);
        Assert.Equal(1, matrix.Details("rabbitmq").GetProperty("consumers").GetInt32());
        Assert.Equal("ok", matrix.Details("gateway_upstreams").GetProperty(new Uri(bench.Upstream.Url).Authority).GetString());
    }

    [Fact]
    public async Task Dead_letters_a_missing_queue_and_messages_without_a_consumer_are_said()
    {
        await bench.Broker!.PublishAsync(AuditSettings.DeadLetters, "dead");
        await bench.UntilAsync(HttpStatusCode.OK, "rabbitmq degraded");
        Assert.Equal("1 messages were given up (runbook, \"Dead letters\").", (await bench.RunAsync()).Error("rabbitmq"));
        await bench.Broker.DeleteAsync(AuditSettings.DeadLetters);
        Assert.Equal("There is no queue gpt-audit-events.dead: run 'GptFunctions setup'.", (await bench.RunAsync()).Error("rabbitmq"));

        await using var idle = await bench.App.StartReplicaAsync(("AzureWebJobs.AuditConsumer.Disabled", "true"));
        await bench.App.DisposeAsync(); // the only consumer
        await bench.Broker.PublishAsync(AuditSettings.Queue, "waits");
        using var answer = await idle.GetAsOperatorAsync("/__selftest");
        var matrix = new Matrix(answer.StatusCode, JsonElement.Parse(await answer.Content.ReadAsStringAsync()));
        Assert.StartsWith("There is no queue gpt-audit-events.dead", matrix.Error("rabbitmq"), StringComparison.Ordinal);
        Assert.Contains("1 messages wait in gpt-audit-events and nobody consumes it", matrix.Error("rabbitmq"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Missing_exchange_and_retry_queue_are_said()
    {
        await bench.UntilAsync(HttpStatusCode.OK);
        await bench.Broker!.DeleteAsync(AuditSettings.Retry);
        Assert.Equal("There is no queue gpt-audit-events.retry: run 'GptFunctions setup'.", (await bench.RunAsync()).Error("rabbitmq"));
        await using var other = await bench.App.StartReplicaAsync(("GPT_EVENTS_EXCHANGE", "gpt.doctor-missing"));
        using var answer = await other.GetAsOperatorAsync("/__selftest");
        Assert.StartsWith(
            "There is no exchange gpt.doctor-missing, so audit events wait in the outbox: run 'GptFunctions setup'.",
            new Matrix(answer.StatusCode, JsonElement.Parse(await answer.Content.ReadAsStringAsync())).Error("rabbitmq"), StringComparison.Ordinal);
        await bench.App.Get<Topology>().DeclareAsync(CancellationToken.None);
    }
}
