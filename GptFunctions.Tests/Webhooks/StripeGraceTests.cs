using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>countdowns.md 16: <c>users.past_due_since</c>, from which the days of grace count.</summary>
public sealed class StripeGraceTests(WebhookFixture<StripeGraceTests> fixture) : IClassFixture<WebhookFixture<StripeGraceTests>>
{
    private const long Time = 1_700_000_000;
    private const long Day = 24 * 60 * 60;
    private readonly TestApp app = fixture.App;
    private readonly string user = WebhookSender.NewId("user");
    private readonly string customer = WebhookSender.NewId("cus");
    private readonly string subscription = WebhookSender.NewId("sub");

    /// <summary>"the first failed payment of the row, not moved by Stripe's own retries".</summary>
    [Fact]
    public async Task First_failed_payment_counts_and_retries_do_not_move_it()
    {
        await SendAsync(Subscribed());
        Assert.Null(await SinceAsync());

        await SendAsync(Failed(Time + Day));
        Assert.Equal(Time + Day, await SinceAsync());
        await SendAsync(Updated(Time + Day + 5, "past_due")); // says the same
        await SendAsync(Failed(Time + (3 * Day)));
        await SendAsync(Updated(Time + (3 * Day) + 5, "past_due"));
        await SendAsync(Failed(Time + (5 * Day)));

        Assert.Equal(Time + Day, await SinceAsync());
        Assert.Equal(2, await app.Database.CountAsync(
            // active, past_due; not each retry
            "outbox_messages", $"routing_key = 'gpt.webhook.plan_changed' AND envelope #>> '{{payload,clerk_user_id}}' = '{user}'"));
    }

    [Fact]
    public async Task Payment_ends_the_row_and_the_next_failure_begins_another()
    {
        await SendAsync(Subscribed());
        await SendAsync(Failed(Time + Day));
        await SendAsync(Events.Invoice("paid", Time + (2 * Day), subscription, customer));
        Assert.Null(await SinceAsync());

        await SendAsync(Failed(Time + (32 * Day)));
        Assert.Equal(Time + (32 * Day), await SinceAsync());
    }

    /// <summary>Two kinds of events tell of one failure, in any order; a later one that comes first is corrected by the earlier one.</summary>
    [Theory]
    [InlineData("fu")]
    [InlineData("uf")]
    public async Task Order_of_what_tells_of_a_failure_does_not_matter(string order)
    {
        ArgumentNullException.ThrowIfNull(order);
        await SendAsync(Subscribed());
        foreach (var letter in order)
        {
            await SendAsync(letter == 'f' ? Failed(Time + Day) : Updated(Time + Day + 7, "past_due"));
        }

        Assert.Equal(Time + Day, await SinceAsync());
    }

    [Fact]
    public async Task Subscription_that_ends_takes_it_away()
    {
        await SendAsync(Subscribed());
        await SendAsync(Failed(Time + Day));
        await SendAsync(Events.Subscription("deleted", Time + (9 * Day), subscription, customer, user: user));

        Assert.Null(await SinceAsync());
    }

    private JsonObject Subscribed() => Events.Subscription("created", Time, subscription, customer, user: user);

    private JsonObject Updated(long at, string status) => Events.Subscription("updated", at, subscription, customer, status, user: user);

    private JsonObject Failed(long at) => Events.Invoice("payment_failed", at, subscription, customer);

    private async Task SendAsync(JsonObject body) => Assert.Equal(System.Net.HttpStatusCode.OK, (await fixture.Sender.StripeAsync(body)).Status);

    private Task<long?> SinceAsync() => app.Database.ScalarAsync<long?>(
        "SELECT extract(epoch FROM past_due_since)::bigint FROM users WHERE clerk_user_id = $1", user);
}
