using GptFunctions.Audit;
using GptFunctions.Data;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>
/// What is known of subscriptions, and the plan that follows for their user. Several statements of one transaction: each sees what others have
/// committed while the one before waited for its lock.
/// </summary>
internal static class StripeStore
{
    // Events of one customer take turns: one may tell of the subscription while another tells whose it is.
    private const string LockCustomer = "SELECT pg_advisory_xact_lock(hashtextextended('stripe customer ' || $1, 0))";

    // A customer belongs to the user who was named last.
    private const string Unlink = "UPDATE users SET stripe_customer_id = NULL, plan = NULL, plan_status = NULL WHERE stripe_customer_id = $1 AND clerk_user_id <> $2";

    // Payment often comes before Clerk's user.created: then this makes the user's row, and that completes it.
    private const string Link = """
        INSERT INTO users (id, clerk_user_id, stripe_customer_id, created_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (clerk_user_id) DO UPDATE SET stripe_customer_id = coalesce(excluded.stripe_customer_id, users.stripe_customer_id) WHERE users.deleted_at IS NULL
        """;

    // Whatever comes here is not stale in the order of its kind; a checkout's payment has no such order and is compared.
    private const string Save = """
        INSERT INTO stripe_subscriptions AS known (subscription_id, customer_id, clerk_user_id, plan, status, status_at, payment, payment_at, ended_at)
        VALUES ($1, $2, $3, $4, $5, CASE WHEN $5 IS NOT NULL THEN $8 END, $6, CASE WHEN $6 IS NOT NULL THEN $8 END, CASE WHEN $7 THEN $8 END)
        ON CONFLICT (subscription_id) DO UPDATE SET
            customer_id = coalesce(excluded.customer_id, known.customer_id),
            clerk_user_id = coalesce(excluded.clerk_user_id, known.clerk_user_id),
            plan = CASE WHEN excluded.status IS NULL THEN coalesce(known.plan, excluded.plan) ELSE coalesce(excluded.plan, known.plan) END,
            status = coalesce(excluded.status, known.status),
            status_at = coalesce(excluded.status_at, known.status_at),
            payment = CASE WHEN known.payment_at > excluded.payment_at THEN known.payment ELSE coalesce(excluded.payment, known.payment) END,
            payment_at = greatest(known.payment_at, excluded.payment_at),
            ended_at = coalesce(known.ended_at, excluded.ended_at)
        """;

    private const string LockUser = "SELECT FROM users WHERE clerk_user_id = $1 OR stripe_customer_id = $2 FOR NO KEY UPDATE";

    // Of several subscriptions the one in the best standing counts, of equal ones the newest. Without any that is paid for there is no plan.
    private const string SetPlan = $"""
        WITH best AS (
            SELECT users.id, subscription.plan_status, CASE WHEN subscription.plan_status IN ('active', 'trialing', 'past_due') THEN subscription.plan END AS plan
            FROM users CROSS JOIN LATERAL (
                SELECT plan, plan_status FROM stripe_subscriptions
                WHERE clerk_user_id = users.clerk_user_id OR (clerk_user_id IS NULL AND customer_id = users.stripe_customer_id)
                ORDER BY coalesce(array_position(ARRAY['active', 'trialing', 'past_due'], plan_status), 4), greatest(status_at, payment_at, ended_at) DESC, subscription_id DESC LIMIT 1) subscription
            WHERE (users.clerk_user_id = $1 OR users.stripe_customer_id = $2) AND users.deleted_at IS NULL
        ), changed AS (
            UPDATE users SET plan = best.plan, plan_status = best.plan_status FROM best
            WHERE users.id = best.id AND (users.plan, users.plan_status) IS DISTINCT FROM (best.plan, best.plan_status)
            RETURNING users.clerk_user_id, users.plan, users.plan_status
        )
        INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
        SELECT event_id, '{AuditEvents.PlanChanged}', $3, event_envelope(event_id, '{AuditEvents.PlanChanged}', $3, $4, jsonb_build_object(
            'clerk_user_id', clerk_user_id, 'plan', plan, 'plan_status', plan_status, 'ip_address', $5))
        FROM (SELECT uuid_v7($3) AS event_id, * FROM changed OFFSET 0) told
        """;

    public static void AddNews(NpgsqlBatch batch, SubscriptionNews news, DateTimeOffset occurredAt, RequestOrigin origin, DateTimeOffset now)
    {
        if (news.CustomerId is not null)
        {
            batch.Add(LockCustomer).Bind(news.CustomerId);
        }

        if (news.ClerkUserId is not null)
        {
            AddLink(batch, news.ClerkUserId, news.CustomerId, now);
        }

        var save = batch.Add(Save);
        save.Bind(news.SubscriptionId);
        save.Bind(news.CustomerId);
        save.Bind(news.ClerkUserId);
        save.Bind(news.Plan);
        save.Bind(news.Status);
        save.Bind(news.Payment);
        save.Bind(news.IsEnded);
        save.Bind(occurredAt);

        var lockUser = batch.Add(LockUser);
        lockUser.Bind(news.ClerkUserId);
        lockUser.Bind(news.CustomerId);

        var setPlan = batch.Add(SetPlan);
        setPlan.Bind(news.ClerkUserId);
        setPlan.Bind(news.CustomerId);
        setPlan.Bind(now);
        setPlan.Bind(origin.CorrelationId);
        setPlan.Bind(origin.Address);
    }

    private static void AddLink(NpgsqlBatch batch, string clerkUserId, string? customerId, DateTimeOffset now)
    {
        if (customerId is not null)
        {
            var unlink = batch.Add(Unlink);
            unlink.Bind(customerId);
            unlink.Bind(clerkUserId);
        }

        var link = batch.Add(Link);
        link.Bind(Guid.CreateVersion7(now));
        link.Bind(clerkUserId);
        link.Bind(customerId);
        link.Bind(now);
    }
}
