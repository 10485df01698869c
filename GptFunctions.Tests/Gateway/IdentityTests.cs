using System.Net;
using System.Text.Json;
using GptFunctions.Identity;
using GptFunctions.Tests.Identity;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>The gateway's app with Clerk as somebody's web app uses it.</summary>
public sealed class WithClerk : GatewayFixture<IdentityTests>
{
    private FakeProvider provider = null!;

    internal FakeProvider Provider => provider;

    protected override IEnumerable<KeyValuePair<string, string?>> Settings =>
    [
        new("CLERK_ISSUER", provider.Issuer), new("CLERK_OAUTH_CLIENT_ID", FakeProvider.ClientId), new("CLERK_OAUTH_CLIENT_SECRET", "secret-of-the-provider"),
        new("CLERK_AUTHORIZED_PARTIES", FakeProvider.AuthorizedParty),
    ];

    public override async Task InitializeAsync()
    {
        provider = await FakeProvider.StartAsync();
        await base.InitializeAsync();
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await provider.DisposeAsync();
    }
}

/// <summary>gateway.md 4: from the subject to the internal user, in memory, dropped by NOTIFY; and Clerk session JWTs.</summary>
public sealed class IdentityTests(WithClerk fixture) : IClassFixture<WithClerk>
{
    private const string FindUser = "SELECT id, plan, plan_status, %FROM users%";
    private readonly TestApp app = fixture.App;
    private readonly HttpClient http = fixture.App.Http;

    /// <summary>"dropped at once by NOTIFY on change".</summary>
    [Fact]
    public async Task Plan_that_changes_is_seen_by_the_upstream_at_once()
    {
        var user = await fixture.Users.AddAsync(plan: "basic");
        Assert.Equal("basic", (await http.EchoAsync(user))["x-gpt-plan"]);

        await app.Database.ExecuteAsync($"UPDATE users SET plan = 'pro', plan_status = 'past_due' WHERE id = '{user.Id}'");

        await Wait.UntilAsync(async () => (await http.EchoAsync(user))["x-gpt-plan"] == "pro", TimeSpan.FromSeconds(1));
        Assert.Equal("past_due", (await http.EchoAsync(user))["x-gpt-plan-status"]);
    }

    /// <summary>"In memory up to 1 h" and "a miss is one query", counted by PostgreSQL.</summary>
    [Fact]
    public async Task Known_user_is_read_once_an_hour_and_other_changes_drop_nothing()
    {
        await using var replica = await app.StartReplicaAsync();
        var user = await fixture.Users.AddAsync();
        var before = await CallsAsync(FindUser);
        await replica.Http.EchoAsync(user);
        // Plan was NULL already.
        await app.Database.ExecuteAsync($"UPDATE users SET email = 'new@example.com', plan = NULL, clerk_user_id = clerk_user_id WHERE id = '{user.Id}'");
        replica.Clock.Advance(TimeSpan.FromMinutes(1)); // the feed confirms itself within a second
        await Wait.UntilAsync(() => replica.Get<GptFunctions.Data.ChangeFeed>().IsCurrent(long.MinValue));
        await replica.Http.EchoAsync(user);

        Assert.Equal(before + 1, await CallsAsync(FindUser));
        replica.Clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(user.Id, (await replica.Get<InternalUsers>().FindAsync(user.Subject))!.Id);
        Assert.Equal(before + 2, await CallsAsync(FindUser));
    }

    /// <summary>"200 parallel misses of one user make one query", and afterwards there is nothing to wait for.</summary>
    [Fact]
    public async Task Two_hundred_parallel_misses_make_one_query()
    {
        var user = await fixture.Users.AddAsync();
        var users = app.Get<InternalUsers>();
        await users.FindAsync("warm-up");
        var before = await CallsAsync(FindUser);
        await using var held = await app.Database.HoldAsync("LOCK TABLE users");

        var finding = Enumerable.Range(0, 200).Select(_ => Task.Run(() => users.FindAsync(user.Subject).AsTask())).ToList();
        await app.Database.WaitForBlockedAsync(1);
        await held.LetGoAsync();
        var found = await Task.WhenAll(finding);

        Assert.All(found, one => Assert.Equal(user.Id, one!.Id));
        Assert.Equal(before + 1, await CallsAsync(FindUser));
        Assert.True(users.FindAsync(user.Subject).AsTask().IsCompletedSuccessfully);
    }

    /// <summary>One caller who hangs up does not take the answer from the others who wait for it.</summary>
    [Fact]
    public async Task Miss_survives_the_caller_who_asked_first()
    {
        var user = await fixture.Users.AddAsync();
        using var impatience = new CancellationTokenSource();
        await using var held = await app.Database.HoldAsync("LOCK TABLE users");

        var first = CallAsync(user, impatience.Token);
        await app.Database.WaitForBlockedAsync(1);
        var second = app.Get<InternalUsers>().FindAsync(user.Subject).AsTask();
        await impatience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        await held.LetGoAsync();

        Assert.Equal(user.Id, (await second)!.Id);
    }

