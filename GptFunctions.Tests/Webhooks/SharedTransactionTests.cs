using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using GptFunctions.Webhooks;
using Npgsql;

namespace GptFunctions.Tests.Webhooks;

/// <summary>webhooks.md 6: events that come at the same time share a transaction, and each of them stands or falls by itself.</summary>
public sealed class SharedTransactionTests(WebhookFixture<SharedTransactionTests> fixture) : IClassFixture<WebhookFixture<SharedTransactionTests>>
{
    private const long Time = 1_700_000_000_000;
    private const string Received = """{"received":true}""";
    private readonly TestApp app = fixture.App;
    private readonly WebhookSender sender = fixture.Sender;

    [Fact]
    public async Task Events_at_the_same_time_share_a_transaction()
    {
        var users = Names(24);
        await using var plug = await PlugAsync();

        var taking = users.Select(user => app.Get<DeliveryStore>().ShareAsync(DeliveryOf(user))).ToList();
        await plug.PullAsync();

        Assert.All(await Task.WhenAll(taking), result => Assert.Equal(WebhookResult.Handled, result));
        Assert.Equal("24 1", await StateAsync("users", "clerk_user_id", users));
        Assert.Equal("24 1", await StateAsync("webhook_subjects", "subject", users));
        Assert.Equal("24 1", await StateAsync("webhook_events", "subject", users, "status = 'completed' AND attempts = 1 AND duration_ms >= 0"));
        Assert.Equal("24 1", await StateAsync("outbox_messages", "envelope -> 'payload' ->> 'clerk_user_id'", users));
    }

