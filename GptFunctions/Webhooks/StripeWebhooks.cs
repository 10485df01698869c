using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>What one event says of a subscription, and of whom it belongs to.</summary>
/// <param name="SubscriptionId">A subscription's id, or a checkout session's for a one-time purchase.</param>
/// <param name="ClerkUserId">Named by ourselves when the checkout began.</param>
/// <param name="Plan">What was bought.</param>
/// <param name="Status">The subscription's own word.</param>
/// <param name="Payment"><c>active</c> or <c>past_due</c>, after a payment that succeeded or failed.</param>
internal sealed record SubscriptionNews(
    string SubscriptionId, string? CustomerId, string? ClerkUserId, string? Plan = null, string? Status = null, string? Payment = null, bool IsEnded = false);

/// <summary>
/// Stripe tells who pays. Its events come in any order, and three kinds of them tell parts of the story: the subscription's own (plan and status),
/// payments (status), and the checkout (whose it is). Each kind has an order of its own, so that one never hides another.
/// </summary>
internal sealed class StripeWebhooks : IWebhookSource
{
    public const string PlanChanged = "gpt.webhook.plan_changed";
    private const string Checkout = "checkout.session.completed";
    private const string CheckoutPaidLater = "checkout.session.async_payment_succeeded";
    private const string Created = "customer.subscription.created";
    private const string Updated = "customer.subscription.updated";
    private const string Ended = "customer.subscription.deleted";
    private const string Paid = "invoice.paid";
    private const string PaymentFailed = "invoice.payment_failed";

    public string Name => "stripe";

    public ISignature Signature { get; } = new StripeSignature();

    public WebhookEvent? Read(JsonElement body, string? headerId)
    {
        if (body.Text("id") is not { } id || body.Text("type") is not { } type)
        {
            return null;
        }

        var webhook = new WebhookEvent(id, type, body.Object("data").Object("object")) { OccurredAt = body.UnixTime("created", 1) };
        if (!IsHandled(type))
        {
            return webhook with { IsHandled = false }; // also a thin event, which has no such data and another kind of time
        }

        return webhook is { Data: { ValueKind: JsonValueKind.Object } data, OccurredAt: not null } ? Read(webhook, data) : null;
    }

    private static bool IsHandled(string type) =>
        type is Created or Updated or Ended or Paid or PaymentFailed or Checkout or CheckoutPaidLater;

    private static WebhookEvent? Read(WebhookEvent webhook, JsonElement data) => webhook.Type switch
    {
        Paid or PaymentFailed => InvoiceSubscription(data) is { } subscription
            ? webhook with { Subject = subscription + " payments", Order = EventOrder.Change }
            : webhook with { IsHandled = false }, // an invoice that belongs to no subscription
        Checkout or CheckoutPaidLater => data.Text("id") is { } session ? webhook with { Subject = session } : null, // completed once
        var change => data.Text("id") is { } subscription
            ? webhook with
            {
                Subject = subscription,
                Order = change switch { Created => EventOrder.Creation, Ended => EventOrder.Deletion, _ => EventOrder.Change },
            }
            : null,
    };

    // What is known of subscriptions, and the plan that follows for their user. Several statements of one transaction: each sees what others have
    // committed while the one before waited for its lock.
    //
    // Events of one customer take turns: one may tell of the subscription while another tells whose it is.
    private static readonly Sql Lock = new("SELECT pg_advisory_xact_lock(hashtextextended('stripe customer ' || @customer_id, 0))");

