using System.Net;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>webhooks.md 16: to whom a customer of Stripe belongs, whoever is named and whatever comes at once.</summary>
public sealed class StripeCustomersTests(WebhookFixture<StripeCustomersTests> fixture) : IClassFixture<WebhookFixture<StripeCustomersTests>>
{
    private const long Time = 1_700_000_000;
    private readonly TestApp app = fixture.App;
    private readonly WebhookSender sender = fixture.Sender;
    private readonly string user = WebhookSender.NewId("user");
    private readonly string customer = WebhookSender.NewId("cus");
    private readonly string subscription = WebhookSender.NewId("sub");

    /// <summary>"found by `client_reference_id`, `metadata.clerk_user_id` or `stripe_customer_id`; a user not known yet is created".</summary>
    [Fact]
    public async Task User_is_found_by_each_of_the_three_ways_and_created_when_unknown()
    {
        await SendAsync(Events.Checkout(Time, null, null, user, "lifetime")); // a one-time purchase without a customer
        Assert.Equal("lifetime active", await PlanAsync());

        var byMetadata = WebhookSender.NewId("user");
        await SendAsync(Events.Subscription("created", Time, WebhookSender.NewId("sub"), customer, user: byMetadata));
        Assert.Equal("pro active", await PlanAsync(byMetadata));

        await SendAsync(Events.Subscription("updated", Time + 1, WebhookSender.NewId("sub"), customer, "trialing", "team")); // by the customer only
        Assert.Equal("pro active", await PlanAsync(byMetadata)); // the better standing
        Assert.Equal(
            1,
            await app.Database.CountAsync("stripe_subscriptions", $"customer_id = '{customer}' AND plan = 'team' AND clerk_user_id = '{byMetadata}'"));
    }

    /// <summary>"the race with Clerk's webhook is normal": both at once, many times.</summary>
    [Fact]
    public async Task Race_with_clerks_webhook_makes_one_complete_user()
    {
        var users = Enumerable.Range(0, 20).Select(_ => WebhookSender.NewId("user")).ToList();

        await Task.WhenAll(users.SelectMany(who => (Task[])
        [
            SendAsync(Events.Checkout(Time, WebhookSender.NewId("sub"), WebhookSender.NewId("cus"), who, "pro")),
            sender.ClerkAsync(Events.User("user.created", who, Time * 1000)),
        ]));

        foreach (var who in users)
        {
            Assert.Equal(
                $"{who}@example.com pro active",
                await app.Database.ScalarAsync<string>("SELECT concat_ws(' ', email, plan, plan_status) FROM users WHERE clerk_user_id = $1", who));
        }
    }

    /// <summary>One event tells of the subscription while another tells whose it is: neither misses the other.</summary>
    [Fact]
    public async Task Subscription_and_checkout_at_once_give_the_plan()
    {
        var stories = Enumerable.Range(0, 20)
            .Select(_ => (User: WebhookSender.NewId("user"), Customer: WebhookSender.NewId("cus"), Subscription: WebhookSender.NewId("sub"))).ToList();

        await Task.WhenAll(stories.SelectMany(story => (Task[])
        [
            SendAsync(Events.Subscription("created", Time, story.Subscription, story.Customer)),
            SendAsync(Events.Checkout(Time, story.Subscription, story.Customer, story.User)),
        ]));

        foreach (var story in stories)
        {
            Assert.Equal("pro active", await PlanAsync(story.User));
        }
    }

    /// <summary>The same with two subscriptions, at the worst moment: one event has done everything but commit when the other one begins.</summary>
    [Fact]
    public async Task Subscription_that_is_about_to_commit_is_not_missed_by_the_event_that_names_its_user()
    {
        await OverlapAsync(subscription,
            Events.Subscription("created", Time, subscription, customer),
            Events.Subscription("created", Time, WebhookSender.NewId("sub"), customer, "incomplete", user: user));
        Assert.Equal("pro active", await PlanAsync());
    }

    /// <summary>And with a purchase that knows the user, beside a subscription that knows the customer.</summary>
    [Fact]
    public async Task Purchase_that_is_about_to_commit_is_not_missed_by_an_event_of_the_customer()
    {
        await SendAsync(Events.Checkout(Time, subscription, customer, user));
        var purchase = Events.Checkout(Time + 1, null, null, user, "lifetime");
        await OverlapAsync(
            purchase["data"]!["object"]!["id"]!.GetValue<string>(), purchase, Events.Subscription("updated", Time + 1, subscription, customer, "unpaid"));
        Assert.Equal("lifetime active", await PlanAsync());
    }

    /// <summary>A payment after the account was deleted brings nobody back.</summary>
    [Fact]
    public async Task Deleted_user_gets_no_plan()
    {
        await sender.ClerkAsync(Events.UserDeleted(user, Time * 1000));
        await SendAsync(Events.Checkout(Time + 1, subscription, customer, user, "pro"));
        Assert.Equal(
            1,
            await app.Database.CountAsync("users", $"clerk_user_id = '{user}' AND deleted_at IS NOT NULL AND plan IS NULL AND stripe_customer_id IS NULL"));
    }