    /// <summary>Whatever else is in the statement: a duplicate, a stale one, one of a deleted user, ignored types, other senders, malformed ones.</summary>
    [Fact]
    public async Task Good_and_bad_events_at_the_same_time_are_told_apart()
    {
        var (good, done, old, gone, ignored) = (Names(12), Name(), Name(), Name(), Name());
        var (doneId, order) = (WebhookSender.NewId("msg"), WebhookSender.NewId("order"));
        await sender.ClerkAsync(Events.User("user.created", done, Time), doneId);
        await sender.ClerkAsync(Events.User("user.created", old, Time));
        await sender.ClerkAsync(Events.UserDeleted(gone, Time));
        await using var plug = await PlugAsync();

        var all = good.Select(user => sender.ClerkAsync(Events.User("user.created", user, Time))).ToList();
        var duplicate = sender.ClerkAsync(Events.User("user.created", done, Time), doneId);
        var stale = sender.ClerkAsync(Events.User("user.updated", old, Time - 1, "old@example.com"));
        var dead = sender.ClerkAsync(Events.User("user.updated", gone, Time + 1));
        var unknown = sender.ClerkAsync(Events.User("email.created", ignored, Time));
        var shop = sender.OrderAsync(Events.Order(order));
        var malformed = sender.ClerkAsync(new JsonObject { ["type"] = "user.created", ["data"] = new JsonObject() });
        await plug.PullAsync();

        Assert.All(await Task.WhenAll(all), answer => Assert.Equal((HttpStatusCode.OK, Received), (answer.Status, answer.Text)));
        Assert.Equal("already_completed", (await duplicate)["reason"]);
        Assert.All(await Task.WhenAll(stale, dead, unknown), answer => Assert.Equal((HttpStatusCode.OK, Received), (answer.Status, answer.Text)));
        Assert.Equal(HttpStatusCode.OK, (await shop).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await malformed).Status);
        Assert.StartsWith("12 ", await StateAsync("users", "clerk_user_id", good), StringComparison.Ordinal);
        Assert.Equal(1, await app.Database.CountAsync("webhook_events", $"subject = '{old}' AND status = 'skipped_stale'"));
        Assert.Equal(1, await app.Database.CountAsync("webhook_events", $"subject = '{gone}' AND status = 'skipped_stale'"));
        Assert.Equal(1, await app.Database.CountAsync("webhook_events", $"subject = '{ignored}' AND status = 'ignored' AND duration_ms IS NULL"));
        Assert.Equal(0, await app.Database.CountAsync("users", $"clerk_user_id = '{old}' AND email = 'old@example.com'"));
        Assert.Equal(0, await app.Database.CountAsync("users", $"clerk_user_id = '{gone}' AND (deleted_at IS NULL OR email IS NOT NULL)"));
    }

    /// <summary>Each takes its subject's turn, and the newest of them is what is known in the end.</summary>
    [Fact]
    public async Task Events_of_one_subject_come_one_after_the_other()
    {
        var user = Name();
        await using var plug = await PlugAsync();

        var sending = Enumerable.Range(0, 10)
            .Select(number => sender.ClerkAsync(Events.User("user.updated", user, Time + number, $"{number}@example.com"))).ToList();
        await plug.PullAsync();

        Assert.All(await Task.WhenAll(sending), answer => Assert.Equal((HttpStatusCode.OK, Received), (answer.Status, answer.Text)));
        Assert.Equal("9@example.com", await app.Database.ScalarAsync<string>("SELECT email FROM users WHERE clerk_user_id = $1", user));
        Assert.Equal(10, await app.Database.CountAsync("webhook_events", $"subject = '{user}'"));
    }

    /// <summary>One that the database refuses fails, keeps its payload and is handled again later; the others are completed.</summary>
    [Fact]
    public async Task Event_that_makes_a_transaction_fail_is_alone_in_failing()
    {
        var users = Names(12);
        await app.Database.ExecuteAsync($"ALTER TABLE users ADD CONSTRAINT refused CHECK (clerk_user_id <> '{users[5]}')");
        await using var plug = await PlugAsync();

        var sending = users.Select(user => sender.ClerkAsync(Events.User("user.created", user, Time))).ToList();
        await plug.PullAsync();
        var answers = await Task.WhenAll(sending);
        await app.Database.ExecuteAsync("ALTER TABLE users DROP CONSTRAINT refused");

        Assert.Equal(HttpStatusCode.InternalServerError, answers[5].Status);
        Assert.Equal(11, answers.Count(answer => answer.Text == Received));
        Assert.StartsWith("11 ", await StateAsync("users", "clerk_user_id", users), StringComparison.Ordinal);
        Assert.StartsWith("11 ", await StateAsync("outbox_messages", "envelope -> 'payload' ->> 'clerk_user_id'", users), StringComparison.Ordinal);
        Assert.Equal(1, await app.Database.CountAsync("webhook_events", $"subject = '{users[5]}' AND status = 'failed' AND payload IS NOT NULL"));
    }

    /// <summary>Somebody's row is locked for long: only the events of that person wait for it.</summary>
    [Fact]
    public async Task Event_of_a_locked_person_waits_by_itself()
    {
        var (locked, others) = (Names(3), Names(8));
        await Task.WhenAll(locked.Select(user => sender.ClerkAsync(Events.User("user.created", user, Time))));
        await using var held = await app.Database.HoldAsync($"SELECT FROM users WHERE clerk_user_id IN ({List(locked)}) FOR UPDATE");

        var waiting = locked.Select(user => sender.ClerkAsync(Events.User("user.updated", user, Time + 1))).ToList();
        await app.Database.WaitForBlockedAsync(3);
        Assert.All(
            await Task.WhenAll(others.Select(user => sender.ClerkAsync(Events.User("user.created", user, Time)))),
            answer => Assert.Equal((HttpStatusCode.OK, Received), (answer.Status, answer.Text)));

        Assert.DoesNotContain(waiting, task => task.IsCompleted);
        await held.LetGoAsync();
        Assert.All(await Task.WhenAll(waiting), answer => Assert.Equal((HttpStatusCode.OK, Received), (answer.Status, answer.Text)));
    }

    /// <summary>Somebody's changes take long: only that person's events wait for them, and fail when it is too long.</summary>
    [Fact]
    public async Task Event_that_is_slow_is_slow_by_itself()
    {
        await using var plug = await PlugAsync(); // for longer than a shared transaction may take

        var answers = await Task.WhenAll(Names(8).Select(user => sender.ClerkAsync(Events.User("user.created", user, Time))));

        Assert.All(answers, answer => Assert.Equal((HttpStatusCode.OK, Received), (answer.Status, answer.Text)));
        Assert.False(plug.IsAnswered); // it is still at work, by itself
        await plug.PullAsync();
    }

    /// <summary>Two processes take events of the same people in opposite orders, while some of them are banned, deleted and sign in.</summary>
    [Fact]
    public async Task Transactions_of_two_processes_never_wait_in_a_circle()
    {
        await using var replica = await app.StartReplicaAsync();
        var other = new WebhookSender(replica.Http);
        var client = await OAuthFlow.AddClientAsync(app);
        var before = await DeadlocksAsync();
        for (var round = 0; round < 5; round++)
        {
            var users = Names(16);
            var backwards = Enumerable.Reverse(users).ToList();

            var here = users.Select(user => sender.ClerkAsync(Events.User("user.created", user, Time)));
            var there = backwards.Select(user => other.ClerkAsync(Events.User("user.updated", user, Time + 1)));
            var banned = backwards.Where((_, number) => number % 4 == 0)
                .Select(user => sender.ClerkAsync(Events.User("user.updated", user, Time + 2, isBanned: true)));
            var deleted = users.Where((_, number) => number % 5 == 0).Select(user => other.ClerkAsync(Events.UserDeleted(user, Time + 3)));
            var signedIn = fixture.Flow.TokensAsync(client, users[1]);
            var answers = await Task.WhenAll([.. here, .. there, .. banned, .. deleted]);
            await signedIn;

            Assert.All(answers, answer => Assert.Equal((HttpStatusCode.OK, Received), (answer.Status, answer.Text)));
            Assert.Equal(answers.Length, await app.Database.CountAsync("webhook_events", $"subject IN ({List(users)})"));
        }

        Assert.Equal(before, await DeadlocksAsync());

        async Task<long> DeadlocksAsync() =>
            await app.Database.ScalarAsync<long>("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");
    }

    private Delivery DeliveryOf(string user)
    {
        var source = app.Get<ClerkWebhooks>();
        var webhook = source.Read(JsonSerializer.SerializeToElement(Events.User("user.created", user, Time)), WebhookSender.NewId("msg"))!;
        var now = app.Clock.GetUtcNow();
        return new Delivery(source, webhook, new NpgsqlBatch(), now, Occasion.OfCommand(now, "test"), null);
    }

    private static string Name() => WebhookSender.NewId("user");

    private static List<string> Names(int count) => [.. Enumerable.Range(0, count).Select(_ => Name())];

    private static string List(IEnumerable<string> users) => string.Join(", ", users.Select(user => $"'{user}'"));

    /// <summary>How many rows of these people there are, and by how many transactions they were written.</summary>
    private Task<string?> StateAsync(string table, string column, IEnumerable<string> users, string condition = "true") => app.Database.ScalarAsync<string>(
        $"SELECT count(*) || ' ' || count(DISTINCT xmin::text) FROM {table} WHERE {column} IN ({List(users)}) AND {condition}");

    /// <summary>An event whose transaction goes on when it is pulled, so that whoever comes now waits for the next one.</summary>
    private async Task<Plug> PlugAsync()
    {
        var user = Name();
        await app.Database.ExecuteAsync($"""
            CREATE TABLE plug ();
            INSERT INTO plug DEFAULT VALUES;
            CREATE FUNCTION wait_for_plug() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                WHILE EXISTS (SELECT FROM plug) LOOP
                    PERFORM pg_sleep(0.01);
                END LOOP;
                RETURN NEW;
            END $$;
            CREATE TRIGGER wait_for_plug BEFORE INSERT ON users FOR EACH ROW WHEN (NEW.clerk_user_id = '{user}') EXECUTE FUNCTION wait_for_plug()
            """);
        var first = sender.ClerkAsync(Events.User("user.created", user, Time));
        await Wait.UntilAsync(async () => await app.Database.CountAsync("pg_stat_activity", "datname = current_database() AND wait_event = 'PgSleep'") > 0);
        return new Plug(app.Database, first);
    }

    private sealed class Plug(TestDatabase database, Task<JsonAnswer> first) : IAsyncDisposable
    {
        public bool IsAnswered => first.IsCompleted;

        public async Task PullAsync()
        {
            await database.ExecuteAsync("DELETE FROM plug");
            Assert.Equal(HttpStatusCode.OK, (await first).Status);
        }

        public async ValueTask DisposeAsync()
        {
            await database.ExecuteAsync("DELETE FROM plug");
            await first;
            await database.ExecuteAsync("DROP FUNCTION wait_for_plug CASCADE; DROP TABLE plug");
        }
    }
}