    // Whatever comes here is not stale in the order of its kind; a checkout's payment has no such order and is compared. Whose it is stays as it was
    // stored; else it is the user's of this customer, else the named user's.
    private static readonly Sql Save = new("""
        INSERT INTO stripe_subscriptions AS known (subscription_id, customer_id, clerk_user_id, plan, status, status_at, payment, payment_at, ended_at)
        VALUES (@subscription_id, @customer_id,
                coalesce((SELECT clerk_user_id FROM users WHERE stripe_customer_id = @customer_id),
                         (SELECT clerk_user_id
                          FROM stripe_subscriptions
                          WHERE customer_id = @customer_id AND clerk_user_id IS NOT NULL
                          LIMIT 1),
                         @clerk_user_id),
                @plan,
                @status, CASE WHEN @status IS NOT NULL THEN @occurred_at END,
                @payment, CASE WHEN @payment IS NOT NULL THEN @occurred_at END,
                CASE WHEN @is_ended THEN @occurred_at END)
        ON CONFLICT (subscription_id) DO UPDATE SET
            customer_id = coalesce(known.customer_id, excluded.customer_id),
            clerk_user_id = coalesce(known.clerk_user_id, excluded.clerk_user_id),
            plan = CASE WHEN excluded.status IS NULL THEN coalesce(known.plan, excluded.plan) ELSE coalesce(excluded.plan, known.plan) END,
            status = coalesce(excluded.status, known.status),
            status_at = coalesce(excluded.status_at, known.status_at),
            payment = CASE WHEN known.payment_at > excluded.payment_at THEN known.payment ELSE coalesce(excluded.payment, known.payment) END,
            payment_at = greatest(known.payment_at, excluded.payment_at),
            ended_at = coalesce(known.ended_at, excluded.ended_at)
        """);

    // What the customer had before it was known whose it is.
    private static readonly Sql Adopt = new("""
        UPDATE stripe_subscriptions other
        SET clerk_user_id = told.clerk_user_id
        FROM stripe_subscriptions told
        WHERE told.subscription_id = @subscription_id AND told.clerk_user_id IS NOT NULL
          AND other.customer_id = told.customer_id AND other.clerk_user_id IS NULL
        """);

    // Payment often comes before Clerk's user.created: then this makes the user's row, and that completes it. A user's first customer id stays theirs.
    private static readonly Sql Link = new("""
        INSERT INTO users (id, clerk_user_id, stripe_customer_id, created_at)
        SELECT @user_id, told.clerk_user_id,
               CASE WHEN NOT EXISTS (SELECT FROM users WHERE stripe_customer_id = told.customer_id) THEN told.customer_id END,
               @now
        FROM stripe_subscriptions told
        WHERE told.subscription_id = @subscription_id AND told.clerk_user_id IS NOT NULL
        ON CONFLICT (clerk_user_id) DO UPDATE SET stripe_customer_id = excluded.stripe_customer_id
        WHERE users.deleted_at IS NULL AND users.stripe_customer_id IS NULL
        """);

    private static readonly Sql LockUser = new("""
        SELECT
        FROM stripe_subscriptions told
        JOIN users ON users.clerk_user_id = told.clerk_user_id
        WHERE told.subscription_id = @subscription_id
        FOR NO KEY UPDATE OF users
        """);

    // Of several subscriptions the one in the best standing counts, of equal ones the one that was heard of last (by Stripe's clock). Without any that is
    // paid for there is no plan. What nothing is known of but its name does not count. A row of failed payments began with the first: retries, and what
    // tells of the same failure another way, do not move it.
    private static readonly Sql SetPlan = new($"""
        WITH best AS (
            SELECT users.id, subscription.plan_status, standing.plan,
                   (users.plan, users.plan_status) IS DISTINCT FROM (standing.plan, subscription.plan_status) AS is_news,
                   CASE WHEN subscription.plan_status = 'past_due' THEN least(users.past_due_since, subscription.failed_at) END AS past_due_since
            FROM stripe_subscriptions told
            JOIN users ON users.clerk_user_id = told.clerk_user_id
            CROSS JOIN LATERAL (
                SELECT plan, plan_status,
                       least(CASE WHEN status = 'past_due' THEN status_at END, CASE WHEN payment = 'past_due' THEN payment_at END) AS failed_at
                FROM stripe_subscriptions
                WHERE clerk_user_id = users.clerk_user_id AND coalesce(status_at, payment_at, ended_at) IS NOT NULL
                ORDER BY coalesce(array_position(ARRAY['active', 'trialing', 'past_due'], plan_status), 4),
                         greatest(status_at, payment_at, ended_at) DESC, subscription_id DESC
                LIMIT 1) subscription
            CROSS JOIN LATERAL (
                SELECT CASE WHEN subscription.plan_status IN ('active', 'trialing', 'past_due') THEN subscription.plan END AS plan) standing
            WHERE told.subscription_id = @subscription_id AND users.deleted_at IS NULL
        ), changed AS (
            UPDATE users
            SET plan = best.plan, plan_status = best.plan_status, past_due_since = best.past_due_since
            FROM best
            WHERE users.id = best.id AND (best.is_news OR users.past_due_since IS DISTINCT FROM best.past_due_since)
            RETURNING users.clerk_user_id, users.plan, users.plan_status, best.is_news
        ), news AS (
            SELECT * FROM changed WHERE is_news
        )
        {Outbox.Tell(PlanChanged, "news", "'clerk_user_id', clerk_user_id, 'plan', plan, 'plan_status', plan_status")}
        """);

