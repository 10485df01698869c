using System.Net;
using System.Text.Json;
using GptFunctions.Gateway;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>gateway.md 8: the attempt (gpt.action.NAME) is committed before the call leaves, its end is a second event (gpt.action.NAME.result).</summary>
public sealed class ActionAuditTests(GatewayFixture<ActionAuditTests> fixture) : IClassFixture<GatewayFixture<ActionAuditTests>>
{
    private readonly TestApp app = fixture.App;

    [Fact]
    public async Task Call_of_an_audited_route_leaves_an_attempt_and_a_result()
    {
        var user = await fixture.Users.AddAsync();
        using var response = await app.Http.CallAsync(user.Token, "/gpt/expensive", headers: [("X-Real-IP", "192.0.2.9"), ("x-correlation-id", "audited-1")]);

        var attempt = Assert.Single(await app.Database.EventsAsync("gpt.action.expensive", "clerk_user_id", user.Subject));
        AssertOrigin(attempt);
        Assert.Equal(JsonValueKind.Null, attempt.GetProperty("payload").GetProperty("status").ValueKind);
        var result = await ResultAsync("gpt.action.expensive.result", user);
        AssertOrigin(result);
        var payload = result.GetProperty("payload");
        Assert.Equal(attempt.GetProperty("event_id").GetString(), payload.GetProperty("action_id").GetString());
        Assert.Equal(200, payload.GetProperty("status").GetInt32());
        Assert.InRange(payload.GetProperty("duration_ms").GetInt64(), 0, 10_000);

        void AssertOrigin(JsonElement envelope)
        {
            Assert.Equal("audited-1", envelope.GetProperty("correlation_id").GetString());
            var told = envelope.GetProperty("payload");
            Assert.Equal(
                (user.ClientId, user.SessionId.ToString(), "192.0.2.9"),
                (told.GetProperty("client_id").GetString(), told.GetProperty("session_id").GetString(), told.GetProperty("ip_address").GetString()));
        }
    }

    /// <summary>Also of an answer that was broken off: what began as a 200 did not end as one.</summary>
    [Theory]
    [InlineData("/gpt/open/status?code=404", 404)]
    [InlineData("/gpt/open/slow", 504)]
    [InlineData("/gpt/open/garbage", 502)]
    [InlineData("/gpt/open/torn", 502)]
    public async Task Result_tells_what_the_caller_got(string path, int status)
    {
        ArgumentNullException.ThrowIfNull(path);
        var user = await fixture.Users.AddAsync();
        try
        {
            using var response = await app.Http.CallAsync(user.Token, path);
            Assert.Equal(status, (int)response.StatusCode);
        }
        catch (HttpRequestException) when (path.EndsWith("torn", StringComparison.Ordinal))
        {
            // Half an answer is none.
        }

        Assert.Single(await app.Database.EventsAsync("gpt.action.open", "clerk_user_id", user.Subject));
        Assert.Equal(status, (await ResultAsync("gpt.action.open.result", user)).GetProperty("payload").GetProperty("status").GetInt32());
    }

    [Fact]
    public async Task Caller_who_hung_up_is_recorded_too()
    {
        var user = await fixture.Users.AddAsync();
        using (var caller = new HttpClient { BaseAddress = app.Http.BaseAddress, Timeout = TimeSpan.FromMilliseconds(300) })
        {
            await Assert.ThrowsAsync<TaskCanceledException>(() => caller.CallAsync(user.Token, "/gpt/open/slow"));
        }

        Assert.Equal(499, (await ResultAsync("gpt.action.open.result", user)).GetProperty("payload").GetProperty("status").GetInt32());
    }

    [Fact]
    public async Task Call_of_another_route_and_refused_calls_leave_none()
    {
        var user = await fixture.Users.AddAsync(scope: "jobs:read");
        await app.Http.EchoAsync(user);
        using var refused = await app.Http.CallAsync(user.Token, "/gpt/expensive");

        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        Assert.Equal(0, await app.Database.CountAsync("outbox_messages", $"envelope -> 'payload' ->> 'clerk_user_id' = '{user.Subject}'"));
        Assert.Equal(0, await app.Database.CountAsync("gpt_open_actions", $"payload ->> 'clerk_user_id' = '{user.Subject}'"));
    }

