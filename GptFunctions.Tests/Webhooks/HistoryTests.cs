using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>
/// webhooks.md 13: a storm (random order, duplicates, crashes) ends in the state of the events in order, once each. FsCheck makes the histories.
/// Crashes are real: triggers at each step of the transaction (claim, record, changes, audit events, commit) now and then end the connection or throw.
/// </summary>
public sealed class HistoryTests(WebhookFixture<HistoryTests> fixture) : IClassFixture<WebhookFixture<HistoryTests>>, IAsyncLifetime
{
    private const int Users = 3;
    private const int Workers = 4;
    private static int run;
    private readonly TestApp app = fixture.App;
    private readonly WebhookSender sender = fixture.Sender;

    public async Task InitializeAsync() => await app.Database.ExecuteAsync("""
        CREATE TABLE chaos (crash_rate float NOT NULL, throw_rate float NOT NULL);
        INSERT INTO chaos VALUES (0, 0);
        INSERT INTO gpt_clients (client_id, name, kind, auth_methods, redirect_uris, scopes, require_pkce, created_at)
        VALUES ('history', 'History', 'confidential', '{client_secret_post}', '{https://client.example}', '{jobs:read}', false, now());
        CREATE FUNCTION strike() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF random() < (SELECT crash_rate FROM chaos) THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
            IF random() < (SELECT throw_rate FROM chaos) THEN RAISE EXCEPTION 'struck at %', TG_TABLE_NAME; END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER strike AFTER INSERT OR UPDATE ON webhook_subjects FOR EACH ROW EXECUTE FUNCTION strike();
        CREATE TRIGGER strike AFTER INSERT OR UPDATE ON webhook_events FOR EACH ROW EXECUTE FUNCTION strike();
        CREATE TRIGGER strike AFTER INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION strike();
        CREATE TRIGGER strike AFTER INSERT OR UPDATE ON stripe_subscriptions FOR EACH ROW EXECUTE FUNCTION strike();
        CREATE TRIGGER strike AFTER INSERT OR UPDATE ON gpt_sessions FOR EACH ROW EXECUTE FUNCTION strike();
        CREATE TRIGGER strike AFTER INSERT ON outbox_messages FOR EACH ROW EXECUTE FUNCTION strike();
        CREATE CONSTRAINT TRIGGER strike_at_commit AFTER INSERT OR UPDATE ON webhook_events DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION strike()
        """);

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public Task Storm_ends_in_the_state_of_the_events_in_order_once_each()
    {
        var steps = Gen.Choose(0, Users - 1).Zip(Gen.Choose(0, 11)).ListOf(24).Select(list => list.Select(step => new Step(step.Item1, step.Item2)).ToList());
        var histories = steps.Zip(Gen.Choose(0, int.MaxValue - 1)).Select(pair => new History(pair.Item1, pair.Item2));
        return Task.Run(() => Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(30), Prop.ForAll(Arb.From(histories), history => CompareAsync(history).GetAwaiter().GetResult())));
    }

    private async Task<bool> CompareAsync(History history)
    {
        var number = Interlocked.Increment(ref run).ToString(CultureInfo.InvariantCulture);
        var (calm, storm) = ("calm" + number, "storm" + number);
        await AddUsersAsync(calm);
        await AddUsersAsync(storm);

        await ThrowDiceAsync(crashes: 0, exceptions: 0);
        foreach (var delivery in history.Deliveries(calm))
        {
            Assert.Equal("""{"received":true}""", (await SendAsync(delivery)).Text);
        }

        await ThrowDiceAsync(crashes: 0.03, exceptions: 0.03);
        await StormAsync(history.Deliveries(storm).ToList(), new Random(history.Seed));
        await ThrowDiceAsync(crashes: 0, exceptions: 0);

        Assert.Equal(await StateAsync(calm), await StateAsync(storm));
        await AssertOneAuditEventEachAsync(storm);
        return true;
    }

    /// <summary>In any order, some twice, several at once, each again until it is accepted.</summary>
    private async Task StormAsync(List<Delivery> deliveries, Random random)
    {
        Delivery[] all = [.. deliveries, .. deliveries.Where(_ => random.Next(3) == 0)];
        random.Shuffle(all);
        var waiting = new Queue<Delivery>(all);
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(_ => Task.Run(async () =>
        {
            while (Take() is { } delivery)
            {
                var answer = await SendAsync(delivery);
                if (answer.Status != HttpStatusCode.OK)
                {
                    Assert.True(answer.Status is HttpStatusCode.InternalServerError or HttpStatusCode.ServiceUnavailable, answer.Text);
                    lock (waiting)
                    {
                        waiting.Enqueue(delivery);
                    }
                }
            }
        })));

        Delivery? Take()
        {
            lock (waiting)
            {
                return waiting.TryDequeue(out var delivery) ? delivery : null;
            }
        }
    }

    private Task<JsonAnswer> SendAsync(Delivery delivery) =>
        delivery.IsClerk ? sender.ClerkAsync(delivery.Body(), delivery.Id) : sender.StripeAsync(delivery.Body());

    private Task ThrowDiceAsync(double crashes, double exceptions) =>
        app.Database.ExecuteAsync(string.Create(CultureInfo.InvariantCulture, $"UPDATE chaos SET crash_rate = {crashes}, throw_rate = {exceptions}"));

    /// <summary>Everybody has signed in before anything is heard of them, and has a session.</summary>
    private Task AddUsersAsync(string prefix) => app.Database.ExecuteAsync($$"""
        WITH person AS (
            INSERT INTO users (id, clerk_user_id, created_at)
            SELECT gen_random_uuid(), '{{prefix}}_user' || n, now()
            FROM generate_series(0, {{Users - 1}}) n
            RETURNING id
        )
        INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at)
        SELECT gen_random_uuid(), 'history', id, '{jobs:read}', '{jobs:read}', 'r', now(), now(), now() + interval '1 day' FROM person
        """);

    private Task<string?> StateAsync(string prefix) => app.Database.ScalarAsync<string>("""
        SELECT replace(string_agg(
            concat_ws(' ', clerk_user_id, email, name, 'plan', plan, 'status', plan_status, 'customer', stripe_customer_id,
                'deleted', (deleted_at IS NOT NULL)::text,
                'sessions', (SELECT count(*) FROM gpt_sessions WHERE user_id = users.id AND revoked_at IS NULL)),
            E'\n' ORDER BY clerk_user_id), $1, '')
        FROM users
        WHERE clerk_user_id LIKE $1 || '\_%'
        """, prefix);

    /// <summary>"one effect, one outbox row set": as many audit events as events that took effect.</summary>
    private async Task AssertOneAuditEventEachAsync(string prefix)
    {
        Assert.Equal(0, await app.Database.CountAsync("webhook_events", $"event_id LIKE '{prefix}\\_%' AND status = 'failed'"));
        (string, string)[] expected =
        [
            ("'user.created', 'user.updated'", AuditEvents.UserUpdated),
            ("'user.deleted'", AuditEvents.UserDeleted),
            ("'user.deleted'", AuditEvents.AllSessionsRevoked),
        ];
        foreach (var (types, told) in expected)
        {
            Assert.Equal(
                await app.Database.CountAsync("webhook_events", $"subject LIKE '{prefix}\\_%' AND type IN ({types}) AND status = 'completed'"),
                await app.Database.CountAsync("outbox_messages", $"routing_key = '{told}' AND envelope -> 'payload' ->> 'clerk_user_id' LIKE '{prefix}\\_%'"));
        }
    }

    /// <summary>Something that happens to one of the users.</summary>
    internal sealed record Step(int User, int Kind);

    /// <summary>The steps happen a second after another; the seed decides how they arrive.</summary>
    internal sealed record History(List<Step> Steps, int Seed)
    {
        public IEnumerable<Delivery> Deliveries(string prefix) => Steps.Select((step, index) => Tell(prefix, step, index));

        private static Delivery Tell(string prefix, Step step, int index)
        {
            var user = $"{prefix}_user{step.User}";
            var (customer, first, second) = (user + "_cus", user + "_sub1", user + "_sub2");
            var time = 1_700_000_000L + index;
            var id = $"{prefix}_event{index}";
            var email = $"{user}-{index}@example.com";
            return step.Kind switch
            {
                0 => new(true, id, () => Events.User("user.created", user, time * 1000, email)),
                1 or 2 => new(true, id, () => Events.User("user.updated", user, time * 1000, email, firstName: "Name" + index)),
                3 => new(true, id, () => Events.UserDeleted(user, time * 1000)),
                4 => Stripe(() => Events.Checkout(time, first, customer, user)),
                5 => Stripe(() => Events.Subscription("created", time, first, customer, "incomplete", "pro")),
                6 => Stripe(() => Events.Subscription("updated", time, first, customer, index % 2 == 0 ? "active" : "past_due", "plan" + index)),
                7 => Stripe(() => Events.Invoice("paid", time, first, customer)),
                8 => Stripe(() => Events.Invoice("payment_failed", time, first, customer)),
                9 => Stripe(() => Events.Subscription("deleted", time, first, customer)),
                10 => Stripe(() => Events.Subscription("updated", time, second, customer, "trialing", "second" + index, user)),
                _ => Stripe(() => Events.Invoice("payment_failed", time, second, customer)),
            };

            Delivery Stripe(Func<JsonObject> body) => new(false, id, () =>
            {
                var made = body();
                made["id"] = id;
                return made;
            });
        }
    }

    internal sealed record Delivery(bool IsClerk, string Id, Func<JsonObject> Body);
}
