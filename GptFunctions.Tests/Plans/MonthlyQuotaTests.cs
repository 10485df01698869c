using System.Globalization;
using System.Net;
using System.Text.Json;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Plans;

/// <summary>An app whose limits of a minute are in nobody's way.</summary>
public class QuotaFixture<TTests> : GatewayFixture<TTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings =>
        [new("GATEWAY_READ_LIMIT", "100000"), new("GATEWAY_OPEN_CALLS_PER_USER", "1000")];

    internal Task<GatewayUser> AddUserAsync(string? plan = "free", string? status = "active") => Users.AddAsync(plan: plan, planStatus: status);

    /// <summary>What the counter of a user says, in all months.</summary>
    internal async Task<long> UsedAsync(GatewayUser user, string quota = "applications") =>
        await App.Database.ScalarAsync<long>("SELECT coalesce(sum(used), 0)::bigint FROM usage_counters WHERE user_id = $1 AND quota = $2", user.Id, quota);
}

/// <summary>countdowns.md 14 to 16 and 19, as a caller sees them.</summary>
public sealed class MonthlyQuotaTests(QuotaFixture<MonthlyQuotaTests> fixture) : IClassFixture<QuotaFixture<MonthlyQuotaTests>>
{
    private const string Path = "/gpt/apply/status?code=200";
    private readonly TestApp app = fixture.App;
    private readonly HttpClient http = fixture.App.Http;

    [Fact]
    public async Task Call_beyond_the_months_quota_is_429_that_a_model_can_act_on_and_reaches_nobody()
    {
        var user = await fixture.AddUserAsync();
        var requests = await fixture.Upstream.CountAsync("requests");
        for (var call = 0; call < 5; call++)
        {
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(user));
        }

