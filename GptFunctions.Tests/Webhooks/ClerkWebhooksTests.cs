using System.Net;
using System.Text.Json.Nodes;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>webhooks.md 14: Clerk.</summary>
public sealed class ClerkWebhooksTests(WebhookFixture<ClerkWebhooksTests> fixture) : IClassFixture<WebhookFixture<ClerkWebhooksTests>>
{
    private const long Time = 1_700_000_000_000;
    private readonly TestApp app = fixture.App;
    private readonly WebhookSender sender = fixture.Sender;
    private readonly string user = WebhookSender.NewId("user");

    [Fact]
    public async Task User_created_makes_a_user_with_primary_address_name_and_time()
    {
        await sender.ClerkAsync(Events.User("user.created", user, Time, "ada@example.com"));
        Assert.Equal("ada@example.com|Ada Lovelace|2023-11-14 22:13:20+00", await app.Database.ScalarAsync<string>(
            "SELECT concat_ws('|', email, name, source_updated_at AT TIME ZONE 'UTC' || '+00') FROM users WHERE clerk_user_id = $1", user));
    }

    [Theory]
    [InlineData("""{"first_name":"Ada","last_name":null}""", "|Ada")]
    [InlineData("""{"first_name":"","username":"ada"}""", "|ada")]
    [InlineData("""{"email_addresses":[{"id":"a","email_address":"a@example.com"}],"primary_email_address_id":"b"}""", "a@example.com|")]
    [InlineData("""{"email_addresses":"none","first_name":5}""", "|")]
    [InlineData("""{"first_name":"A\u0000da"}""", "|Ada")] // U+0000 cannot be stored
    [InlineData("""{"first_name":"Ada\u202E","last_name":"\u200BLovelace"}""", "|Ada Lovelace")] // turns the text around it
    [InlineData("""{"email_addresses":[{"id":"a","email_address":"a\u200B@example.com"}]}""", "|")] // would be another one
    public async Task Profile_that_lacks_something_is_taken_as_it_is(string profile, string expected)
    {
        var data = JsonNode.Parse(profile)!.AsObject();
        (data["id"], data["updated_at"]) = (user, Time);
        var answer = await sender.ClerkAsync(new JsonObject { ["type"] = "user.updated", ["data"] = data });
        Assert.Equal("""{"received":true}""", answer.Text);
        Assert.Equal(
            expected,
            await app.Database.ScalarAsync<string>("SELECT coalesce(email, '') || '|' || coalesce(name, '') FROM users WHERE clerk_user_id = $1", user));
    }

    /// <summary>"A placeholder made by another path is completed": the internal id stays.</summary>
    [Fact]
    public async Task User_who_signed_in_before_the_webhook_is_completed()
    {
        await fixture.Flow.TokensAsync(await OAuthFlow.AddClientAsync(app), user);
        await app.Database.ExecuteAsync($"UPDATE users SET email = NULL, name = NULL WHERE clerk_user_id = '{user}'");
        var id = await app.Database.ScalarAsync<Guid>("SELECT id FROM users WHERE clerk_user_id = $1", user);

        await sender.ClerkAsync(Events.User("user.created", user, Time, "ada@example.com"));

        Assert.Equal($"{id} ada@example.com", await app.Database.ScalarAsync<string>("SELECT id || ' ' || email FROM users WHERE clerk_user_id = $1", user));
    }

