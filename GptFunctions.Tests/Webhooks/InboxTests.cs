using System.Net;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>webhooks.md 6 to 10: what becomes of a delivery.</summary>
public sealed class InboxTests(WebhookFixture<InboxTests> fixture) : IClassFixture<WebhookFixture<InboxTests>>
{
    private const long Time = 1_700_000_000_000;
    private const string AlreadyCompleted = """{"received":true,"duplicate":true,"idempotent":true,"reason":"already_completed"}""";
    private readonly TestApp app = fixture.App;
    private readonly WebhookSender sender = fixture.Sender;

    /// <summary>Row "nothing".</summary>
    [Fact]
    public async Task New_event_is_handled_and_completed()
    {
        var (user, id) = Names();

        var answer = await sender.ClerkAsync(Events.User("user.created", user, Time), id);

        Assert.Equal((HttpStatusCode.OK, """{"received":true}"""), (answer.Status, answer.Text));
        Assert.Equal($"completed 1 user.created {user} true true", await app.Database.ScalarAsync<string>("""
            SELECT concat_ws(' ', status, attempts, type, subject, (payload IS NULL)::text, (event_at = to_timestamp(1700000000))::text)
            FROM webhook_events
            WHERE source = 'clerk' AND event_id = $1
            """, id));
        Assert.Single(await app.Database.EventsAsync(AuditEvents.UserUpdated, "clerk_user_id", user));
    }

    /// <summary>Row "completed, ignored, skipped_stale".</summary>
    [Theory]
    [InlineData("completed")]
    [InlineData("ignored")]
    [InlineData("skipped_stale")]
    public async Task Event_that_was_decided_is_answered_and_changes_nothing(string status)
    {
        var (user, id) = Names();
        await sender.ClerkAsync(Events.User("user.created", user, Time));
        var body = Events.User(
            status == "ignored" ? "email.created" : "user.updated", user, status == "skipped_stale" ? Time - 1 : Time + 1, "new@example.com");
        Assert.Equal("""{"received":true}""", (await sender.ClerkAsync(body, id)).Text);
        var before = await StateAsync(id, user);
        Assert.StartsWith(status, before, StringComparison.Ordinal);

        var again = await sender.ClerkAsync(body, id);

        Assert.Equal((HttpStatusCode.OK, AlreadyCompleted), (again.Status, again.Text));
        Assert.Equal(before, await StateAsync(id, user));
    }

    /// <summary>Row "being handled right now by another delivery": answered at once although the handler waits for a lock.</summary>
    [Fact]
    public async Task Event_that_is_being_handled_is_503_in_progress_and_holds_no_connection()
    {
        var (user, id) = Names();
        await sender.ClerkAsync(Events.User("user.created", user, Time));
        var body = Events.User("user.updated", user, Time + 1).ToJsonString();
        Task<JsonAnswer> first;
        await using (var held = await app.Database.HoldAsync($"SELECT FROM users WHERE clerk_user_id = '{user}' FOR UPDATE"))
        {
            first = DeliverAsync();
            await app.Database.WaitForBlockedAsync(1);

            var others = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => DeliverAsync()));

