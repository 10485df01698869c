using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>webhooks.md 11 and 12: per subject, by the source's own time.</summary>
public sealed class EventOrderTests(WebhookFixture<EventOrderTests> fixture) : IClassFixture<WebhookFixture<EventOrderTests>>
{
    private const long Time = 1_700_000_000_000;
    private readonly TestApp app = fixture.App;
    private readonly WebhookSender sender = fixture.Sender;
    private readonly string user = WebhookSender.NewId("user");

    /// <summary>"Strictly older: `skipped_stale`, 200."</summary>
    [Fact]
    public async Task Older_event_is_skipped()
    {
        await SendAsync("user.created", Time, "one@example.com");
        await SendAsync("user.updated", Time + 2, "three@example.com");
        Assert.Equal("skipped_stale", await SendAsync("user.updated", Time + 1, "two@example.com"));
        Assert.Equal("three@example.com", await EmailAsync());
    }

    /// <summary>"Same time: applied once per event id."</summary>
    [Fact]
    public async Task Events_of_the_same_time_are_each_applied()
    {
        await SendAsync("user.created", Time, "one@example.com");
        Assert.Equal("completed", await SendAsync("user.updated", Time, "two@example.com"));
        Assert.Equal("completed", await SendAsync("user.updated", Time, "three@example.com"));
        Assert.Equal("three@example.com", await EmailAsync());
    }

    /// <summary>"Clerk `data.updated_at` or the envelope's `timestamp`".</summary>
    [Fact]
    public async Task Envelopes_timestamp_counts_when_the_record_has_no_time()
    {
        await SendAsync("user.created", Time, "one@example.com");
        var body = Events.User("user.updated", user, Time - 8, "old@example.com"); // its timestamp is 7 ms later
        body["data"]!.AsObject().Remove("updated_at");
        Assert.Equal("skipped_stale", await SendAsync(body));
        body["timestamp"] = Time;
        Assert.Equal("completed", await SendAsync(body));
    }

    /// <summary>
    /// "A deletion wins ties and is final: a later `user.updated` with an older or equal time never revives the user"; nor does a newer one.
    /// </summary>
    [Theory]
    [InlineData("user.updated", -1)]
    [InlineData("user.updated", 0)]
    [InlineData("user.updated", 1)]
    [InlineData("user.created", 1000)]
    public async Task Deletion_is_final(string type, int later)
    {
        await SendAsync("user.created", Time, "one@example.com");
        Assert.Equal("completed", await SendAsync(Events.UserDeleted(user, Time)));

        Assert.Equal("skipped_stale", await SendAsync(type, Time + later, "again@example.com"));

        Assert.Equal("gone", await app.Database.ScalarAsync<string>(
            "SELECT concat_ws(' ', CASE WHEN deleted_at IS NOT NULL THEN 'gone' END, email, name) FROM users WHERE clerk_user_id = $1",
            user));
    }

    [Fact]
    public async Task Deletion_takes_effect_however_late_it_comes()
    {
        await SendAsync("user.created", Time + 5000, "one@example.com");
        Assert.Equal("completed", await SendAsync(Events.UserDeleted(user, Time)));
        Assert.Equal(1, await app.Database.CountAsync("users", $"clerk_user_id = '{user}' AND deleted_at IS NOT NULL"));
    }

    [Fact]
    public async Task Deletion_without_a_time_takes_effect()
    {
        await SendAsync("user.created", Time, "one@example.com");
        var body = Events.UserDeleted(user, Time);
        body.Remove("timestamp");
        Assert.Equal("completed", await SendAsync(body));
        Assert.Equal("skipped_stale", await SendAsync("user.updated", Time + 1, "again@example.com"));
    }

    /// <summary>A second deletion, under another id, has nothing left to do.</summary>
    [Fact]
    public async Task Second_deletion_is_skipped()
    {
        await SendAsync(Events.UserDeleted(user, Time));
        Assert.Equal("skipped_stale", await SendAsync(Events.UserDeleted(user, Time + 1)));
    }

    /// <summary>
    /// The tombstone of a user whom nobody knew: the creation that comes late makes no user, and what is left of the account cannot sign in.
    /// </summary>
    [Fact]
    public async Task Deletion_before_the_creation_leaves_a_tombstone()
    {
        await SendAsync(Events.UserDeleted(user, Time));

        Assert.Equal("skipped_stale", await SendAsync("user.created", Time - 100, "one@example.com"));

        Assert.Equal(1, await app.Database.CountAsync("users", $"clerk_user_id = '{user}' AND deleted_at IS NOT NULL AND email IS NULL"));
        using var refused = await new TestBrowser(app.Http).SignInAsync(user, OAuthFlow.Parameters(await OAuthFlow.AddClientAsync(app)));
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
    }

    /// <summary>Compared inside the statement that applies the change: forty updates at once, and the newest stays.</summary>
    [Fact]
    public async Task Updates_at_once_leave_the_newest()
    {
        var order = Enumerable.Range(0, 40).ToArray();
        new Random(1).Shuffle(order);

        var statuses = await Task.WhenAll(order.Select(step => SendAsync(
            "user.updated", Time + step, string.Create(CultureInfo.InvariantCulture, $"{step}@example.com"))));

        Assert.Equal("39@example.com", await EmailAsync());
        Assert.All(statuses, status => Assert.True(status is "completed" or "skipped_stale", status));
    }

    /// <summary>An event may be a year older than its delivery: `svix-timestamp` is the attempt's time, not the event's.</summary>
    [Fact]
    public async Task Age_of_an_event_does_not_matter_only_its_place()
    {
        Assert.Equal("completed", await SendAsync("user.created", 1, "old@example.com"));
        Assert.Equal("completed", await SendAsync("user.updated", WebhookSender.Now.AddYears(1).ToUnixTimeMilliseconds(), "future@example.com"));
        Assert.Equal("future@example.com", await EmailAsync());
    }

    /// <summary>A failed event whose turn comes after a newer one is stale by then.</summary>
    [Fact]
    public async Task Failed_event_that_is_overtaken_is_skipped_when_it_comes_again()
    {
        await SendAsync("user.created", Time, "one@example.com");
        var id = WebhookSender.NewId("msg");
        await app.Database.ExecuteAsync($"""
            INSERT INTO webhook_events (source, event_id, type, status, attempts, received_at, processed_at, error, payload)
            VALUES ('clerk', '{id}', 'user.updated', 'failed', 1, now(), now(), 'x', 'x')
            """);
        await SendAsync("user.updated", Time + 2, "three@example.com");

        await sender.ClerkAsync(Events.User("user.updated", user, Time + 1, "two@example.com"), id);

        Assert.Equal(
            "skipped_stale 2",
            await app.Database.ScalarAsync<string>("SELECT concat_ws(' ', status, attempts) FROM webhook_events WHERE event_id = $1", id));
        Assert.Equal("three@example.com", await EmailAsync());
    }

    private Task<string> SendAsync(string type, long at, string email) => SendAsync(Events.User(type, user, at, email));

    /// <summary>The status that the event ended in.</summary>
    private async Task<string> SendAsync(JsonObject body)
    {
        var id = WebhookSender.NewId("msg");
        var answer = await sender.ClerkAsync(body, id);
        Assert.Equal("""{"received":true}""", answer.Text);
        return (await app.Database.ScalarAsync<string>("SELECT status FROM webhook_events WHERE event_id = $1", id))!;
    }

    private Task<string?> EmailAsync() => app.Database.ScalarAsync<string>("SELECT email FROM users WHERE clerk_user_id = $1", user);
}
