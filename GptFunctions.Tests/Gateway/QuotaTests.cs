using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>gateway.md 12 and 13: limits as a caller sees them.</summary>
public sealed partial class QuotaTests(GatewayFixture<QuotaTests> fixture) : IClassFixture<GatewayFixture<QuotaTests>>
{
    private readonly HttpClient http = fixture.App.Http;

    /// <summary>"RateLimit and RateLimit-Policy (structured fields, on 2xx too)".</summary>
    [Fact]
    public async Task Quota_is_told_with_every_answer()
    {
        var user = await fixture.Users.AddAsync();
        for (var left = 29; left >= 27; left--)
        {
            using var response = await http.CallAsync(user.Token, "/gpt/echo");
            Assert.Equal("\"read\";q=30;w=60", Assert.Single(response.Headers.GetValues("RateLimit-Policy")));
            Assert.Equal((left, (30 - left) * 2), State(response, "read"));
        }

        using var expensive = await http.CallAsync(user.Token, "/gpt/expensive");
        Assert.Equal("\"expensive\";q=10;w=60", Assert.Single(expensive.Headers.GetValues("RateLimit-Policy")));
        Assert.Equal((9, 6), State(expensive, "expensive"));
        using var unreachable = await http.CallAsync(user.Token, "/gpt/dead");
        Assert.Equal((26, 8), State(unreachable, "read"));
    }

    /// <summary>
    /// "429: Retry-After, ... problem+json of type quota-exceeded with violated-policies and retry_after_seconds, and a sentence that a model can
    /// act on".
    /// </summary>
    [Fact]
    public async Task Call_beyond_the_quota_is_429_that_says_when_to_come_back()
    {
        var user = await fixture.Users.AddAsync();
        var requests = await fixture.Upstream.CountAsync("requests");
        await SpendAsync(user, "/gpt/expensive", 10);

        using var response = await http.CallAsync(user.Token, "/gpt/expensive");

        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        var problem = await response.ProblemAsync();
        Assert.Equal("https://iana.org/assignments/http-problem-types#quota-exceeded", problem.GetProperty("type").GetString());
        Assert.Equal("expensive", Assert.Single(problem.GetProperty("violated-policies").EnumerateArray()).GetString());
        var seconds = problem.GetProperty("retry_after_seconds").GetInt32();
        Assert.InRange(seconds, 1, 6);
        Assert.Equal(seconds.ToString(CultureInfo.InvariantCulture), Assert.Single(response.Headers.GetValues("Retry-After")));
        Assert.Equal(
            $"All 10 calls of this kind per 60 seconds are used up. "
                + $"Wait {seconds} second{(seconds == 1 ? "" : "s")}, then try again; calls before that are refused.",
            problem.GetProperty("detail").GetString());
        Assert.Equal(0, State(response, "expensive").Remaining);
        Assert.Equal(requests + 10, await fixture.Upstream.CountAsync("requests"));
    }

