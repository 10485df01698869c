using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>
/// What is known of subscriptions, and the plan that follows for their user. Several statements of one transaction: each sees what others have
/// committed while the one before waited for its lock.
/// </summary>
internal static class StripeStore
{
    // Events of one customer take turns: one may tell of the subscription while another tells whose it is.
    private static readonly Sql Lock = new("SELECT pg_advisory_xact_lock(hashtextextended('stripe customer ' || @customer_id, 0))");

    // Whatever comes here is not stale in the order of its kind; a checkout's payment has no such order and is compared. Whose it is stays as it was
    // stored; else it is the user's of this customer, else the named user's.
    private static readonly Sql Save = new("""
        INSERT INTO stripe_subscriptions AS known (subscription_id, customer_id, clerk_user_id, plan, status, status_at, payment, payment_at, ended_at)
        VALUES (@subscription_id, @customer_id,
                coalesce((SELECT clerk_user_id FROM users WHERE stripe_customer_id = @customer_id),
                         (SELECT clerk_user_id FROM stripe_subscriptions WHERE customer_id = @customer_id AND clerk_user_id IS NOT NULL LIMIT 1), @clerk_user_id),
                @plan, @status, CASE WHEN @status IS NOT NULL THEN @occurred_at END, @payment, CASE WHEN @payment IS NOT NULL THEN @occurred_at END, CASE WHEN @is_ended THEN @occurred_at END)
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
        UPDATE stripe_subscriptions other SET clerk_user_id = told.clerk_user_id
        FROM stripe_subscriptions told
        WHERE told.subscription_id = @subscription_id AND other.customer_id = told.customer_id AND other.clerk_user_id IS NULL AND told.clerk_user_id IS NOT NULL
        """);

    // Payment often comes before Clerk's user.created: then this makes the user's row, and that completes it. A user's first customer id stays theirs.
    private static readonly Sql Link = new("""
        INSERT INTO users (id, clerk_user_id, stripe_customer_id, created_at)
        SELECT @user_id, told.clerk_user_id, CASE WHEN NOT EXISTS (SELECT FROM users WHERE stripe_customer_id = told.customer_id) THEN told.customer_id END, @now
        FROM stripe_subscriptions told WHERE told.subscription_id = @subscription_id AND told.clerk_user_id IS NOT NULL
        ON CONFLICT (clerk_user_id) DO UPDATE SET stripe_customer_id = excluded.stripe_customer_id
        WHERE users.deleted_at IS NULL AND users.stripe_customer_id IS NULL
        """);

    private static readonly Sql LockUser = new("""
        SELECT FROM stripe_subscriptions told JOIN users ON users.clerk_user_id = told.clerk_user_id WHERE told.subscription_id = @subscription_id FOR NO KEY UPDATE OF users
        """);

    // Of several subscriptions the one in the best standing counts, of equal ones the one that was heard of last (by Stripe's clock). Without any that is
    // paid for there is no plan. What nothing is known of but its name does not count.
    private static readonly Sql SetPlan = new($"""
        WITH best AS (
            SELECT users.id, subscription.plan_status, CASE WHEN subscription.plan_status IN ('active', 'trialing', 'past_due') THEN subscription.plan END AS plan
            FROM stripe_subscriptions told JOIN users ON users.clerk_user_id = told.clerk_user_id CROSS JOIN LATERAL (
                SELECT plan, plan_status FROM stripe_subscriptions
                WHERE clerk_user_id = users.clerk_user_id AND coalesce(status_at, payment_at, ended_at) IS NOT NULL
                ORDER BY coalesce(array_position(ARRAY['active', 'trialing', 'past_due'], plan_status), 4), greatest(status_at, payment_at, ended_at) DESC, subscription_id DESC LIMIT 1) subscription
            WHERE told.subscription_id = @subscription_id AND users.deleted_at IS NULL
        ), changed AS (
            UPDATE users SET plan = best.plan, plan_status = best.plan_status FROM best
            WHERE users.id = best.id AND (users.plan, users.plan_status) IS DISTINCT FROM (best.plan, best.plan_status)
            RETURNING users.clerk_user_id, users.plan, users.plan_status
        )
        {Outbox.Tell(AuditEvents.PlanChanged, "changed", "'clerk_user_id', clerk_user_id, 'plan', plan, 'plan_status', plan_status")}
        """);

    public static void AddNews(NpgsqlBatch batch, SubscriptionNews news, DateTimeOffset occurredAt, Occasion occasion)
    {
        batch.Add(new Statement(Lock).Bind("customer_id", news.CustomerId ?? news.SubscriptionId));

        batch.Add(new Statement(Save)
            .Bind("subscription_id", news.SubscriptionId).Bind("customer_id", news.CustomerId).Bind("clerk_user_id", news.ClerkUserId)
            .Bind("plan", news.Plan).Bind("status", news.Status).Bind("payment", news.Payment).Bind("is_ended", news.IsEnded)
            .Bind("occurred_at", occurredAt));

        batch.Add(new Statement(Adopt).Bind("subscription_id", news.SubscriptionId));
        if (news.ClerkUserId is not null)
        {
            batch.Add(new Statement(Link).Bind("subscription_id", news.SubscriptionId).Bind("user_id", Guid.CreateVersion7(occasion.Now)).Bind(occasion));
        }

        batch.Add(new Statement(LockUser).Bind("subscription_id", news.SubscriptionId));

        batch.Add(new Statement(SetPlan).Bind("subscription_id", news.SubscriptionId).Bind(occasion));
    }
}
