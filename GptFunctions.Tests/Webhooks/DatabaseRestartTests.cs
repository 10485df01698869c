using System.Net;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>
/// The database restarts while events are delivered: senders are told to come again, and in the end each event took effect once. On a server of its own.
/// </summary>
[Trait("Category", "Chaos")]
public sealed class DatabaseRestartTests : IAsyncLifetime
{
    private const long Time = 1_700_000_000_000;
    private const int EventCount = 600;
    private readonly PrivateServices services = new("webhooks");
    private TestDatabase database = null!;
    private readonly TaskCompletionSource stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private AppProcess process = null!;
    private int delivered;
    private int turnedAway;

    public async Task InitializeAsync()
    {
        await services.StartAsync("postgres");
        database = await TestDatabase.CreateOnAsync(services.DatabaseUrl, nameof(DatabaseRestartTests));
        var settings = TestApp.DefaultSettings(database.Url, 0).With(WebhookSender.Settings);
        settings["PUBLIC_BASE_URL"] = "http://127.0.0.1:7071";
        var (exitCode, output, error) = await AppProcess.RunAsync(settings, "setup");
        Assert.True(exitCode == 0, output + error);
        process = await AppProcess.StartAsync(settings);
    }

    public async Task DisposeAsync()
    {
        await process.DisposeAsync();
        await database.DisposeAsync();
        await services.DisposeAsync();
    }

    [Fact]
    public async Task Events_delivered_while_the_database_restarts_take_effect_once()
    {
        var load = Enumerable.Range(0, 8).Select(worker => Task.Run(() => WorkAsync(worker))).ToList();
        await Wait.UntilAsync(() => Volatile.Read(ref delivered) > EventCount / 4);
        await services.StopAsync("postgres");
        stopped.SetResult();
        await services.StartAsync("postgres");
        await Task.WhenAll(load);

        database.Source.Clear(); // this test's own idle connections died with the server
        Assert.NotEqual(0, turnedAway);
        Assert.Equal(EventCount, await database.CountAsync("users", "email = clerk_user_id || '@example.com'"));
        Assert.Equal(EventCount, await database.CountAsync("webhook_events", "status = 'completed' AND attempts = 1"));
        Assert.Equal(EventCount, await database.CountAsync("outbox_messages", $"routing_key = '{AuditEvents.UserUpdated}'"));
    }

    private async Task WorkAsync(int worker)
    {
        for (var number = worker; number < EventCount; number += 8)
        {
            if (number >= EventCount / 2)
            {
                await stopped.Task; // however fast they are, some come while it is away
            }

            var body = Events.User("user.created", $"user_{number}", Time);
            while (true)
            {
                var answer = await new WebhookSender(process.Http).ClerkAsync(body, $"msg_{number}");
                if (answer.Status == HttpStatusCode.OK)
                {
                    break;
                }

                Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.Status);
                Interlocked.Increment(ref turnedAway);
                await Task.Delay(100);
            }

            Interlocked.Increment(ref delivered);
        }
    }
}
