using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Audit;

/// <summary>audit.md 2 and 12: the queue is full. Events wait in the outbox, and each is recorded once when there is room again.</summary>
[Collection(AuditQueueTurns.Name)]
public sealed class FullQueueTests : IAsyncLifetime
{
    private const int Room = 3;
    private TestBroker broker = null!;
    private TestDatabase database = null!;
    private Dictionary<string, string?> settings = null!;

    public async Task InitializeAsync()
    {
        broker = await TestBroker.ConnectAsync();
        database = await TestDatabase.CreateAsync(nameof(FullQueueTests));
        settings = TestApp.DefaultSettings(database.Url, TestApp.FreePort()).With([new("RABBITMQ_URL", broker.Url), new("OUTBOX_RELAY", "true")]);
        await broker.DeleteAsync(AuditSettings.Queue, AuditSettings.DeadLetters);
        var (exitCode, output, error) = await AppProcess.RunAsync(settings, "setup");
        Assert.True(exitCode == 0, output + error);
    }

    public async Task DisposeAsync()
    {
        await broker.DeleteAsync(AuditSettings.Queue); // it is not as setup declares it
        await broker.DisposeAsync();
        await database.DisposeAsync();
    }

    [Fact]
    public async Task Events_wait_in_the_outbox_while_the_queue_is_full()
    {
        var asDeclared = new Dictionary<string, object?>(StringComparer.Ordinal)
        {
            ["x-queue-type"] = "classic",
            ["x-dead-letter-exchange"] = AuditSettings.DeadLetters,
            ["x-overflow"] = "reject-publish",
        };
        await broker.DeclareExactlyAsync(AuditSettings.Queue, asDeclared); // refused if setup had declared it otherwise
        await broker.DeleteAsync(AuditSettings.Queue);
        // What an operator's policy does.
        await broker.DeclareExactlyAsync(AuditSettings.Queue, new(asDeclared, StringComparer.Ordinal) { ["x-max-length"] = Room });
        await broker.BindAsync(AuditSettings.Queue, "gpt.events", "gpt.oauth.#");

        await using (var full = await TestApp.StartAsync(database, settings.With([new("AzureWebJobs.AuditConsumer.Disabled", "true")])))
        {
            var flow = new OAuthFlow(full.Http);
            var client = await OAuthFlow.AddClientAsync(full);
            await database.ExecuteAsync("DELETE FROM outbox_messages WHERE routing_key = 'gpt.operator.client_added'");
            for (var number = 0; number < Room; number++)
            {
                await flow.TokensAsync(client, "user_" + number.ToString(CultureInfo.InvariantCulture));
            }

            await Wait.UntilAsync(
                async () => await broker.CountAsync(AuditSettings.Queue) == Room && await database.CountAsync("outbox_messages") == 2 * Room);
            await Wait.UntilAsync(() => full.Log.Lines.Any(line => line.Contains("the broker did not take every message", StringComparison.Ordinal)));
            await MetricsTellOfItAsync(full);
        }

        await using var consuming = await TestApp.StartAsync(
            database, settings.With([new("PORT", TestApp.FreePort().ToString(CultureInfo.InvariantCulture))]));
        await Wait.UntilAsync(async () => await database.CountAsync("outbox_messages") == 0 && await broker.CountAsync(AuditSettings.Queue) == 0);
        await Wait.UntilAsync(async () => await database.CountAsync("gpt_oauth_events") == 3 * Room);
    }

    /// <summary>"Metrics: age of the oldest row, rows waiting, published, failed."</summary>
    private static async Task MetricsTellOfItAsync(TestApp app)
    {
        var figures = new ConcurrentDictionary<string, double>(StringComparer.Ordinal);
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter == app.Get<AuditMetrics>().Meter)
            {
                self.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>(
            (instrument, value, _, _) => figures.AddOrUpdate(instrument.Name, value, (_, sum) => instrument.IsObservable ? value : sum + value));
        listener.SetMeasurementEventCallback<double>((instrument, value, _, _) => figures[instrument.Name] = value);
        listener.Start();
        app.Clock.Advance(TimeSpan.FromSeconds(30)); // what is in the way is counted every ten
        await Wait.UntilAsync(() =>
        {
            listener.RecordObservableInstruments();
            return figures.GetValueOrDefault("gpt.outbox.waiting") == 2 * Room && figures.GetValueOrDefault("gpt.outbox.age") >= 30
                && figures.GetValueOrDefault("gpt.outbox.failed") >= 2 * Room;
        });
        Assert.Equal(0, figures.GetValueOrDefault("gpt.outbox.published"));
    }
}