    private async Task CallAsync(GatewayUser user, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/gpt/echo", UriKind.Relative));
        request.Headers.Authorization = new("Bearer", user.Token);
        using var response = await app.Http.SendAsync(request, cancellationToken);
    }

    /// <summary>Where a change is told while its value is being read, the value read before is not kept.</summary>
    [Fact]
    public async Task Change_that_overtakes_a_read_is_not_lost()
    {
        var user = await fixture.Users.AddAsync(plan: "old");
        var users = app.Get<InternalUsers>();
        await using var held = await app.Database.HoldAsync($"UPDATE users SET plan = 'new' WHERE id = '{user.Id}'");

        Assert.Equal("old", (await users.FindAsync(user.Subject))!.Plan); // not committed yet
        await held.LetGoAsync();

        await Wait.UntilAsync(async () => (await users.FindAsync(user.Subject))!.Plan == "new", TimeSpan.FromSeconds(1));
    }

    /// <summary>"unknown users are remembered for 30 s: 404 USER_NOT_FOUND"; and found as soon as they exist.</summary>
    [Fact]
    public async Task Unknown_user_is_404_asked_for_once_and_known_as_soon_as_there_is_one()
    {
        var token = Clerk("user_unknown");
        var before = await CallsAsync(FindUser);
        for (var attempt = 0; attempt < 3; attempt++)
        {
            using var response = await http.CallAsync(token, "/gpt/web");
            Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
            Assert.Equal("USER_NOT_FOUND", (await response.ProblemAsync()).GetProperty("code").GetString());
        }

        Assert.Equal(before + 1, await CallsAsync(FindUser));
        await app.Get<UserStore>().EnsureAsync("user_unknown", app.Clock.GetUtcNow());
        await Wait.UntilAsync(async () => await StatusAsync(token) == HttpStatusCode.OK, TimeSpan.FromSeconds(1));
    }

    /// <summary>"remembered for 30 s": without any notice too.</summary>
    [Fact]
    public async Task Unknown_user_is_looked_up_again_after_30_seconds()
    {
        await using var replica = await app.StartReplicaAsync();
        var users = replica.Get<InternalUsers>();
        var before = await CallsAsync(FindUser);
        Assert.Null(await users.FindAsync("user_not_there"));

        replica.Clock.Advance(TimeSpan.FromSeconds(31));
        Assert.Null(await users.FindAsync("user_not_there"));

        Assert.Equal(before + 2, await CallsAsync(FindUser));
    }

    [Fact]
    public async Task Deleted_user_is_404_at_once()
    {
        var user = await fixture.Users.AddAsync();
        var token = Clerk(user.Subject);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(token));

        await app.Database.ExecuteAsync($"UPDATE users SET deleted_at = now() WHERE id = '{user.Id}'");

        await Wait.UntilAsync(async () => await StatusAsync(token) == HttpStatusCode.NotFound, TimeSpan.FromSeconds(1));
    }

    /// <summary>gateway.md 2: or a Clerk session JWT where a route allows it.</summary>
    [Fact]
    public async Task Clerk_session_is_accepted_where_the_route_allows_it_and_nowhere_else()
    {
        var user = await fixture.Users.AddAsync();
        var token = Clerk(user.Subject);

        using var allowed = await http.CallAsync(token, "/gpt/web");
        using var elsewhere = await http.CallAsync(token, "/gpt/echo");

        var echo = Echo.Of(await allowed.Content.ReadAsStringAsync());
        Assert.Equal(
            (user.Id.ToString(), user.Subject, null, "resume:read"),
            (echo["x-internal-id"], echo["x-clerk-user-id"], echo["x-gpt-client-id"], echo["x-gpt-scopes"]));
        Assert.Equal(HttpStatusCode.Unauthorized, elsewhere.StatusCode);
        Assert.Equal(
            HttpStatusCode.Unauthorized,
            await StatusAsync(
                fixture.Provider.Sign(
                    fixture.Provider.SessionClaims(user.Subject, app.Clock.GetUtcNow()), key: System.Security.Cryptography.RSA.Create(2048))));
        Assert.Equal(HttpStatusCode.OK, (await http.CallAsync(user.Token, "/gpt/web")).StatusCode);
    }

    private string Clerk(string subject) => fixture.Provider.Sign(fixture.Provider.SessionClaims(subject, app.Clock.GetUtcNow()));

    private async Task<HttpStatusCode> StatusAsync(string token)
    {
        using var response = await http.CallAsync(token, "/gpt/web");
        return response.StatusCode;
    }

    private async Task<long> CallsAsync(string statement) => await app.Database.ScalarAsync<long>(
        "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND "
            + "query LIKE $1", statement);
}
