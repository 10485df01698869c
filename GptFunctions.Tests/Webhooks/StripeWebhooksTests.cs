using System.Net;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;
using GptFunctions.Webhooks;

namespace GptFunctions.Tests.Webhooks;

/// <summary>webhooks.md 15: Stripe. No plan means not paid; whatever order the events come in.</summary>
public sealed class StripeWebhooksTests(WebhookFixture<StripeWebhooksTests> fixture) : IClassFixture<WebhookFixture<StripeWebhooksTests>>
{
    private const long Time = 1_700_000_000;
    private readonly TestApp app = fixture.App;
    private readonly WebhookSender sender = fixture.Sender;
    private readonly string user = WebhookSender.NewId("user");
    private readonly string customer = WebhookSender.NewId("cus");
    private readonly string subscription = WebhookSender.NewId("sub");

    /// <summary>What Stripe sends when somebody subscribes, all within a second. Every order in which it can come.</summary>
    public static TheoryData<string> Arrivals => [.. Permutations("cips")];

    [Theory]
    [MemberData(nameof(Arrivals))]
    public async Task First_subscription_ends_in_the_same_plan_in_every_order(string arrival)
    {
        foreach (var letter in (IEnumerable<char>)[.. arrival])
        {
            await SendAsync(letter switch
            {
                'c' => Events.Subscription("created", Time, subscription, customer, "incomplete"),
                'i' => Events.Invoice("paid", Time, subscription, customer),
                'p' => Events.Subscription("updated", Time, subscription, customer),
                _ => Events.Checkout(Time, subscription, customer, user),
            });
        }

        Assert.Equal("pro active", await PlanAsync());
        Assert.Equal(customer, await app.Database.ScalarAsync<string>("SELECT stripe_customer_id FROM users WHERE clerk_user_id = $1", user));
    }

    /// <summary>A story told in every order: the plan changes, a payment fails, another succeeds.</summary>
    [Fact]
    public async Task Later_life_of_a_subscription_ends_in_the_same_plan_in_every_order()
    {
        foreach (var arrival in Permutations("cufp"))
        {
            var (sub, cus, who) = (WebhookSender.NewId("sub"), WebhookSender.NewId("cus"), WebhookSender.NewId("user"));
            foreach (var letter in arrival)
            {
                await SendAsync(letter switch
                {
                    'c' => Events.Subscription("created", Time, sub, cus, plan: "pro", user: who),
                    'u' => Events.Subscription("updated", Time + 10, sub, cus, plan: "team", user: who),
                    'f' => Events.Invoice("payment_failed", Time + 20, sub, cus),
                    _ => Events.Invoice("paid", Time + 30, sub, cus),
                });
            }

            Assert.Equal((arrival, "team active"), (arrival, await PlanAsync(who)));
        }
    }

    /// <summary>Within one second, Stripe's clock does not say what came first: being created did.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Creation_comes_first_within_its_second(bool isCreationFirst)
    {
        JsonObject[] events =
        [
            Events.Subscription("created", Time, subscription, customer, "incomplete", user: user),
            Events.Subscription("updated", Time, subscription, customer, "trialing"),
        ];
        await SendAsync(Events.Checkout(Time - 1, subscription, customer, user));
        foreach (var body in isCreationFirst ? events : events.Reverse())
        {
            await SendAsync(body);
        }

        Assert.Equal("pro trialing", await PlanAsync());
    }

    /// <summary>A payment that is older than the subscription's own word does not change it.</summary>
    [Theory]
    [InlineData("paid", "past_due")]
    [InlineData("payment_failed", "active")]
    public async Task Payment_older_than_the_status_changes_nothing(string payment, string status)
    {
        await SendAsync(Events.Subscription("updated", Time + 2, subscription, customer, status, user: user));
        await SendAsync(Events.Invoice(payment, Time + 1, subscription, customer));
        Assert.Equal("pro " + status, await PlanAsync());
    }

    /// <summary>"a failed payment sets `past_due`".</summary>
    [Fact]
    public async Task Failed_payment_sets_past_due_and_a_later_one_repairs_it()
    {
        await SendAsync(Events.Subscription("created", Time, subscription, customer, user: user));
        await SendAsync(Events.Invoice("payment_failed", Time + 1, subscription, customer));
        Assert.Equal("pro past_due", await PlanAsync());
        await SendAsync(Events.Invoice("paid", Time + 2, subscription, customer));
        Assert.Equal("pro active", await PlanAsync());
    }

    /// <summary>"deletion clears the plan", wins ties and is final for this subscription; the customer may subscribe again.</summary>
    [Fact]
    public async Task Subscription_deleted_clears_the_plan_until_the_next_subscription()
    {
        await SendAsync(Events.Subscription("created", Time, subscription, customer, user: user));
        await SendAsync(Events.Subscription("deleted", Time, subscription, customer));
        Assert.Equal(" canceled", await PlanAsync());
        await SendAsync(Events.Subscription("updated", Time + 5, subscription, customer));
        await SendAsync(Events.Invoice("paid", Time + 6, subscription, customer));
        Assert.Equal(" canceled", await PlanAsync());

        await SendAsync(Events.Subscription("created", Time + 7, WebhookSender.NewId("sub"), customer, plan: "team"));
        Assert.Equal("team active", await PlanAsync());
    }

    /// <summary>A change of plan by a new subscription: the old one's end takes nothing away, whichever comes first.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Of_two_subscriptions_the_one_in_good_standing_counts(bool isOldEndedFirst)
    {
        await SendAsync(Events.Subscription("created", Time, subscription, customer, user: user));
        JsonObject[] events =
        [
            Events.Subscription("deleted", Time + 10, subscription, customer),
            Events.Subscription("created", Time + 5, WebhookSender.NewId("sub"), customer, plan: "team"),
        ];
        foreach (var body in isOldEndedFirst ? events : events.Reverse())
        {
            await SendAsync(body);
        }

        Assert.Equal("team active", await PlanAsync());
    }

