using System.Diagnostics;
using System.Net;
using System.Text;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;
using Xunit.Abstractions;

namespace GptFunctions.Tests.Webhooks;

/// <summary>Two processes of the program on one database.</summary>
public sealed class TwoInboxes : WebhookFixture<ReplicaTests>, IAsyncLifetime
{
    internal AppProcess[] Processes { get; private set; } = [];

    async Task IAsyncLifetime.InitializeAsync()
    {
        await InitializeAsync();
        Processes = await Task.WhenAll(AppProcess.StartAsync(App.Settings), AppProcess.StartAsync(App.Settings));
    }

    async Task IAsyncLifetime.DisposeAsync()
    {
        foreach (var process in Processes)
        {
            await process.DisposeAsync();
        }

        await DisposeAsync();
    }
}

/// <summary>webhooks.md 6 and 7: many deliveries at once, and processes that die.</summary>
public sealed class ReplicaTests(TwoInboxes fixture, ITestOutputHelper output) : IClassFixture<TwoInboxes>
{
    private const long Time = 1_700_000_000_000;
    private readonly TestApp app = fixture.App;

    /// <summary>
    /// "200 parallel deliveries of one id: one effect, one outbox row set, every answer 200-duplicate or 503-in-progress, no pool exhaustion." Each sender
    /// tries again until it is told 200.
    /// </summary>
    [Fact]
    public async Task Two_hundred_deliveries_of_one_event_over_two_processes_take_one_effect()
    {
        var user = WebhookSender.NewId("user");
        await fixture.Flow.TokensAsync(await OAuthFlow.AddClientAsync(app), user);
        var id = WebhookSender.NewId("msg");
        var body = Events.UserDeleted(user, Time).ToJsonString();
        var headers = WebhookSender.SvixHeaders(id, body);
        var inProgress = 0;
        var clock = Stopwatch.StartNew();

        var answers = await Task.WhenAll(Enumerable.Range(0, 200).Select(index => SettleAsync(new WebhookSender(fixture.Processes[index % 2].Http))));

        output.WriteLine($"200 deliveries settled in {clock.ElapsedMilliseconds} ms; {inProgress} answers were in_progress");
        Assert.Single(answers, answer => answer == """{"received":true}""");
        Assert.Equal(199, answers.Count(answer => answer == """{"received":true,"duplicate":true,"idempotent":true,"reason":"already_completed"}"""));
        Assert.Equal(
            "completed 1",
            await app.Database.ScalarAsync<string>("SELECT concat_ws(' ', status, attempts) FROM webhook_events WHERE event_id = $1", id));
        Assert.Single(await app.Database.EventsAsync(AuditEvents.AllSessionsRevoked, "clerk_user_id", user));
        Assert.Single(await app.Database.EventsAsync(AuditEvents.UserDeleted, "clerk_user_id", user));

        async Task<string> SettleAsync(WebhookSender sender)
        {
            while (true)
            {
                var answer = await sender.PostAsync("/webhooks/clerk", Encoding.UTF8.GetBytes(body), headers);
                if (answer.Status == HttpStatusCode.OK)
                {
                    return answer.Text;
                }

                // A pool that is exhausted says something else.
                Assert.Equal((HttpStatusCode.ServiceUnavailable, "in_progress"), (answer.Status, answer["reason"]));
                Interlocked.Increment(ref inProgress);
            }
        }
    }

    /// <summary>"Kill -9 in the handler: redelivery completes."</summary>
    [Fact]
    public async Task Process_killed_in_the_handler_leaves_nothing_and_the_redelivery_completes()
    {
        var user = WebhookSender.NewId("user");
        var tokens = await fixture.Flow.TokensAsync(await OAuthFlow.AddClientAsync(app), user);
        var id = WebhookSender.NewId("msg");
        var body = Events.UserDeleted(user, Time).ToJsonString();
        await using (var victim = await AppProcess.StartAsync(app.Settings))
        await using (var held = await app.Database.HoldAsync($"SELECT FROM users WHERE clerk_user_id = '{user}' FOR UPDATE"))
        {
            var lost = DeliverAsync(victim);
            await app.Database.WaitForBlockedAsync(1); // the handler is in the middle of its statements

            await victim.KillAsync();

            await Assert.ThrowsAnyAsync<Exception>(() => lost);
            Assert.Equal(0, await app.Database.CountAsync("webhook_events", $"event_id = '{id}'"));
            // The database's end of the connection notices when it has something to say.
            await held.LetGoAsync();
        }

        JsonAnswer answer = null!;
        await Wait.UntilAsync(async () => (answer = await DeliverAsync(fixture.Processes[0])).Status == HttpStatusCode.OK);

        Assert.True((bool)answer.Json.GetProperty("received").GetBoolean());
        Assert.Equal("completed", await app.Database.ScalarAsync<string>("SELECT status FROM webhook_events WHERE event_id = $1", id));
        Assert.Equal(1, await app.Database.CountAsync("users", $"clerk_user_id = '{user}' AND deleted_at IS NOT NULL"));
        Assert.Equal(HttpStatusCode.Unauthorized, (await new OAuthFlow(fixture.Processes[1].Http).SessionsAsync(tokens["access_token"]!)).Status);
        Assert.Single(await app.Database.EventsAsync(AuditEvents.AllSessionsRevoked, "clerk_user_id", user));

        Task<JsonAnswer> DeliverAsync(AppProcess process) => new WebhookSender(process.Http).PostAsync(
            "/webhooks/clerk", Encoding.UTF8.GetBytes(body), WebhookSender.SvixHeaders(id, body));
    }

    /// <summary>Killed under load, again and again: every event ends with one effect, one completed row and one audit event.</summary>
    [Fact]
    public async Task Processes_killed_under_load_lose_nothing_and_double_nothing()
    {
        var users = Enumerable.Range(0, 400).Select(_ => WebhookSender.NewId("user")).ToList();
        var delivered = 0;
        var victim = await AppProcess.StartAsync(app.Settings);
        try
        {
            var load = Parallel.ForEachAsync(users, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (user, _) =>
            {
                while (!await TryDeliverAsync(Volatile.Read(ref victim), user))
                {
                    await Task.Delay(20, CancellationToken.None);
                }

                Interlocked.Increment(ref delivered);
            });
            for (var round = 1; round <= 3; round++)
            {
                var next = AppProcess.StartAsync(app.Settings);
                await Wait.UntilAsync(() => Volatile.Read(ref delivered) >= round * users.Count / 5);
                await victim.KillAsync();
                await victim.DisposeAsync();
                victim = await next;
            }

            await load;
        }
        finally
        {
            await victim.DisposeAsync();
        }

        var names = string.Join("','", users);
        Assert.Equal(users.Count, await app.Database.CountAsync("users", $"clerk_user_id IN ('{names}')"));
        Assert.Equal(users.Count, await app.Database.CountAsync("webhook_events", $"subject IN ('{names}') AND status = 'completed' AND attempts = 1"));
        Assert.Equal(users.Count, await app.Database.CountAsync(
            "outbox_messages",
            $"routing_key = '{AuditEvents.UserUpdated}' AND envelope -> 'payload' ->> 'clerk_user_id' IN ('{names}')"));
    }

    private static async Task<bool> TryDeliverAsync(AppProcess process, string user)
    {
        try
        {
            return (await new WebhookSender(process.Http).ClerkAsync(Events.User("user.created", user, Time), "msg_" + user)).Status == HttpStatusCode.OK;
        }
        catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            return false; // the process is gone
        }
    }
}