    /// <summary>"an attempt that cannot be recorded is refused (503)": whatever the reason.</summary>
    [Fact]
    public async Task Call_whose_attempt_cannot_be_recorded_is_not_made()
    {
        await using var replica = await app.StartReplicaAsync();
        var user = await fixture.Users.AddAsync();
        (await replica.Http.CallAsync(user.Token, "/gpt/expensive")).Dispose();
        await app.Database.ExecuteAsync("ALTER TABLE gpt_open_actions ADD CONSTRAINT no_room CHECK (event_type <> 'gpt.action.expensive') NOT VALID");
        try
        {
            using var response = await replica.Http.CallAsync(user.Token, "/gpt/expensive", headers: [("x-correlation-id", "never-made")]);

            Assert.Equal((HttpStatusCode.ServiceUnavailable, "2"), (response.StatusCode, Assert.Single(response.Headers.GetValues("Retry-After"))));
            Assert.Equal("AUDIT_UNAVAILABLE", (await response.ProblemAsync()).GetProperty("code").GetString());
            Assert.DoesNotContain("never-made", await fixture.Upstream.ActionsAsync());
        }
        finally
        {
            await app.Database.ExecuteAsync("ALTER TABLE gpt_open_actions DROP CONSTRAINT no_room");
        }
    }

    /// <summary>A call of a process that is gone is suspected, later closed; one that is seen to is neither.</summary>
    [Fact]
    public async Task Attempt_that_nobody_sees_to_is_closed_as_unknown()
    {
        var user = await fixture.Users.AddAsync();
        var answer = app.Http.CallAsync(user.Token, "/gpt/long/events", completion: HttpCompletionOption.ResponseHeadersRead);
        await Wait.UntilAsync(async () => await app.Database.CountAsync("gpt_open_actions", Own()) == 1);
        await app.Database.ExecuteAsync("""
            INSERT INTO gpt_open_actions (id, event_type, correlation_id, payload, seen_at)
            VALUES ('00000000-0000-0000-0000-00000000dead', 'gpt.action.gone', 'gone-1', '{"clerk_user_id": "user_gone"}', now() - interval '4 minutes');
            """);
        var actions = app.Get<ActionLog>();
        await actions.CloseAbandonedAsync();
        await actions.CloseAbandonedAsync();
        Assert.Equal(1, await app.Database.CountAsync("gpt_open_actions", "correlation_id = 'gone-1'")); // there is time to say that it lives

        await app.Database.ExecuteAsync("UPDATE gpt_open_actions SET seen_at = seen_at - interval '1 hour', suspected_at = now() - interval '1 minute'");
        app.Clock.Advance(TimeSpan.FromSeconds(10));
        await Wait.UntilAsync(
            async () => await app.Database.CountAsync("gpt_open_actions", Own() + " AND suspected_at IS NULL AND seen_at > now() - interval '1 minute'") == 1);
        await app.Database.ExecuteAsync("UPDATE gpt_open_actions SET suspected_at = suspected_at - interval '2 minutes'");
        await actions.CloseAbandonedAsync();
        await actions.CloseAbandonedAsync();

        Assert.Equal(0, await app.Database.CountAsync("gpt_open_actions", "correlation_id = 'gone-1'"));
        Assert.Equal(1, await app.Database.CountAsync("gpt_open_actions", Own()));
        var closed = Assert.Single(await app.Database.EventsAsync("gpt.action.gone.result", "clerk_user_id", "user_gone")).GetProperty("payload");
        Assert.Equal(
            ("unknown", "00000000-0000-0000-0000-00000000dead"),
            (closed.GetProperty("status").GetString(), closed.GetProperty("action_id").GetString()));
        (await answer).Dispose(); // hangs up
        await ResultAsync("gpt.action.long.result", user);

        string Own() => $"payload ->> 'clerk_user_id' = '{user.Subject}'";
    }

    /// <summary>Behind the caller's back, so he may have his answer first.</summary>
    private async Task<JsonElement> ResultAsync(string type, GatewayUser user)
    {
        await Wait.UntilAsync(async () => (await app.Database.EventsAsync(type, "clerk_user_id", user.Subject)).Count > 0);
        return Assert.Single(await app.Database.EventsAsync(type, "clerk_user_id", user.Subject));
    }
}