    public void AddChanges(NpgsqlBatch batch, WebhookEvent webhook, Occasion occasion)
    {
        if (!webhook.IsHandled)
        {
            return;
        }

        var news = Tell(webhook);
        batch.Add(new Statement(Lock).Bind("customer_id", news.CustomerId ?? news.SubscriptionId));
        batch.Add(new Statement(Save)
            .Bind("subscription_id", news.SubscriptionId).Bind("customer_id", news.CustomerId).Bind("clerk_user_id", news.ClerkUserId)
            .Bind("plan", news.Plan).Bind("status", news.Status).Bind("payment", news.Payment).Bind("is_ended", news.IsEnded)
            .Bind("occurred_at", webhook.OccurredAt!.Value));
        batch.Add(new Statement(Adopt).Bind("subscription_id", news.SubscriptionId));
        if (news.ClerkUserId is not null)
        {
            batch.Add(new Statement(Link).Bind("subscription_id", news.SubscriptionId).Bind("user_id", Guid.CreateVersion7(occasion.Now)).Bind(occasion));
        }

        batch.Add(new Statement(LockUser).Bind("subscription_id", news.SubscriptionId));
        batch.Add(new Statement(SetPlan).Bind("subscription_id", news.SubscriptionId).Bind(occasion));
    }

    private static SubscriptionNews Tell(WebhookEvent webhook)
    {
        var data = webhook.Data;
        var customer = Reference(data, "customer");
        switch (webhook.Type)
        {
            case Checkout or CheckoutPaidLater:
                var metadata = data.Object("metadata");
                var isPaid = data.Text("payment_status") is "paid" or "no_payment_required";
                // Whoever opens a payment link writes the reference: it says whose it is when somebody has paid for that, not before.
                var user = isPaid ? data.Text("client_reference_id") ?? metadata.Text("clerk_user_id") : null;
                var bought = Reference(data, "subscription") ?? data.Text("id")!;
                return new SubscriptionNews(bought, customer, user, metadata.Text("plan"), Payment: isPaid ? "active" : null);
            case Paid or PaymentFailed:
                var payer = Details(data).Object("metadata").Text("clerk_user_id");
                return new SubscriptionNews(InvoiceSubscription(data)!, customer, payer, Payment: webhook.Type == Paid ? "active" : "past_due");
            default:
                var named = data.Object("metadata").Text("clerk_user_id");
                var status = data.Text("status") ?? "incomplete";
                return new SubscriptionNews(webhook.Subject!, customer, named, PlanOf(data), status, IsEnded: webhook.Type == Ended);
        }
    }

    /// <summary>
    /// The plan's name as we gave it to Stripe: in the subscription's metadata, else the price's look-up key or nickname, else the price's id.
    /// </summary>
    private static string? PlanOf(JsonElement subscription)
    {
        var price = subscription.Object("items").Items("data").FirstOrDefault().Object("price");
        return subscription.Object("metadata").Text("plan") ?? price.Text("lookup_key") ?? price.Text("nickname") ?? price.Text("id");
    }

    private static string? InvoiceSubscription(JsonElement invoice) =>
        Reference(invoice, "subscription") ?? Reference(Details(invoice), "subscription");

    /// <summary>Since API version 2025-03-31 below <c>parent</c>.</summary>
    private static JsonElement Details(JsonElement invoice) =>
        invoice.Object("parent").Member("subscription_details") ?? invoice.Object("subscription_details");

    /// <summary>A reference is an id or, when the endpoint asks for it, the whole object.</summary>
    private static string? Reference(JsonElement element, string name) => element.Text(name) ?? element.Object(name).Text("id");
}