            Assert.All(others, answer =>
            {
                Assert.Equal(
                    (HttpStatusCode.ServiceUnavailable, "in_progress", "1"),
                    (answer.Status, answer["reason"], answer.Headers.RetryAfter?.ToString()));
                Assert.False(answer.Json.TryGetProperty("received", out _));
            });
            // The one that handles it; between the transaction that it shared and its own there is none.
            Assert.InRange(await app.Database.CountAsync("pg_stat_activity", "datname = current_database() AND wait_event_type = 'Lock'"), 0, 1);
            await held.LetGoAsync();
        }

        Assert.Equal("""{"received":true}""", (await first).Text);
        Assert.Equal(AlreadyCompleted, (await DeliverAsync()).Text);

        Task<JsonAnswer> DeliverAsync() => sender.ClerkAsync(System.Text.Json.Nodes.JsonNode.Parse(body)!.AsObject(), id);
    }

    /// <summary>Row "handler threw": 500, rolled back, `failed` with message and payload; row "failed": handled again, attempts + 1.</summary>
    [Fact]
    public async Task Handler_that_fails_leaves_a_failed_event_that_the_next_delivery_completes()
    {
        var (user, id) = Names();
        var body = Events.User("user.created", user, Time);
        await using var refusal = await RefuseAsync(user, "the cause");

        for (var attempt = 1; attempt <= 2; attempt++)
        {
            var failed = await sender.ClerkAsync(body, id);
            Assert.Equal(HttpStatusCode.InternalServerError, failed.Status);
            Assert.Equal(
                $"failed {attempt} P0001: the cause",
                await app.Database.ScalarAsync<string>("SELECT concat_ws(' ', status, attempts, error) FROM webhook_events WHERE event_id = $1", id));
        }

        Assert.Equal(
            body.ToJsonString(),
            await app.Database.ScalarAsync<string>("SELECT convert_from(payload, 'UTF8') FROM webhook_events WHERE event_id = $1", id));
        Assert.Equal(0, await app.Database.CountAsync("users", $"clerk_user_id = '{user}'"));
        Assert.Equal(0, await app.Database.CountAsync("webhook_subjects", $"subject = '{user}'")); // rolled back with the rest
        Assert.Empty(await app.Database.EventsAsync(AuditEvents.UserUpdated, "clerk_user_id", user));
        Assert.Contains(
            app.Log.Lines,
            line => line.StartsWith($"Error 5004 Webhook clerk user.created {id} failed: P0001: the cause", StringComparison.Ordinal));

        await refusal.DisposeAsync();
        Assert.Equal("""{"received":true}""", (await sender.ClerkAsync(body, id)).Text);
        Assert.Equal("completed 3 true true", await app.Database.ScalarAsync<string>(
            "SELECT concat_ws(' ', status, attempts, (payload IS NULL)::text, (error IS NULL)::text) FROM webhook_events WHERE event_id = $1",
            id));
        Assert.Single(await app.Database.EventsAsync(AuditEvents.UserUpdated, "clerk_user_id", user));
    }

    /// <summary>"one winner" of a failed event.</summary>
    [Fact]
    public async Task Failed_event_delivered_many_times_at_once_is_handled_once()
    {
        var (user, id) = Names();
        var body = Events.User("user.created", user, Time).ToJsonString();
        await using (await RefuseAsync(user, "later"))
        {
            await DeliverAsync();
        }

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => DeliverAsync()));

        Assert.Single(answers, answer => answer.Text == """{"received":true}""");
        Assert.All(answers, answer => Assert.True(answer.Status == HttpStatusCode.OK || answer["reason"] == "in_progress", answer.Text));
        Assert.Equal(
            "completed 2",
            await app.Database.ScalarAsync<string>("SELECT concat_ws(' ', status, attempts) FROM webhook_events WHERE event_id = $1", id));
        Assert.Single(await app.Database.EventsAsync(AuditEvents.UserUpdated, "clerk_user_id", user));

        Task<JsonAnswer> DeliverAsync() => sender.ClerkAsync(System.Text.Json.Nodes.JsonNode.Parse(body)!.AsObject(), id);
    }

    /// <summary>
    /// A delivery that failed may record that only after another one has succeeded, or while it is at work: then its own failure does not count.
    /// </summary>
    [Fact]
    public async Task Failure_is_not_recorded_over_a_success_or_beside_another_delivery()
    {
        var (user, id) = Names();
        var store = app.Get<GptFunctions.Webhooks.WebhookStore>();
        var webhook = new GptFunctions.Webhooks.WebhookEvent(id, "user.created", default);

        await using (await app.Database.HoldAsync(
            $"SELECT webhook_take_all('{{clerk}}', '{{{id}}}', '{{{user}}}', ARRAY[now()], '{{change}}', now(), NULL, NULL)"))
        {
            await RecordAsync(); // does not wait either
        }

        Assert.Equal(0, await app.Database.CountAsync("webhook_events", $"event_id = '{id}'"));
        await sender.ClerkAsync(Events.User("user.created", user, Time), id);
        await RecordAsync();
        Assert.Equal(
            "completed 1",
            await app.Database.ScalarAsync<string>("SELECT concat_ws(' ', status, attempts) FROM webhook_events WHERE event_id = $1", id));

        Task RecordAsync() => store.RecordFailureAsync("clerk", webhook, [1], "failed", WebhookSender.Now, WebhookSender.Now);
    }

    /// <summary>"message (shortened, no secrets)": what PostgreSQL tells of the row's values stays out.</summary>
    [Fact]
    public async Task Failure_is_kept_in_300_characters_without_the_values_of_the_row()
    {
        var (user, id) = Names();
        await using var refusal = await RefuseAsync(user, new string('x', 2000));

        await sender.ClerkAsync(Events.User("user.created", user, Time, "private@example.com"), id);

        var error = await app.Database.ScalarAsync<string>("SELECT error FROM webhook_events WHERE event_id = $1", id);
        Assert.Equal(303, error!.Length);
        Assert.DoesNotContain("private", error, StringComparison.Ordinal);
    }

    /// <summary>Row "handler ... ran over 10 s", and "handling over 5 s logged as a warning".</summary>
    [Fact]
    public async Task Handler_that_takes_over_10_s_is_cancelled_and_the_next_delivery_completes()
    {
        var (user, id) = Names();
        await sender.ClerkAsync(Events.User("user.created", user, Time));
        var body = Events.User("user.updated", user, Time + 1, "late@example.com");
        await using (await app.Database.HoldAsync($"SELECT FROM users WHERE clerk_user_id = '{user}' FOR UPDATE"))
        {
            var failed = await sender.ClerkAsync(body, id);

            Assert.Equal(HttpStatusCode.InternalServerError, failed.Status);
            Assert.Equal(
                "failed 1 took longer than 10 s",
                await app.Database.ScalarAsync<string>("SELECT concat_ws(' ', status, attempts, error) FROM webhook_events WHERE event_id = $1", id));
            // Nothing of it goes on in the database, once the server has taken note.
            await Wait.UntilAsync(async () =>
                await app.Database.CountAsync("pg_stat_activity", "datname = current_database() AND wait_event_type = 'Lock'") == 0);
            Assert.Contains(app.Log.Lines, line => line.StartsWith($"Warning 5003 Webhook clerk user.updated {id} took 1", StringComparison.Ordinal));
        }

        Assert.Equal("""{"received":true}""", (await sender.ClerkAsync(body, id)).Text);
        Assert.Equal("late@example.com", await app.Database.ScalarAsync<string>("SELECT email FROM users WHERE clerk_user_id = $1", user));
    }

    /// <summary>Row "unhandled type".</summary>
    [Fact]
    public async Task Unhandled_type_is_ignored()
    {
        var (user, id) = Names();
        var answer = await sender.ClerkAsync(Events.User("organization.created", user, Time), id);
        Assert.Equal((HttpStatusCode.OK, """{"received":true}"""), (answer.Status, answer.Text));
        Assert.Equal(
            "ignored 1",
            await app.Database.ScalarAsync<string>("SELECT concat_ws(' ', status, attempts) FROM webhook_events WHERE event_id = $1", id));
        Assert.Equal(0, await app.Database.CountAsync("webhook_subjects", $"subject = '{user}'"));
    }

    /// <summary>Row "store unreachable": nothing is handled unrecorded, and nothing is lost.</summary>
    [Fact]
    public async Task Store_that_is_away_is_503_with_retry_after_and_the_redelivery_completes()
    {
        await using var proxy = new TestProxy(app.Database.Url);
        await using var replica = await app.StartReplicaAsync(("DATABASE_URL", proxy.Url));
        var far = new WebhookSender(replica.Http);
        var (user, id) = Names();
        await proxy.CutAsync();

        var away = await far.ClerkAsync(Events.User("user.created", user, Time), id);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, away.Status);
        Assert.NotNull(away.Headers.RetryAfter);
        proxy.Restore();
        Assert.Equal("""{"received":true}""", (await far.ClerkAsync(Events.User("user.created", user, Time), id)).Text);
        Assert.Equal(
            "completed 1",
            await app.Database.ScalarAsync<string>("SELECT concat_ws(' ', status, attempts) FROM webhook_events WHERE event_id = $1", id));
    }

    /// <summary>"Key: (source, event id)": senders do not know of each other's ids.</summary>
    [Fact]
    public async Task Same_id_of_another_source_is_another_event()
    {
        var (user, id) = Names();
        Assert.Equal("""{"received":true}""", (await sender.ClerkAsync(Events.User("user.created", user, Time), id)).Text);
        Assert.Equal("""{"received":true}""", (await sender.StripeAsync(Events.Stripe("customer.created", 1, [], id))).Text);
    }

    private static (string User, string Id) Names() => (WebhookSender.NewId("user"), WebhookSender.NewId("msg"));

    private Task<string?> StateAsync(string id, string user) => app.Database.ScalarAsync<string>("""
        SELECT concat_ws(
            ' ',
            event.status,
            event.attempts,
            event.processed_at,
            users.email,
            (SELECT count(*) FROM outbox_messages WHERE envelope -> 'payload' ->> 'clerk_user_id' = $2))
        FROM webhook_events event, users WHERE event_id = $1 AND clerk_user_id = $2
        """, id, user);

    /// <summary>The database refuses this user's row until disposed: a handler that throws.</summary>
    private async Task<Refusal> RefuseAsync(string user, string reason)
    {
        await app.Database.ExecuteAsync($"""
            CREATE FUNCTION refuse_{user}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION USING MESSAGE = '{reason}', DETAIL = 'values: ' || NEW.email;
            END $$;
            CREATE TRIGGER refuse_{user} BEFORE INSERT OR UPDATE ON users FOR EACH ROW WHEN (NEW.clerk_user_id = '{user}') EXECUTE FUNCTION refuse_{user}()
            """);
        return new Refusal(app.Database, user);
    }

    private sealed class Refusal(TestDatabase database, string user) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync() => await database.ExecuteAsync($"DROP FUNCTION IF EXISTS refuse_{user} CASCADE");
    }
}
