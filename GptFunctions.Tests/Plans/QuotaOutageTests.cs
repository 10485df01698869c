using System.Net;
using GptFunctions.Data;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Plans;

/// <summary>countdowns.md 15 and 17: without the database what is bought is not given away, and nothing is counted twice.</summary>
public sealed class QuotaOutageTests(QuotaFixture<QuotaOutageTests> fixture) : IClassFixture<QuotaFixture<QuotaOutageTests>>
{
    private const string Path = "/gpt/apply/status?code=200";
    private readonly TestApp app = fixture.App;

    /// <summary>"Database away: routes with a quota are refused (503), never open; routes without one go on under in-process limits as before."</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Without_the_database_nothing_that_is_counted_gets_through(bool isSilent)
    {
        await using var proxy = new TestProxy(app.Database.Url);
        await using var replica = await app.StartReplicaAsync(("DATABASE_URL", proxy.Url));
        await Wait.UntilAsync(() => replica.Get<ChangeFeed>().IsListening);
        var (user, poor) = (await fixture.AddUserAsync(), await fixture.AddUserAsync(null, null));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(replica, user));
        Assert.Equal(HttpStatusCode.PaymentRequired, await StatusAsync(replica, poor));
        var requests = await fixture.Upstream.CountAsync("requests");

        if (isSilent)
        {
            proxy.Silence();
        }
        else
        {
            await proxy.CutAsync();
        }

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => StatusAsync(replica, user)));
        Assert.All(answers, status => Assert.Equal(HttpStatusCode.ServiceUnavailable, status));
        Assert.Equal(requests, await fixture.Upstream.CountAsync("requests"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(replica, user, "/gpt/echo"));
        using (var usage = await replica.Http.CallAsync(user.Token, "/gpt/usage"))
        {
            Assert.Equal("QUOTA_UNAVAILABLE", (await usage.ProblemAsync()).GetProperty("code").GetString());
            Assert.Equal("2", Assert.Single(usage.Headers.GetValues("Retry-After")));
        }

        if (isSilent)
        {
            proxy.Speak();
        }
        else
        {
            proxy.Restore();
        }

        // What the server counted without being able to say so is given back: four are left, and four go through.
        await Wait.UntilAsync(async () => await StatusAsync(replica, user) == HttpStatusCode.OK);
        await Wait.UntilAsync(async () => await fixture.UsedAsync(user) == 2);
        for (var call = 0; call < 3; call++)
        {
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(replica, user));
        }

        Assert.Equal(HttpStatusCode.TooManyRequests, await StatusAsync(replica, user));
    }

    /// <summary>
    /// The upstream fails while the database is away: the caller waits for neither, and is given back what the call used as soon as that can be.
    /// </summary>
    [Fact]
    public async Task What_cannot_be_given_back_now_is_given_back_once_later()
    {
        await using var proxy = new TestProxy(app.Database.Url);
        await using var replica = await app.StartReplicaAsync(("DATABASE_URL", proxy.Url));
        var user = await fixture.AddUserAsync();
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(replica, user));
        var calls = Enumerable.Range(0, 3).Select(_ => StatusAsync(replica, user, "/gpt/apply/slow")).ToList();
        await Wait.UntilAsync(async () => await fixture.UsedAsync(user) == 4);

        await proxy.CutAsync();
        Assert.All(await Task.WhenAll(calls), status => Assert.Equal(HttpStatusCode.GatewayTimeout, status));
        Assert.Equal(4, await fixture.UsedAsync(user));
        proxy.Restore();

        await Wait.UntilAsync(async () => await fixture.UsedAsync(user) == 1);
        Assert.Equal(1, await app.Database.CountAsync("usage_units", $"user_id = '{user.Id}'"));
    }

    /// <summary>A program that ends says so first.</summary>
    [Fact]
    public async Task What_waits_to_be_given_back_is_given_back_before_the_program_ends()
    {
        await using var proxy = new TestProxy(app.Database.Url);
        var replica = await app.StartReplicaAsync(("DATABASE_URL", proxy.Url));
        var user = await fixture.AddUserAsync();
        var call = StatusAsync(replica, user, "/gpt/apply/slow");
        await Wait.UntilAsync(async () => await fixture.UsedAsync(user) == 1);
        await proxy.CutAsync();
        Assert.Equal(HttpStatusCode.GatewayTimeout, await call);
        proxy.Restore();

        await replica.DisposeAsync();

        Assert.Equal(0, await fixture.UsedAsync(user));
    }

    /// <summary>The attempt of an audited action that cannot be recorded: the call was not made, so it costs nothing.</summary>
    [Fact]
    public async Task Action_that_cannot_be_recorded_is_given_back()
    {
        var user = await fixture.AddUserAsync();
        await app.Database.ExecuteAsync("ALTER TABLE gpt_open_actions RENAME TO away");
        try
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, await StatusAsync(app, user, "/gpt/apply-audited"));
        }
        finally
        {
            await app.Database.ExecuteAsync("ALTER TABLE away RENAME TO gpt_open_actions");
        }

        await Wait.UntilAsync(async () => await fixture.UsedAsync(user) == 0);
    }

    private static async Task<HttpStatusCode> StatusAsync(TestApp to, GatewayUser user, string path = Path)
    {
        using var response = await to.Http.CallAsync(user.Token, path);
        return response.StatusCode;
    }
}
