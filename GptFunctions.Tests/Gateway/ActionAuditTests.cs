using System.Net;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>gateway.md step 8: "Audit for routes that ask for it: gpt.action.NAME with user, client, status, duration."</summary>
public sealed class ActionAuditTests(GatewayFixture<ActionAuditTests> fixture) : IClassFixture<GatewayFixture<ActionAuditTests>>
{
    private readonly TestApp app = fixture.App;

    /// <summary>Whoever has the answer finds the event.</summary>
    [Fact]
    public async Task Call_of_an_audited_route_leaves_an_event_before_it_is_answered()
    {
        var user = await fixture.Users.AddAsync();
        using var response = await app.Http.CallAsync(user.Token, "/gpt/expensive", headers: [("X-Real-IP", "192.0.2.9"), ("x-correlation-id", "audited-1")]);

        var envelope = Assert.Single(await app.Database.EventsAsync("gpt.action.expensive", "clerk_user_id", user.Subject));
        var payload = envelope.GetProperty("payload");
        Assert.Equal("audited-1", envelope.GetProperty("correlation_id").GetString());
        Assert.Equal((user.ClientId, user.SessionId.ToString(), "192.0.2.9", 200),
            (payload.GetProperty("client_id").GetString(), payload.GetProperty("session_id").GetString(), payload.GetProperty("ip_address").GetString(), payload.GetProperty("status").GetInt32()));
        Assert.InRange(payload.GetProperty("duration_ms").GetInt64(), 0, 10_000);
    }

    [Theory]
    [InlineData("/gpt/open/status?code=404", 404)]
    [InlineData("/gpt/open/slow", 504)]
    [InlineData("/gpt/open/garbage", 502)]
    public async Task Event_tells_the_status_whatever_it_was(string path, int status)
    {
        var user = await fixture.Users.AddAsync();
        using var response = await app.Http.CallAsync(user.Token, path);

        Assert.Equal(status, (int)response.StatusCode);
        var envelope = Assert.Single(await app.Database.EventsAsync("gpt.action.open", "clerk_user_id", user.Subject));
        Assert.Equal(status, envelope.GetProperty("payload").GetProperty("status").GetInt32());
    }

    [Fact]
    public async Task Caller_who_hung_up_is_recorded_too()
    {
        var user = await fixture.Users.AddAsync();
        using (var caller = new HttpClient { BaseAddress = app.Http.BaseAddress, Timeout = TimeSpan.FromMilliseconds(300) })
        {
            await Assert.ThrowsAsync<TaskCanceledException>(() => caller.CallAsync(user.Token, "/gpt/open/slow"));
        }

        await Wait.UntilAsync(async () => (await app.Database.EventsAsync("gpt.action.open", "clerk_user_id", user.Subject)).Count == 1);
        Assert.Equal(499, (await app.Database.EventsAsync("gpt.action.open", "clerk_user_id", user.Subject))[0].GetProperty("payload").GetProperty("status").GetInt32());
    }

    [Fact]
    public async Task Call_of_another_route_and_refused_calls_leave_none()
    {
        var user = await fixture.Users.AddAsync(scope: "jobs:read");
        await app.Http.EchoAsync(user);
        using var refused = await app.Http.CallAsync(user.Token, "/gpt/expensive");

        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        Assert.Equal(0, await app.Database.CountAsync("outbox_messages", $"envelope -> 'payload' ->> 'clerk_user_id' = '{user.Subject}'"));
    }

    /// <summary>The upstream has acted when the event is written: what cannot be written is at least in the log, whole.</summary>
    [Fact]
    public async Task Event_that_cannot_be_written_is_in_the_log()
    {
        await using var proxy = new TestProxy(app.Database.Url);
        await using var replica = await app.StartReplicaAsync(("DATABASE_URL", proxy.Url));
        await Wait.UntilAsync(() => replica.Get<GptFunctions.Data.ChangeFeed>().IsListening); // from then on nothing is dropped
        var user = await fixture.Users.AddAsync();
        (await replica.Http.CallAsync(user.Token, "/gpt/expensive")).Dispose();
        await proxy.CutAsync();

        using var response = await replica.Http.CallAsync(user.Token, "/gpt/expensive");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await Wait.UntilAsync(() => replica.Log.Lines.Any(line => line.StartsWith("Error 6011 ", StringComparison.Ordinal) && line.Contains(user.Subject, StringComparison.Ordinal) && line.Contains(user.SessionId.ToString(), StringComparison.Ordinal)));
    }
}