    /// <summary>"waiting that long always succeeds": for an answer of the database and for one of memory.</summary>
    [Fact]
    public async Task Call_after_the_time_of_retry_after_is_admitted()
    {
        var users = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => fixture.Users.AddAsync()));
        await Task.WhenAll(users.Select(async (user, index) =>
        {
            var wait = await RefusedAsync(user);
            for (var repeated = 0; repeated < index; repeated++)
            {
                await Task.Delay(index * 50); // not all at the same point of a second
                wait = await RefusedAsync(user);
            }

            await Task.Delay(wait);
            using var admitted = await http.CallAsync(user.Token, "/gpt/echo");
            Assert.True(admitted.IsSuccessStatusCode, $"{index}: {admitted.StatusCode} after {wait}");
        }));

        async Task<TimeSpan> RefusedAsync(GatewayUser user)
        {
            while (true)
            {
                using var response = await http.CallAsync(user.Token, "/gpt/echo");
                if (response.Headers.RetryAfter?.Delta is { } wait)
                {
                    return wait;
                }
            }
        }
    }

    /// <summary>"a user's routes of one tier share one bucket", and the tiers have their own.</summary>
    [Fact]
    public async Task Routes_of_one_tier_share_a_bucket_and_tiers_do_not()
    {
        var user = await fixture.Users.AddAsync();
        await SpendAsync(user, "/gpt/echo", 15);
        await SpendAsync(user, "/gpt/other", 15);

        Assert.Equal(HttpStatusCode.TooManyRequests, await StatusAsync(user.Token, "/gpt/items/1"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(user.Token, "/gpt/expensive"));
    }

    /// <summary>Per verified subject: not per token, session, client or address.</summary>
    [Fact]
    public async Task User_has_one_bucket_in_all_sessions_and_users_behind_one_address_have_their_own()
    {
        var one = await fixture.Users.AddAsync();
        var same = await fixture.Users.AddAsync(one.Subject, of: await OAuthFlow.AddClientAsync(fixture.App));
        var other = await fixture.Users.AddAsync();
        await SpendAsync(one, "/gpt/expensive", 10);

        Assert.Equal(HttpStatusCode.TooManyRequests, await StatusAsync(same.Token, "/gpt/expensive", "192.0.2.1"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(other.Token, "/gpt/expensive", "192.0.2.1"));
    }

    /// <summary>"random Authorization suffixes do not widen anything", nor do correlation ids, casing or query strings.</summary>
    [Fact]
    public async Task Variations_of_a_request_open_no_new_bucket()
    {
        var user = await fixture.Users.AddAsync();
        await SpendAsync(user, "/gpt/expensive", 10);
        for (var attempt = 0; attempt < 20; attempt++)
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, await StatusAsync(user.Token, $"/gpt/expensive?{Guid.NewGuid()}", $"192.0.2.{attempt}"));
            Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync($"{user.Token}{(char)('a' + attempt)}", "/gpt/expensive"));
            Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync($"{user.Token} {Guid.NewGuid():N}", "/gpt/expensive"));
        }

        using var spelling = await http.CallAsync(null, "/gpt/expensive", headers: ("Authorization", "bEARER   " + user.Token + " "));
        Assert.Equal(HttpStatusCode.TooManyRequests, spelling.StatusCode);
    }

    /// <summary>"Failed authentication does not use up the user's quota."</summary>
    [Fact]
    public async Task Refused_tokens_and_missing_scopes_cost_nothing()
    {
        var user = await fixture.Users.AddAsync(scope: "jobs:read");
        for (var attempt = 0; attempt < 12; attempt++)
        {
            Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(user.Token, "/gpt/expensive"));
            Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(user.Token + "x", "/gpt/echo"));
        }

        using var response = await http.CallAsync(user.Token, "/gpt/echo");
        Assert.Equal((29, 2), State(response, "read"));
    }

    /// <summary>"A bucket known to be empty is refused from memory until its time comes", so a flood costs the database nothing.</summary>
    [Fact]
    public async Task Flood_beyond_the_quota_reaches_the_database_once()
    {
        var user = await fixture.Users.AddAsync();
        await SpendAsync(user, "/gpt/expensive", 10);
        var before = await TakesAsync();

        Assert.All(
            await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => StatusAsync(user.Token, "/gpt/expensive"))),
            status => Assert.Equal(HttpStatusCode.TooManyRequests, status));

        Assert.InRange(await TakesAsync() - before, 0, 1);
    }

    private async Task SpendAsync(GatewayUser user, string path, int calls)
    {
        foreach (var status in await Task.WhenAll(Enumerable.Range(0, calls).Select(_ => StatusAsync(user.Token, path))))
        {
            Assert.Equal(HttpStatusCode.OK, status);
        }
    }

    private async Task<HttpStatusCode> StatusAsync(string token, string path, string address = "192.0.2.200")
    {
        using var response = await http.CallAsync(token, path, headers: ("X-Real-IP", address));
        return response.StatusCode;
    }

    private async Task<long> TakesAsync() => await fixture.App.Database.ScalarAsync<long>(
        "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND "
            + "query LIKE 'INSERT INTO rate_limits%'");

    private static (int Remaining, int Reset) State(HttpResponseMessage response, string policy)
    {
        var match = StateField().Match(Assert.Single(response.Headers.GetValues("RateLimit")));
        Assert.Equal(policy, match.Groups["policy"].Value);
        return (int.Parse(match.Groups["left"].Value, CultureInfo.InvariantCulture), int.Parse(match.Groups["reset"].Value, CultureInfo.InvariantCulture));
    }

    [GeneratedRegex("^\"(?<policy>[a-z-]+)\";r=(?<left>[0-9]+);t=(?<reset>[0-9]+)$", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex StateField();
}