        var now = app.Clock.GetUtcNow();
        using var response = await http.CallAsync(user.Token, Path);

        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        var problem = await response.ProblemAsync();
        var month = new DateTimeOffset(now.Year, now.Month, 1, 0, 0, 0, TimeSpan.Zero).AddMonths(1);
        Assert.Equal("QUOTA_USED_UP", problem.GetProperty("code").GetString());
        Assert.Equal("free", problem.GetProperty("plan").GetString());
        Assert.Equal("applications", problem.GetProperty("quota").GetString());
        Assert.Equal(5, problem.GetProperty("limit").GetInt32());
        Assert.Equal(5, problem.GetProperty("used").GetInt32());
        Assert.Equal(month, problem.GetProperty("resets_at").GetDateTimeOffset());
        Assert.Equal("applications", Assert.Single(problem.GetProperty("violated-policies").EnumerateArray()).GetString());
        var seconds = int.Parse(Assert.Single(response.Headers.GetValues("Retry-After")), CultureInfo.InvariantCulture);
        Assert.InRange(seconds, (month - now).TotalSeconds - 30, (month - now).TotalSeconds + 1);
        Assert.Equal(seconds, problem.GetProperty("retry_after_seconds").GetInt32());
        Assert.Equal(
            $"The user's plan, free, gives 5 applications a month, and all are used. The next ones come on {month:d MMMM yyyy} (UTC), or with a larger plan. "
                + "Nothing was done; tell the user, and do not try again before.", problem.GetProperty("detail").GetString());
        Assert.Equal(requests + 5, await fixture.Upstream.CountAsync("requests"));
        Assert.Equal(5, await fixture.UsedAsync(user));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(user, "/gpt/echo")); // a route without a quota
    }

    [Theory]
    [InlineData(null, null, "This needs a plan that includes applications, and the user has none. *choose such a plan first.")]
    [InlineData("unknown", "active", "The user's plan, unknown, does not include applications. *choose such a plan first.")]
    [InlineData("closed", "active", "The user's plan, closed, does not include applications. *choose such a plan first.")]
    [InlineData("pro", "unpaid", "The user's plan, pro, is not paid for. *pay for it first.")]
    public async Task Plan_that_gives_nothing_is_402_that_waiting_would_not_help(string? plan, string? status, string detail)
    {
        ArgumentNullException.ThrowIfNull(detail);
        var user = await fixture.AddUserAsync(plan, status);
        var requests = await fixture.Upstream.CountAsync("requests");

        using var response = await http.CallAsync(user.Token, Path);

        Assert.Equal(HttpStatusCode.PaymentRequired, response.StatusCode);
        Assert.False(response.Headers.Contains("Retry-After"));
        var problem = await response.ProblemAsync();
        Assert.Equal("PLAN_REQUIRED", problem.GetProperty("code").GetString());
        Assert.Equal(0, problem.GetProperty("limit").GetInt32());
        Assert.Equal(plan, problem.TryGetProperty("plan", out var told) ? told.GetString() : null);
        Assert.Matches(
            "^" + string.Join(".*", detail.Split('*').Select(System.Text.RegularExpressions.Regex.Escape)) + "$", problem.GetProperty("detail").GetString());
        Assert.False(problem.TryGetProperty("resets_at", out _));
        Assert.Equal((requests, 0), (await fixture.Upstream.CountAsync("requests"), await fixture.UsedAsync(user)));
    }

    /// <summary>"`past_due` keeps the plan for PLAN_GRACE_DAYS (7) after the first failed payment of the row".</summary>
    [Theory]
    [InlineData("6 days 23 hours", HttpStatusCode.OK)]
    [InlineData("7 days", HttpStatusCode.PaymentRequired)]
    public async Task Plan_whose_payment_failed_counts_for_a_week(string since, HttpStatusCode expected)
    {
        var user = await fixture.AddUserAsync("free", "past_due");
        await app.Database.ExecuteAsync($"UPDATE users SET past_due_since = now() - interval '{since}' WHERE id = '{user.Id}'");

        Assert.Equal(expected, await StatusAsync(user));
    }

    /// <summary>"A call that the upstream answered with 4xx or 5xx, that never reached it, timed out, was too large ... is given back, once."</summary>
    [Theory]
    [InlineData("/gpt/apply/status?code=404", HttpStatusCode.NotFound)]
    [InlineData("/gpt/apply/status?code=429", HttpStatusCode.TooManyRequests)]
    [InlineData("/gpt/apply/status?code=500", HttpStatusCode.InternalServerError)]
    [InlineData("/gpt/apply/status?code=401", HttpStatusCode.BadGateway)]
    [InlineData("/gpt/apply/garbage", HttpStatusCode.BadGateway)]
    [InlineData("/gpt/apply/huge?count=2000", HttpStatusCode.BadGateway)]
    [InlineData("/gpt/apply/huge?count=2000&chunked=1", HttpStatusCode.BadGateway)]
    [InlineData("/gpt/apply/slow", HttpStatusCode.GatewayTimeout)]
    [InlineData("/gpt/apply-dead", HttpStatusCode.BadGateway)]
    public async Task Call_that_came_to_nothing_is_given_back_before_its_answer_is_seen(string path, HttpStatusCode status)
    {
        var user = await fixture.AddUserAsync();
        await StatusAsync(user);
        Assert.Equal(status, await StatusAsync(user, path));

        Assert.Equal(1, await fixture.UsedAsync(user));
    }

    [Theory]
    [InlineData("/gpt/apply/status?code=200")]
    [InlineData("/gpt/apply/status?code=204")]
    [InlineData("/gpt/apply/status?code=302")]
    [InlineData("/gpt/apply/torn")] // its answer had begun
    public async Task Call_that_was_answered_stays_counted(string path)
    {
        var user = await fixture.AddUserAsync();
        try
        {
            await StatusAsync(user, path);
        }
        catch (HttpRequestException)
        {
            // broken off
        }

        Assert.Equal(1, await fixture.UsedAsync(user));
    }

    [Theory]
    [InlineData("/gpt/apply/slow", 0)]
    [InlineData("/gpt/apply/stalling", 1)]
    public async Task Caller_that_hangs_up_gets_it_back_unless_the_answer_has_begun(string path, long used)
    {
        var user = await fixture.AddUserAsync();
        var hungUp = await fixture.Upstream.CountAsync("hungUp");
        using var impatient = new HttpClient { BaseAddress = http.BaseAddress, DefaultRequestHeaders = { Authorization = new("Bearer", user.Token) } };
        var calling = impatient.GetAsync(new Uri(path, UriKind.Relative), HttpCompletionOption.ResponseHeadersRead);
        await Wait.UntilAsync(async () => await fixture.UsedAsync(user) == 1);
        if (used > 0)
        {
            (await calling).Dispose();
        }

        impatient.CancelPendingRequests();
        await Wait.UntilAsync(async () => await fixture.Upstream.CountAsync("hungUp") > hungUp);
        if (used == 0)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => calling);
        }

        await Wait.UntilAsync(async () => await fixture.UsedAsync(user) == used);
        Assert.Equal(used, await app.Database.CountAsync("usage_units", $"user_id = '{user.Id}'"));
    }

    /// <summary>"The minute's limit is looked at first; a call that it refuses uses no quota."</summary>
    [Fact]
    public async Task Minutes_limit_is_looked_at_first()
    {
        var user = await fixture.AddUserAsync("pro");
        var statuses = await Task.WhenAll(Enumerable.Range(0, 15).Select(_ => StatusAsync(user, "/gpt/apply-rarely")));
        using var refused = await http.CallAsync(user.Token, "/gpt/apply-rarely");

        var admitted = statuses.Count(status => status == HttpStatusCode.OK);
        Assert.InRange(admitted, 10, 11); // of 10 a minute
        Assert.Equal("expensive", Assert.Single((await refused.ProblemAsync()).GetProperty("violated-policies").EnumerateArray()).GetString());
        Assert.Equal(admitted, await fixture.UsedAsync(user));
    }

    [Fact]
    public async Task Usage_tells_plan_and_quotas_to_any_scope_and_is_not_counted()
    {
        var user = await fixture.Users.AddAsync(plan: "pro", planStatus: "trialing", scope: "jobs:read applications:write applications:read");
        await StatusAsync(user);
        await StatusAsync(user, "/gpt/export");
        var poor = await fixture.Users.AddAsync(plan: "free", planStatus: "active", scope: "jobs:read");
        var month = app.Clock.GetUtcNow().ToString("yyyy-MM", CultureInfo.InvariantCulture);

        var usage = await UsageAsync(user);
        Assert.Equal(("pro", "trialing"), (usage.GetProperty("plan").GetString(), usage.GetProperty("plan_status").GetString()));
        var (applications, exports) = (usage.GetProperty("quotas").GetProperty("applications"), usage.GetProperty("quotas").GetProperty("exports"));
        Assert.Equal(("null", 1, "null"), (applications.GetProperty("limit").GetRawText(), applications.GetProperty("used").GetInt32(),
            applications.GetProperty("remaining").GetRawText()));
        Assert.Equal(
            (2, 1, 1), (exports.GetProperty("limit").GetInt32(), exports.GetProperty("used").GetInt32(), exports.GetProperty("remaining").GetInt32()));
        Assert.Equal(0, exports.GetProperty("resets_at").GetDateTimeOffset().Offset.Ticks);
        Assert.NotEqual(month, exports.GetProperty("resets_at").GetString()![..7]);
        for (var call = 0; call < 3; call++)
        {
            Assert.Equal(5, (await UsageAsync(poor)).GetProperty("quotas").GetProperty("applications").GetProperty("remaining").GetInt32());
        }

        var nobody = await UsageAsync(await fixture.AddUserAsync(null, null));
        Assert.Equal(("null", "null"), (nobody.GetProperty("plan").GetRawText(), nobody.GetProperty("plan_status").GetRawText()));
        Assert.Equal(0, nobody.GetProperty("quotas").GetProperty("exports").GetProperty("limit").GetInt32());

        using var stranger = await http.CallAsync(null, "/gpt/usage");
        Assert.Equal(HttpStatusCode.Unauthorized, stranger.StatusCode);
        Assert.Contains("resource_metadata=", stranger.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        await app.Database.ExecuteAsync($"UPDATE gpt_sessions SET revoked_at = now(), revoke_reason = 'operator' WHERE id = '{poor.SessionId}'");
        await Wait.UntilAsync(async () =>
        {
            using var revoked = await http.CallAsync(poor.Token, "/gpt/usage");
            return revoked.StatusCode == HttpStatusCode.Unauthorized;
        });
    }

    /// <summary>The month is in the key, so there is nothing to reset.</summary>
    [Fact]
    public async Task New_month_begins_with_nothing_used()
    {
        await using var replica = await app.StartReplicaAsync();
        var user = await fixture.AddUserAsync();
        for (var call = 0; call < 6; call++)
        {
            Assert.Equal(call < 5 ? HttpStatusCode.OK : HttpStatusCode.TooManyRequests, await StatusAsync(user, http: replica.Http));
        }

        var now = replica.Clock.GetUtcNow();
        var next = new DateTimeOffset(now.Year, now.Month, 1, 0, 0, 0, TimeSpan.Zero).AddMonths(1);
        replica.Clock.Advance(next - now - TimeSpan.FromSeconds(20));
        Assert.Equal(HttpStatusCode.TooManyRequests, await StatusAsync(Renewed(replica, user), http: replica.Http)); // the month's last seconds
        replica.Clock.Advance(TimeSpan.FromSeconds(21));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(Renewed(replica, user), http: replica.Http));

        Assert.Equal(6, await fixture.UsedAsync(user));
        Assert.Equal(1, await app.Database.CountAsync("usage_counters", $"user_id = '{user.Id}' AND used = 1"));
    }

    private static GatewayUser Renewed(TestApp replica, GatewayUser user) => user with
    {
        Token = replica.Get<GptFunctions.Tokens.AccessTokens>().Issue(
            user.Subject, user.ClientId, user.SessionId, GatewayUsers.AllScopes, replica.BaseUrl + "/gpt"),
    };

    private async Task<JsonElement> UsageAsync(GatewayUser user)
    {
        using var response = await http.CallAsync(user.Token, "/gpt/usage");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.True(response.Headers.CacheControl!.NoStore);
        return JsonElement.Parse(await response.Content.ReadAsStringAsync());
    }

    private async Task<HttpStatusCode> StatusAsync(GatewayUser user, string path = Path, HttpClient? http = null)
    {
        using var response = await (http ?? this.http).CallAsync(user.Token, path);
        return response.StatusCode;
    }
}