    /// <summary>oauth.md 20: seen by the sessions API and introspection at once, on every replica.</summary>
    [Theory]
    [InlineData("banned", "user_banned")]
    [InlineData("locked", "user_locked")]
    [InlineData("deleted", "user_deleted")]
    public async Task User_banned_locked_or_deleted_loses_all_sessions_at_once(string what, string reason)
    {
        await using var replica = await app.StartReplicaAsync();
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await fixture.Flow.TokensAsync(client, user);
        var bystander = await fixture.Flow.TokensAsync(client, WebhookSender.NewId("user"));
        var code = await fixture.Flow.CodeAsync(client, user);
        foreach (var flow in (OAuthFlow[])[fixture.Flow, new(replica.Http)])
        {
            Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(tokens["access_token"]!)).Status);
        }

        await sender.ClerkAsync(what == "deleted"
            ? Events.UserDeleted(user, Time)
            : Events.User("user.updated", user, Time, isBanned: what == "banned", isLocked: what == "locked"));

        foreach (var flow in (OAuthFlow[])[fixture.Flow, new(replica.Http)])
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await flow.SessionsAsync(tokens["access_token"]!)).Status);
            Assert.Equal("""{"active":false}""", (await flow.IntrospectAsync(client, tokens["access_token"]!)).Text);
            Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Error);
        }

        Assert.Equal("invalid_grant", (await fixture.Flow.ExchangeAsync(client, code)).Error);
        Assert.Equal(HttpStatusCode.OK, (await fixture.Flow.SessionsAsync(bystander["access_token"]!)).Status);
        var told = Assert.Single(await app.Database.EventsAsync(AuditEvents.AllSessionsRevoked, "clerk_user_id", user)).GetProperty("payload");
        Assert.Equal((reason, 1), (told.GetProperty("reason").GetString(), told.GetProperty("sessions").GetInt32()));
    }

    /// <summary>"tombstone": personal data and plan go, the row and its id stay.</summary>
    [Fact]
    public async Task User_deleted_empties_the_row_and_takes_the_plan()
    {
        await sender.ClerkAsync(Events.User("user.created", user, Time));
        await sender.StripeAsync(Events.Subscription("created", 1, WebhookSender.NewId("sub"), WebhookSender.NewId("cus"), user: user));
        Assert.Equal("pro", await app.Database.ScalarAsync<string>("SELECT plan FROM users WHERE clerk_user_id = $1", user));

        await sender.ClerkAsync(Events.UserDeleted(user, Time + 1));

        Assert.Equal(1, await app.Database.CountAsync(
            "users",
            $"clerk_user_id = '{user}' AND deleted_at IS NOT NULL AND num_nonnulls(email, name, plan, plan_status, stripe_customer_id) = 0"));
        Assert.Single(await app.Database.EventsAsync(AuditEvents.UserDeleted, "clerk_user_id", user));
    }

    /// <summary>"`data.id` may be absent: then `ignored` with a warning".</summary>
    [Fact]
    public async Task User_deleted_without_an_id_is_ignored_with_a_warning()
    {
        var id = WebhookSender.NewId("msg");
        Assert.Equal("""{"received":true}""", (await sender.ClerkAsync(Events.UserDeleted(null, Time), id)).Text);
        Assert.Equal("ignored", await app.Database.ScalarAsync<string>("SELECT status FROM webhook_events WHERE event_id = $1", id));
        Assert.Contains(app.Log.Lines, line => line.StartsWith($"Warning 5005 Webhook clerk user.deleted {id} is ignored", StringComparison.Ordinal));
    }

    /// <summary>"`session.ended|removed|revoked`: recorded only."</summary>
    [Theory]
    [InlineData("session.ended")]
    [InlineData("session.removed")]
    [InlineData("session.revoked")]
    public async Task Session_of_clerk_that_ends_is_recorded_and_ends_nothing(string type)
    {
        var tokens = await fixture.Flow.TokensAsync(await OAuthFlow.AddClientAsync(app), user);
        var id = WebhookSender.NewId("msg");

        await sender.ClerkAsync(
            new JsonObject { ["type"] = type, ["timestamp"] = Time, ["data"] = new JsonObject { ["id"] = "sess_1", ["user_id"] = user } }, id);

        Assert.Equal("completed", await app.Database.ScalarAsync<string>("SELECT status FROM webhook_events WHERE event_id = $1", id));
        Assert.Equal(HttpStatusCode.OK, (await fixture.Flow.SessionsAsync(tokens["access_token"]!)).Status);
        Assert.Equal(0, await app.Database.CountAsync("webhook_subjects", "subject = 'sess_1'"));
    }

    /// <summary>The audit event carries the correlation id of the delivery.</summary>
    [Fact]
    public async Task Audit_event_names_the_delivery()
    {
        var body = Events.User("user.created", user, Time).ToJsonString();
        await sender.PostAsync(
            "/webhooks/clerk",
            System.Text.Encoding.UTF8.GetBytes(body),
            [("x-correlation-id", "delivery-" + user), .. WebhookSender.SvixHeaders(WebhookSender.NewId("msg"), body)]);
        var told = Assert.Single(await app.Database.EventsAsync(AuditEvents.UserUpdated, "clerk_user_id", user));
        Assert.Equal("delivery-" + user, told.GetProperty("correlation_id").GetString());
        Assert.Equal("127.0.0.1", told.GetProperty("payload").GetProperty("ip_address").GetString());
    }
}
