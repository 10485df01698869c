using System.Net;
using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Audit;

/// <summary>
/// hosting.md 7 and health.md 4: a queue or broker that is missing at the start keeps the consumer off for good, and the pod's readiness notices.
/// </summary>
[Collection(AuditQueueTurns.Name)]
public sealed class ConsumerReadinessTests : IAsyncLifetime
{
    private static readonly (string, string?)[] AuditPod = [
        ("AzureFunctionsJobHost:functions:0", "AuditConsumer"), ("AzureFunctionsJobHost:functions:1", "Ready"),
    ];
    private TestBroker broker = null!;
    private TestDatabase database = null!;
    private Dictionary<string, string?> settings = null!;

    public async Task InitializeAsync()
    {
        broker = await TestBroker.ConnectAsync();
        await broker.DeclareAsync(AuditSettings.Queue);
        database = await TestDatabase.CreateAsync(nameof(ConsumerReadinessTests));
        settings = TestApp.DefaultSettings(database.Url, TestApp.FreePort()).With([new("RABBITMQ_URL", broker.Url)]);
    }

    public async Task DisposeAsync()
    {
        await broker.DeleteAsync(AuditSettings.Queue); // it is not as setup declares it
        await broker.DisposeAsync();
        await database.DisposeAsync();
    }

    [Fact]
    public async Task Pod_that_consumes_is_ready()
    {
        await using var pod = await TestApp.StartAsync(database, With(AuditPod));

        await Wait.UntilAsync(async () => await ReadyAsync(pod) == (HttpStatusCode.OK, "ok"));
    }

    /// <summary>Under the Functions host it stays that way, and the pod is started anew; the standalone host finds the queue when it comes.</summary>
    [Fact]
    public async Task Pod_without_a_queue_is_not_ready_until_there_is_one()
    {
        await broker.DeleteAsync(AuditSettings.Queue);
        await using var pod = await TestApp.StartAsync(database, With(AuditPod));
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "there is no queue gpt-audit-events: run 'GptFunctions setup'"), await ReadyAsync(pod));

        await broker.DeclareAsync(AuditSettings.Queue);
        await Wait.UntilAsync(async () => await ReadyAsync(pod) == (HttpStatusCode.OK, "ok"));
    }

    /// <summary>The host's view, not the consumer's own: a queue that nobody consumes is not well.</summary>
    [Fact]
    public async Task Queue_that_nobody_consumes_is_a_problem()
    {
        await using var idle = await TestApp.StartAsync(database, With([("AzureWebJobs.AuditConsumer.Disabled", "true")]));

        Assert.Equal("nobody consumes the queue gpt-audit-events", await idle.Get<ConsumerCheck>().FindProblemAsync(CancellationToken.None));
    }

    [Fact]
    public async Task Pod_without_its_broker_is_not_ready()
    {
        await using var proxy = new TestProxy(broker.Url);
        await using var pod = await TestApp.StartAsync(database, With([.. AuditPod, ("RABBITMQ_URL", proxy.Url)]));
        await Wait.UntilAsync(async () => (await ReadyAsync(pod)).Status == HttpStatusCode.OK);

        await proxy.CutAsync();
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "the broker does not answer"), await ReadyAsync(pod));
    }

    /// <summary>"Broker reachable or relay able to wait": who answers requests goes on without a broker, and says what is missing.</summary>
    [Fact]
    public async Task Process_that_also_answers_requests_serves_without_a_consumer()
    {
        await broker.DeleteAsync(AuditSettings.Queue);
        await using var all = await TestApp.StartAsync(database, With([]));

        Assert.Equal((HttpStatusCode.OK, "degraded: there is no queue gpt-audit-events: run 'GptFunctions setup'"), await ReadyAsync(all));
    }

    private Dictionary<string, string?> With((string Name, string? Value)[] more) =>
        settings.With(more.Select(setting => KeyValuePair.Create(setting.Name, setting.Value)));

    private static async Task<(HttpStatusCode Status, string? Consumer)> ReadyAsync(TestApp app)
    {
        app.Clock.Advance(TimeSpan.FromSeconds(2)); // the answer is kept that long
        using var response = await app.GetAsOperatorAsync("/ready");
        return (
            response.StatusCode,
            JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("checks").GetProperty("audit_consumer").GetString());
    }
}
