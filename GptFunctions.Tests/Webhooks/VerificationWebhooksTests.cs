using System.Net;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;
using GptFunctions.Webhooks;

namespace GptFunctions.Tests.Webhooks;

/// <summary>webhooks.md 17 and 18: sessions, answers, and the rows of the countdowns.</summary>
public sealed class VerificationWebhooksTests(WebhookFixture<VerificationWebhooksTests> fixture)
    : IClassFixture<WebhookFixture<VerificationWebhooksTests>>, IDisposable
{
    private TestApp App => fixture.App;
    private readonly WebhookSender sender = fixture.Sender;
    private readonly string order = WebhookSender.NewId("order");

    public void Dispose() => App.Clock.Reset();

    /// <summary>
    /// "opens a `verification_sessions` row ... with a countdown `verification.expiry` (72 h) and `verification.reminder` (24 h). Answer 200 `{received,
    /// orderId, status, deadline}`".
    /// </summary>
    [Fact]
    public async Task Order_opens_a_session_with_two_countdowns()
    {
        var before = App.Clock.GetUtcNow();
        var answer = await sender.OrderAsync(Events.Order(order));

        Assert.Equal((HttpStatusCode.OK, order, "pending_verification"), (answer.Status, answer["orderId"], answer["status"]));
        Assert.Equal(["received", "orderId", "status", "deadline"], answer.Json.EnumerateObject().Select(member => member.Name));
        Assert.InRange(answer.Json.GetProperty("deadline").GetDateTimeOffset(), before.AddHours(72).AddMilliseconds(-1), App.Clock.GetUtcNow().AddHours(72));
        Assert.Equal("buyer@example.com 129.9", await App.Database.ScalarAsync<string>(
            "SELECT concat_ws(' ', customer_email, trim_scale(order_total)) FROM verification_sessions WHERE order_id = $1",
            order));
        Assert.Equal("verification.expiry 72 active, verification.reminder 24 active", await CountdownsAsync());
        Assert.Single(await App.Database.EventsAsync(OrderWebhooks.Opened, "order_id", order));
    }

    /// <summary>"the same order again: `idempotent: true`", under another event id; the deadline stays, and nothing is scheduled twice.</summary>
    [Fact]
    public async Task Same_order_again_is_idempotent()
    {
        var first = await sender.OrderAsync(Events.Order(order));
        await App.Database.ExecuteAsync($"""
            UPDATE countdowns SET status = 'completed', finished_at = now()
            WHERE subject = '{order}' AND kind = 'verification.reminder'
            """);

        var again = await sender.OrderAsync(Events.Order(order));

        Assert.Equal((HttpStatusCode.OK, order, "pending_verification", "True"), (again.Status, again["orderId"], again["status"], again["idempotent"]));
        Assert.Equal(first["deadline"], again["deadline"]);
        Assert.Equal("verification.expiry 72 active, verification.reminder 24 completed", await CountdownsAsync());
        Assert.Single(await App.Database.EventsAsync(OrderWebhooks.Opened, "order_id", order));
    }

    [Fact]
    public async Task Same_event_again_is_a_duplicate()
    {
        var body = Events.Order(order);
        await sender.OrderAsync(body);
        Assert.Equal("""{"received":true,"duplicate":true,"idempotent":true,"reason":"already_completed"}""", (await sender.OrderAsync(body)).Text);
    }

    /// <summary>Under different event ids and at once: one session, one pair of countdowns.</summary>
    [Fact]
    public async Task Same_order_many_times_at_once_opens_one_session()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => sender.OrderAsync(Events.Order(order))));
        Assert.Single(answers, answer => answer["idempotent"] is null);
        Assert.Single(answers.Select(answer => answer["deadline"]).Distinct());
        Assert.Equal(2, await App.Database.CountAsync("countdowns", $"subject = '{order}'"));
    }

    /// <summary>"needs `orderId`, `customerEmail`, `orderTotal`".</summary>
    [Theory]
    [InlineData("orderId", null)]
    [InlineData("customerEmail", null)]
    [InlineData("orderTotal", null)]
    [InlineData("orderTotal", "-1")]
    [InlineData("orderTotal", "much")]
    [InlineData("event", null)]
    public async Task Order_without_what_it_needs_is_400(string member, string? value)
    {
        var body = Events.Order(order);
        body[member] = value;
        var answer = await sender.OrderAsync(body);
        Assert.Equal((HttpStatusCode.BadRequest, "Invalid webhook payload"), (answer.Status, answer.Error));
        Assert.Equal(0, await App.Database.CountAsync("verification_sessions", $"order_id = '{order}'"));
    }

    /// <summary>"`approved` -> `verified`, both countdowns cancelled; `declined` -> `declined`, event."</summary>
    [Theory]
    [InlineData("approved", "verified", VerificationWebhooks.Verified)]
    [InlineData("declined", "declined", VerificationWebhooks.Declined)]
    public async Task Decision_finishes_the_session_and_cancels_both_countdowns(string decision, string status, string told)
    {
        await sender.OrderAsync(Events.Order(order));

        Assert.Equal("""{"received":true}""", (await sender.VerificationAsync(Events.Verification(order, decision))).Text);

        Assert.Equal(status, await StatusAsync());
        Assert.Equal("verification.expiry 72 cancelled, verification.reminder 24 cancelled", await CountdownsAsync());
        Assert.Single(await App.Database.EventsAsync(told, "order_id", order));
    }

    /// <summary>"the body's `id` together with its `event` (so that "submitted" never hides "approved")".</summary>
    [Fact]
    public async Task Submitted_does_not_hide_approved_under_the_same_id()
    {
        await sender.OrderAsync(Events.Order(order));
        var id = WebhookSender.NewId("ver");
        await sender.VerificationAsync(Events.Verification(order, "submitted", id));
        Assert.Equal("pending_verification", await StatusAsync());
        Assert.Equal("""{"received":true}""", (await sender.VerificationAsync(Events.Verification(order, "approved", id))).Text);
        Assert.Equal("verified", await StatusAsync());
    }

    [Fact]
    public async Task First_decision_stands()
    {
        await sender.OrderAsync(Events.Order(order));
        await sender.VerificationAsync(Events.Verification(order, "approved"));
        Assert.Equal(
            $$"""{"received":true,"orderId":"{{order}}","status":"verified"}""",
            (await sender.VerificationAsync(Events.Verification(order, "declined"))).Text);
        Assert.Equal("verified", await StatusAsync());
        Assert.Empty(await App.Database.EventsAsync(VerificationWebhooks.Declined, "order_id", order));
    }

    /// <summary>Two senders keep no order between them: the decision may come first, and then nothing is waited for.</summary>
    [Fact]
    public async Task Decision_before_its_order_counts()
    {
        await sender.VerificationAsync(Events.Verification(order, "approved"));
        var answer = await sender.OrderAsync(Events.Order(order));
        Assert.Equal((HttpStatusCode.OK, "verified"), (answer.Status, answer["status"]));
        Assert.Equal("verified", await StatusAsync());
        Assert.Equal(0, await App.Database.CountAsync("countdowns", $"subject = '{order}'"));
        Assert.Equal("True", (await sender.OrderAsync(Events.Order(order)))["idempotent"]);
    }

    /// <summary>"After the deadline an approval answers 410 and changes nothing": each delivery of it.</summary>
    [Theory]
    [InlineData("pending_verification")]
    [InlineData("refund_due")]
    public async Task Approval_after_the_deadline_is_410_and_changes_nothing(string status)
    {
        await sender.OrderAsync(Events.Order(order));
        if (status == "refund_due")
        {
            await App.Database.ExecuteAsync($"UPDATE verification_sessions SET status = 'refund_due', decided_at = now() WHERE order_id = '{order}'");
        }

        App.Clock.Advance(TimeSpan.FromHours(72));
        var body = Events.Verification(order, "approved");
        for (var delivery = 0; delivery < 2; delivery++)
        {
            var answer = await sender.VerificationAsync(body);
            Assert.Equal((HttpStatusCode.Gone, "The deadline of this verification has passed"), (answer.Status, answer.Error));
        }

        Assert.Equal(status, await StatusAsync());
        Assert.Equal("verification.expiry 72 active, verification.reminder 24 active", await CountdownsAsync());
        Assert.Equal(0, await App.Database.CountAsync("webhook_events", $"subject = '{order}' AND source = 'verification'"));
        Assert.Empty(await App.Database.EventsAsync(VerificationWebhooks.Verified, "order_id", order));
    }

    [Fact]
    public async Task Approval_just_before_the_deadline_counts()
    {
        await sender.OrderAsync(Events.Order(order));
        App.Clock.Advance(TimeSpan.FromHours(72) - TimeSpan.FromSeconds(20));
        Assert.Equal(HttpStatusCode.OK, (await sender.VerificationAsync(Events.Verification(order, "approved"))).Status);
        Assert.Equal("verified", await StatusAsync());
    }

    /// <summary>The deadline is "configurable"; a reminder that would come after it is left out.</summary>
    [Fact]
    public async Task Shorter_deadline_has_no_reminder()
    {
        await using var replica = await App.StartReplicaAsync(("VERIFICATION_DEADLINE_HOURS", "12"));
        await new WebhookSender(replica.Http).OrderAsync(Events.Order(order));
        Assert.Equal("verification.expiry 12 active", await CountdownsAsync());
    }

    [Fact]
    public async Task Order_total_may_be_a_text()
    {
        var body = Events.Order(order);
        body["orderTotal"] = "12345678901234567890.10";
        Assert.Equal(HttpStatusCode.OK, (await sender.OrderAsync(body)).Status);
        Assert.Equal(
            "12345678901234567890.10",
            await App.Database.ScalarAsync<string>("SELECT order_total::text FROM verification_sessions WHERE order_id = $1", order));
    }

    [Fact]
    public async Task Event_of_another_type_or_without_an_order_changes_nothing()
    {
        Assert.Equal("""{"received":true}""", (await sender.OrderAsync(new JsonObject { ["id"] = order, ["event"] = "order.shipped" })).Text);
        Assert.Equal(
            HttpStatusCode.BadRequest,
            (await sender.VerificationAsync(new JsonObject { ["id"] = order, ["event"] = "verification.updated", ["status"] = "approved" })).Status);
        Assert.Equal(
            "ignored",
            await App.Database.ScalarAsync<string>("SELECT string_agg(status, ',') FROM webhook_events WHERE event_id LIKE $1 || '%'", order));
    }

    private Task<string?> StatusAsync() => App.Database.ScalarAsync<string>("SELECT status FROM verification_sessions WHERE order_id = $1", order);

    private Task<string?> CountdownsAsync() => App.Database.ScalarAsync<string>("""
        SELECT string_agg(concat_ws(' ', kind, round(extract(epoch FROM due_at - created_at) / 3600), status), ', ' ORDER BY kind)
        FROM countdowns
        WHERE subject = $1
        """, order);
}
