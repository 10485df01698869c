using System.Diagnostics;
using System.Net;
using GptFunctions.Data;
using GptFunctions.Gateway;
using GptFunctions.Identity;
using GptFunctions.RateLimits;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>gateway.md 3 to 5 and 14, data.md 11, when the database, or only its channel for changes, is away.</summary>
public sealed class OutageTests(GatewayFixture<OutageTests> fixture) : IClassFixture<GatewayFixture<OutageTests>>
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);
    private readonly TestApp app = fixture.App;

    /// <summary>data.md 11: nothing is told, and still a revoke takes effect.</summary>
    [Fact]
    public async Task Revoke_is_noticed_after_five_seconds_while_the_channel_is_down_and_at_once_when_it_is_back()
    {
        await using var proxy = new TestProxy(app.Database.Url);
        await using var replica = await app.StartReplicaAsync(("DATABASE_LISTEN_URL", proxy.Url));
        var feed = replica.Get<ChangeFeed>();
        await Wait.UntilAsync(() => feed.IsListening);
        var (one, two) = (await fixture.Users.AddAsync(), await fixture.Users.AddAsync());
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(replica, one));

        await proxy.CutAsync();
        await Wait.UntilAsync(() => !feed.IsListening);
        await RevokeAsync(one);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(replica, one)); // this is what cannot be known yet
        replica.Clock.Advance(Grace);
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(replica, one));
        Assert.Contains(replica.Log.Lines, line => line.StartsWith("Warning 6001 ", StringComparison.Ordinal));

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(replica, two));
        await RevokeAsync(two);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(replica, two));
        proxy.Restore();
        await Wait.UntilAsync(() => feed.IsListening);
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(replica, two)); // what was missed is dropped with all the rest
    }

    /// <summary>A connection that is dead without having been closed: nobody tells, and nothing is trusted for longer.</summary>
    [Fact]
    public async Task Value_that_nobody_confirmed_for_five_seconds_is_read_again()
    {
        await using var replica = await app.StartReplicaAsync(("AzureWebJobs.GatewayRequest.Disabled", "true")); // then nothing listens
        var user = await fixture.Users.AddAsync(plan: "old");
        var users = replica.Get<InternalUsers>();
        Assert.Equal("old", (await users.FindAsync(user.Subject))!.Plan);
        await app.Database.ExecuteAsync($"UPDATE users SET plan = 'new' WHERE id = '{user.Id}'");

        replica.Clock.Advance(Grace / 2);
        Assert.Equal("old", (await users.FindAsync(user.Subject))!.Plan);
        replica.Clock.Advance(Grace / 2);
        Assert.Equal("new", (await users.FindAsync(user.Subject))!.Plan);
    }

    /// <summary>gateway.md 4: who is not known is 503 IDENTITY_UNAVAILABLE; known users go on for as long as they may, with limits of this process.</summary>
    [Fact]
    public async Task Calls_without_the_database_are_limited_in_this_process_and_503_for_who_is_not_known()
    {
        await using var proxy = new TestProxy(app.Database.Url);
        await using var replica = await app.StartReplicaAsync(("DATABASE_URL", proxy.Url));
        await Wait.UntilAsync(() => replica.Get<ChangeFeed>().IsListening); // from then on nothing is dropped
        var (known, unknown) = (await fixture.Users.AddAsync(), await fixture.Users.AddAsync());
        var watch = Stopwatch.StartNew();
        for (var call = 0; call < 4; call++)
        {
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(replica, known));
        }

        await proxy.CutAsync();
        var statuses = new List<HttpStatusCode>();
        for (var call = 0; call < 40; call++)
        {
            statuses.Add(await StatusAsync(replica, known));
        }

        // Not even those four are given back; only what flows back while the test runs, one in two seconds.
        Assert.InRange(statuses.Count(status => status == HttpStatusCode.OK), 26, 26 + (int)(watch.Elapsed.TotalSeconds / 2));
        Assert.All(statuses, status => Assert.True(status is HttpStatusCode.OK or HttpStatusCode.TooManyRequests, status.ToString()));
        Assert.True(replica.Get<RateLimiter>().IsLocal);
        Assert.Contains(replica.Log.Lines, line => line.StartsWith("Warning 6003 ", StringComparison.Ordinal));
        await RefusedAsync(replica, unknown);
        replica.Clock.Advance(Grace);
        await RefusedAsync(replica, known); // nobody can say any more whether the session lives

        proxy.Restore();
        await Wait.UntilAsync(async () => await StatusAsync(replica, unknown) == HttpStatusCode.OK);
        await Wait.UntilAsync(async () => await StatusAsync(replica, unknown) is HttpStatusCode.OK && !replica.Get<RateLimiter>().IsLocal);
        Assert.Contains(replica.Log.Lines, line => line.StartsWith("Information 6004 ", StringComparison.Ordinal));
    }

    /// <summary>The limits alone are refused, as by a server that became read-only: said in health and log, and never unlimited.</summary>
    [Fact]
    public async Task Limits_that_the_database_refuses_are_kept_in_this_process_and_ready_says_so()
    {
        var database = await TestDatabase.CreateAsync(nameof(OutageTests) + "_limits");
        await using var alone = await TestApp.StartAsync(
            database,
            app.Settings.With(
                [
                    new("DATABASE_URL", database.Url), new("GATEWAY_OPEN_CALLS_PER_USER", "100"),
                    new("PORT", TestApp.FreePort().ToString(System.Globalization.CultureInfo.InvariantCulture)),
                ]));
        var user = await new GatewayUsers(alone).AddAsync();
        await database.ExecuteAsync("ALTER TABLE rate_limits RENAME TO rate_limits_gone");

        var took = Stopwatch.StartNew();
        var statuses = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => StatusAsync(alone, user)));

        var admitted = statuses.Count(status => status == HttpStatusCode.OK);
        Assert.InRange(admitted, 30, 30 + (int)(took.Elapsed / TimeSpan.FromSeconds(2))); // every two seconds there is room for one more
        Assert.Equal(100 - admitted, statuses.Count(status => status == HttpStatusCode.TooManyRequests));
        using var ready = await alone.GetAsOperatorAsync("/ready");
        Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
        Assert.Contains("\"rate_limits\":\"degraded: ", await ready.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        await database.ExecuteAsync("ALTER TABLE rate_limits_gone RENAME TO rate_limits");
        var other = await new GatewayUsers(alone).AddAsync();
        await Wait.UntilAsync(async () => await StatusAsync(alone, other) == HttpStatusCode.OK && !alone.Get<RateLimiter>().IsLocal);
        await database.DisposeAsync();
    }

    private Task RevokeAsync(GatewayUser user) =>
        app.Database.ExecuteAsync($"UPDATE gpt_sessions SET revoked_at = now(), revoke_reason = 'test' WHERE id = '{user.SessionId}'");

    private static async Task<HttpStatusCode> StatusAsync(TestApp replica, GatewayUser user)
    {
        using var response = await replica.Http.CallAsync(user.Token, "/gpt/echo");
        return response.StatusCode;
    }

    private static async Task RefusedAsync(TestApp replica, GatewayUser user)
    {
        using var response = await replica.Http.CallAsync(user.Token, "/gpt/echo");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.NotNull(response.Headers.RetryAfter);
        Assert.Equal("IDENTITY_UNAVAILABLE", (await response.ProblemAsync()).GetProperty("code").GetString());
    }
}
