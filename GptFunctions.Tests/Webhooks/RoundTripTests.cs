using System.Net;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>architecture.md 2: claim, changes and commit are one round trip, counted on the wire; what is recorded as stale takes one more.</summary>
public sealed class RoundTripTests(WebhookFixture<RoundTripTests> fixture) : IClassFixture<WebhookFixture<RoundTripTests>>
{
    private const long Time = 1_700_000_000;

    public static TheoryData<string> Types =>
    [
        "user.created", "user.updated", "user.deleted", "session.ended", "email.created",
        "checkout.session.completed", "customer.subscription.updated", "invoice.paid", "order.created", "verification.updated",
    ];

    [Theory]
    [MemberData(nameof(Types))]
    public async Task Event_takes_one_round_trip(string type)
    {
        await using var proxy = new TestProxy(fixture.App.Database.Url);
        await using var replica = await StartAsync(proxy);
        var sender = new WebhookSender(replica.Http);
        await SendAsync(sender, type); // connects, and compiles what there is to compile

        var before = proxy.RoundTrips;
        await SendAsync(sender, type);

        Assert.Equal(1, proxy.RoundTrips - before);
    }

    [Fact]
    public async Task Duplicate_takes_one_round_trip_and_a_stale_event_two()
    {
        await using var proxy = new TestProxy(fixture.App.Database.Url);
        await using var replica = await StartAsync(proxy);
        var sender = new WebhookSender(replica.Http);
        var (user, id) = (WebhookSender.NewId("user"), WebhookSender.NewId("msg"));
        await sender.ClerkAsync(Events.User("user.created", user, Time * 1000), id);

        Assert.Equal(1, await CountAsync(() => sender.ClerkAsync(Events.User("user.created", user, Time * 1000), id)));
        Assert.Equal(2, await CountAsync(() => sender.ClerkAsync(Events.User("user.updated", user, (Time - 1) * 1000))));

        async Task<int> CountAsync(Func<Task<JsonAnswer>> send)
        {
            var before = proxy.RoundTrips;
            Assert.Equal(HttpStatusCode.OK, (await send()).Status);
            return proxy.RoundTrips - before;
        }
    }

    /// <summary>The feed of changes asks past the proxy, and without the token endpoint no keys are published: only events are counted.</summary>
    private Task<TestApp> StartAsync(TestProxy proxy) => fixture.App.StartReplicaAsync(
        ("DATABASE_URL", proxy.Url), ("DATABASE_LISTEN_URL", fixture.App.Database.Url), ("DATABASE_POOL_SIZE", "1"),
        ("AzureWebJobs.OAuthToken.Disabled", "true"));

    private static async Task SendAsync(WebhookSender sender, string type)
    {
        var name = WebhookSender.NewId("x");
        var answer = await (type switch
        {
            "user.deleted" => sender.ClerkAsync(Events.UserDeleted(name, Time * 1000)),
            "user.created" or "user.updated" or "email.created" => sender.ClerkAsync(Events.User(type, name, Time * 1000, isBanned: type == "user.updated")),
            "session.ended" => sender.ClerkAsync(new JsonObject { ["type"] = type, ["data"] = new JsonObject { ["id"] = name } }),
            "checkout.session.completed" => sender.StripeAsync(Events.Checkout(Time, name, name, name)),
            "customer.subscription.updated" => sender.StripeAsync(Events.Subscription("updated", Time, name, name, user: name)),
            "invoice.paid" => sender.StripeAsync(Events.Invoice("paid", Time, name, name)),
            "order.created" => sender.OrderAsync(Events.Order(name)),
            _ => sender.VerificationAsync(Events.Verification(name, "approved")),
        });
        Assert.True(answer.Json.GetProperty("received").GetBoolean(), answer.Text);
    }
}