    [Fact]
    public async Task Checkout_that_is_not_paid_gives_no_plan()
    {
        var checkout = Events.Checkout(Time, null, customer, user, "pro");
        checkout["data"]!["object"]!["payment_status"] = "unpaid";
        await SendAsync(checkout);
        Assert.Equal(0, await app.Database.CountAsync("users", $"clerk_user_id = '{user}'"));

        // Payments that take days are told later.
        var paid = Events.Stripe("checkout.session.async_payment_succeeded", Time + 100, checkout["data"]!["object"]!.DeepClone().AsObject());
        paid["data"]!["object"]!["payment_status"] = "paid";
        await SendAsync(paid);
        Assert.Equal("pro active", await PlanAsync());
        Assert.Equal(customer, await CustomerAsync(user));
    }

    /// <summary>An unpaid checkout links nothing: the end of the subscription that was paid for still finds its user.</summary>
    [Fact]
    public async Task Unpaid_checkout_hides_no_later_end()
    {
        await SendAsync(Events.Checkout(Time, subscription, customer, user, "pro"));
        var unpaid = Events.Checkout(Time + 1, null, WebhookSender.NewId("cus"), user, "pro");
        unpaid["data"]!["object"]!["payment_status"] = "unpaid";
        await SendAsync(unpaid);
        Assert.Equal("pro active", await PlanAsync());
        Assert.Equal(customer, await CustomerAsync(user));

        await SendAsync(Events.Subscription("deleted", Time + 2, subscription, customer));
        Assert.Equal(" canceled", await PlanAsync());
    }

    /// <summary>A user may pay as several customers: each subscription ends for itself, and the best live one counts.</summary>
    [Fact]
    public async Task User_with_two_customers_has_the_best_live_subscription()
    {
        var (secondCustomer, second) = (WebhookSender.NewId("cus"), WebhookSender.NewId("sub"));
        await SendAsync(Events.Checkout(Time, subscription, customer, user, "pro"));
        await SendAsync(Events.Checkout(Time + 1, second, secondCustomer, user, "team"));
        Assert.Equal("team active", await PlanAsync());
        Assert.Equal(customer, await CustomerAsync(user));

        await SendAsync(Events.Invoice("payment_failed", Time + 2, second, secondCustomer));
        Assert.Equal("pro active", await PlanAsync());
        await SendAsync(Events.Subscription("deleted", Time + 3, subscription, customer));
        Assert.Equal("team past_due", await PlanAsync());
        await SendAsync(Events.Subscription("deleted", Time + 4, second, secondCustomer));
        Assert.Equal(" canceled", await PlanAsync());
    }

    /// <summary>Whoever pays may write anybody into the reference of a payment link: nobody loses a customer id or a plan by that.</summary>
    [Fact]
    public async Task Customer_stays_with_their_user_whoever_is_named()
    {
        var other = WebhookSender.NewId("user");
        await SendAsync(Events.Checkout(Time, subscription, customer, user, "pro"));
        await SendAsync(Events.Checkout(Time + 1, WebhookSender.NewId("sub"), customer, other, "team"));

        Assert.Equal(customer, await CustomerAsync(user));
        Assert.Equal("team active", await PlanAsync()); // the customer bought it, and the customer is this user
        Assert.Equal(0, await app.Database.CountAsync("users", $"clerk_user_id = '{other}'"));
    }

    /// <summary>The other way round: a user who is a customer stays that one, whatever reference a stranger pays with.</summary>
    [Fact]
    public async Task User_keeps_their_customer_whoever_pays_for_them()
    {
        await SendAsync(Events.Checkout(Time, subscription, customer, user, "pro"));
        await SendAsync(Events.Checkout(Time + 1, WebhookSender.NewId("sub"), WebhookSender.NewId("cus"), user, "team"));
        Assert.Equal(customer, await CustomerAsync(user));

        await SendAsync(Events.Subscription("created", Time + 2, WebhookSender.NewId("sub"), customer, plan: "gold"));
        Assert.Equal("gold active", await PlanAsync());
    }

    private async Task SendAsync(JsonObject body)
    {
        var answer = await sender.StripeAsync(body);
        Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
    }

    /// <summary>Stops the first event, which writes this subscription, at its commit until the second one waits for it or is through.</summary>
    private async Task OverlapAsync(string of, JsonObject first, JsonObject second)
    {
        await app.Database.ExecuteAsync($"""
            CREATE FUNCTION stop_{of}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(hashtext('{of}')); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER stop_{of} AFTER INSERT OR UPDATE ON stripe_subscriptions DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW WHEN (NEW.subscription_id = '{of}') EXECUTE FUNCTION stop_{of}()
            """);
        await using var held = await app.Database.HoldAsync($"SELECT pg_advisory_xact_lock(hashtext('{of}'))");
        var one = SendAsync(first);
        await app.Database.WaitForBlockedAsync(1);
        var two = SendAsync(second);
        await Task.WhenAny(two, app.Database.WaitForBlockedAsync(2));
        await held.LetGoAsync();
        await Task.WhenAll(one, two);
    }

    private Task<string?> CustomerAsync(string who) => app.Database.ScalarAsync<string>("SELECT stripe_customer_id FROM users WHERE clerk_user_id = $1", who);

    private Task<string?> PlanAsync(string? who = null) => app.Database.ScalarAsync<string>(
        "SELECT coalesce(plan, '') || ' ' || coalesce(plan_status, '') FROM users WHERE clerk_user_id = $1", who ?? user);
}
