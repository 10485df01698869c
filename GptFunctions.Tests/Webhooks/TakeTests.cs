using System.Net;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>webhooks.md 6: changes are sent with the claim, and run only when the claim is what was expected, whatever source they are of.</summary>
public sealed class TakeTests(WebhookFixture<TakeTests> fixture) : IClassFixture<WebhookFixture<TakeTests>>
{
    private const long Time = 1_700_000_000;
    private static readonly string[] Tables =
    [
        "users", "gpt_sessions", "stripe_subscriptions", "verification_sessions", "countdowns", "webhook_events", "webhook_subjects", "outbox_messages",
    ];

    private readonly TestApp app = fixture.App;
    private readonly WebhookSender sender = fixture.Sender;

    public static TheoryData<string> Types =>
    [
        "user.created", "user.updated", "user.deleted", "checkout.session.completed", "customer.subscription.updated", "customer.subscription.deleted",
        "invoice.paid", "order.created", "verification.updated",
    ];

    [Theory]
    [MemberData(nameof(Types))]
    public async Task Event_that_somebody_else_handles_or_has_handled_changes_nothing(string type)
    {
        var name = WebhookSender.NewId("x");
        var (key, send) = Event(type, name);
        var before = await StateAsync();
        await using (await app.Database.HoldAsync($"SELECT pg_advisory_xact_lock(hashtextextended('{key}', 0))"))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, (await send()).Status);
        }

        Assert.Equal(before, await StateAsync());

        Assert.Equal(HttpStatusCode.OK, (await send()).Status);
        var after = await StateAsync();
        Assert.NotEqual(before, after);

        Assert.Equal("already_completed", (await send())["reason"]);
        Assert.Equal(after, await StateAsync());
    }

    [Theory]
    [InlineData("user.updated", "user.updated")]
    [InlineData("user.deleted", "user.updated")]
    [InlineData("user.deleted", "user.deleted")]
    [InlineData("customer.subscription.updated", "customer.subscription.updated")]
    [InlineData("invoice.paid", "invoice.paid")]
    public async Task Stale_event_is_recorded_and_changes_nothing_else(string first, string second)
    {
        var name = WebhookSender.NewId("x");
        Assert.Equal(HttpStatusCode.OK, (await Event(first, name).Send()).Status);
        var before = await StateAsync("webhook_events");

        var answer = await Event(second, name, Time - 1).Send();

        Assert.Equal((HttpStatusCode.OK, """{"received":true}"""), (answer.Status, answer.Text));
        Assert.Equal(before, await StateAsync("webhook_events"));
        Assert.Equal(1, await app.Database.CountAsync("webhook_events", $"status = 'skipped_stale' AND subject LIKE '{name}%'"));
    }

    /// <summary>How many rows there are, and which transaction wrote last.</summary>
    private Task<string?> StateAsync(string? except = null) => app.Database.ScalarAsync<string>(
        $"SELECT concat_ws(' ', {string.Join(", ", Tables.Where(table => table != except)
            .Select(table => $"(SELECT count(*) || ':' || coalesce(max(xmin::text::bigint), 0) FROM {table})"))})");

    private (string Key, Func<Task<JsonAnswer>> Send) Event(string type, string name, long time = Time)
    {
        var id = WebhookSender.NewId("msg");
        var body = type switch
        {
            "user.deleted" => Events.UserDeleted(name, time * 1000),
            "user.created" or "user.updated" => Events.User(type, name, time * 1000, isBanned: type == "user.updated"),
            "checkout.session.completed" => Events.Checkout(time, name, name, name),
            "customer.subscription.updated" => Events.Subscription("updated", time, name, name, user: name),
            "customer.subscription.deleted" => Events.Subscription("deleted", time, name, name, user: name),
            "invoice.paid" => Events.Invoice("paid", time, name, name),
            "order.created" => Events.Order(name, id),
            _ => Events.Verification(name, "approved", id),
        };
        return type switch
        {
            ['u', 's', 'e', 'r', ..] => ($"clerk {id}", () => sender.ClerkAsync(body, id)),
            "order.created" => ($"orders {id} {type}", () => sender.OrderAsync(body)),
            "verification.updated" => ($"verification {id} {type} approved", () => sender.VerificationAsync(body)),
            _ => ($"stripe {(string)body["id"]!}", () => sender.StripeAsync(body)),
        };
    }
}