    /// <summary>"Plan null = not paid": fails closed.</summary>
    [Theory]
    [InlineData("active", "pro active")]
    [InlineData("trialing", "pro trialing")]
    [InlineData("past_due", "pro past_due")]
    [InlineData("incomplete", " incomplete")]
    [InlineData("incomplete_expired", " incomplete_expired")]
    [InlineData("unpaid", " unpaid")]
    [InlineData("paused", " paused")]
    [InlineData("something_new", " something_new")]
    public async Task Status_decides_whether_there_is_a_plan(string status, string expected)
    {
        await SendAsync(Events.Subscription("created", Time, subscription, customer, status, user: user));
        Assert.Equal(expected, await PlanAsync());
    }

    /// <summary>Thin events (API v2) have neither an object nor a time in seconds.</summary>
    [Fact]
    public async Task Thin_event_that_nobody_handles_is_ignored()
    {
        var id = WebhookSender.NewId("evt");
        var body = new JsonObject
        {
            ["id"] = id,
            ["object"] = "v2.core.event",
            ["type"] = "v1.billing.meter.error_report_triggered",
            ["livemode"] = false,
            ["created"] = "2024-09-26T17:46:22.134Z",
            ["related_object"] = new JsonObject { ["id"] = "mtr_1", ["type"] = "billing.meter", ["url"] = "/v1/billing/meters/mtr_1" },
        };
        Assert.Equal("""{"received":true}""", (await sender.StripeAsync(body)).Text);
        Assert.Equal("ignored", await app.Database.ScalarAsync<string>("SELECT status FROM webhook_events WHERE event_id = $1", id));
    }

    /// <summary>Older API versions name the subscription elsewhere, and an endpoint may ask for whole objects instead of ids.</summary>
    [Theory]
    [InlineData("""{"subscription":"SUB","customer":"CUS"}""")]
    [InlineData("""{"subscription":{"id":"SUB"},"customer":{"id":"CUS"}}""")]
    [InlineData("""{"parent":{"subscription_details":{"subscription":"SUB"}},"customer":"CUS","subscription":null}""")]
    public async Task Invoice_of_every_version_is_understood(string invoice)
    {
        await SendAsync(Events.Subscription("created", Time, subscription, customer, "past_due", user: user));
        var named = JsonNode.Parse(invoice)!.ToJsonString()
            .Replace("SUB", subscription, StringComparison.Ordinal).Replace("CUS", customer, StringComparison.Ordinal);
        await SendAsync(Events.Stripe("invoice.paid", Time + 1, JsonNode.Parse(named)!.AsObject()));
        Assert.Equal("pro active", await PlanAsync());
    }

    [Theory]
    [InlineData("""{"metadata":{"plan":"gold"},"items":{"data":[{"price":{"id":"p","lookup_key":"x"}}]}}""", "gold")]
    [InlineData("""{"items":{"data":[{"price":{"id":"p","nickname":"Silver"}}]}}""", "Silver")]
    [InlineData("""{"items":{"data":[{"price":{"id":"price_9"}}]}}""", "price_9")]
    [InlineData("""{"items":{"data":[]}}""", "")]
    public async Task Plan_is_what_we_called_it_at_stripe(string details, string expected)
    {
        var data = JsonNode.Parse(details)!.AsObject();
        (data["id"], data["customer"], data["status"]) = (subscription, customer, "active");
        await SendAsync(Events.Checkout(Time, subscription, customer, user));
        await SendAsync(Events.Stripe("customer.subscription.updated", Time, data));
        Assert.Equal(expected + " active", await PlanAsync());
    }

    [Theory]
    [InlineData("customer.created")]
    [InlineData("invoice.created")]
    [InlineData("invoice.paid")] // of no subscription
    public async Task Other_events_are_ignored(string type)
    {
        var id = WebhookSender.NewId("evt");
        Assert.Equal("""{"received":true}""", (await sender.StripeAsync(Events.Stripe(type, Time, new JsonObject { ["id"] = "x" }, id))).Text);
        Assert.Equal("ignored", await app.Database.ScalarAsync<string>("SELECT status FROM webhook_events WHERE event_id = $1", id));
    }

    /// <summary>The audit trail tells changes of the plan, and only changes.</summary>
    [Fact]
    public async Task Change_of_plan_is_told_once()
    {
        await SendAsync(Events.Subscription("created", Time, subscription, customer, user: user));
        await SendAsync(Events.Subscription("updated", Time + 1, subscription, customer));
        await SendAsync(Events.Subscription("deleted", Time + 2, subscription, customer));
        var told = await app.Database.EventsAsync(StripeWebhooks.PlanChanged, "clerk_user_id", user);
        Assert.Equal(
            ["pro active", " canceled"],
            told.Select(change => change.GetProperty("payload")).Select(payload => payload.GetProperty("plan") + " " + payload.GetProperty("plan_status")));
    }

    private async Task SendAsync(JsonObject body)
    {
        var answer = await sender.StripeAsync(body);
        Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
    }

    private Task<string?> PlanAsync(string? who = null) => app.Database.ScalarAsync<string>(
        "SELECT coalesce(plan, '') || ' ' || coalesce(plan_status, '') FROM users WHERE clerk_user_id = $1", who ?? user);

    private static IEnumerable<string> Permutations(string letters) =>
        letters.Length == 1 ? [letters] : letters.SelectMany((letter, index) => Permutations(letters.Remove(index, 1)).Select(rest => letter + rest));
}
