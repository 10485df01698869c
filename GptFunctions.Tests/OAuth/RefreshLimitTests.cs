using System.Net;
using GptFunctions.Audit;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 56: one session cannot make work for ever: a limit of refreshes in a minute, on all replicas together.</summary>
public sealed class RefreshLimitTests(AppFixture<RefreshLimitTests> fixture) : IClassFixture<AppFixture<RefreshLimitTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    /// <summary>A limit of six, so that a slow machine reaches it; the limit that nobody sets is sixty.</summary>
    [Fact]
    public async Task Refreshes_beyond_the_limit_are_429_on_every_replica_and_the_token_stays_good()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await using var one = await app.StartReplicaAsync(("GPT_REFRESH_LIMIT", "6"));
        await using var two = await app.StartReplicaAsync(("GPT_REFRESH_LIMIT", "6"));
        var flows = (OAuthFlow[])[new OAuthFlow(one.Http), new OAuthFlow(two.Http)];
        var token = (await flow.TokensAsync(client, "user_fast"))["refresh_token"]!;
        for (var number = 0; number < 6; number++)
        {
            var answer = await flows[number % 2].RefreshAsync(client, token);
            Assert.Equal(HttpStatusCode.OK, answer.Status);
            token = answer["refresh_token"]!;
        }

        foreach (var other in flows)
        {
            var refused = await other.RefreshAsync(client, token);
            Assert.Equal((HttpStatusCode.TooManyRequests, "temporarily_unavailable"), (refused.Status, refused.Error));
            Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 10);
        }

        two.Clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(HttpStatusCode.OK, (await flows[1].RefreshAsync(client, token)).Status);
        Assert.Equal(60, new OAuthSettings().RefreshLimit);
    }

    [Fact]
    public async Task Other_sessions_of_the_same_person_and_client_are_not_limited_with_it()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var (busy, quiet) = (await flow.TokensAsync(client, "user_two"), await flow.TokensAsync(client, "user_two"));
        await EmptyAsync(busy);

        Assert.Equal(HttpStatusCode.TooManyRequests, (await flow.RefreshAsync(client, busy["refresh_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, quiet["refresh_token"]!)).Status);
    }

    /// <summary>The answers of the grace are work, too.</summary>
    [Fact]
    public async Task Repeats_count_as_refreshes()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var first = await flow.TokensAsync(client, "user_repeats");
        var second = await flow.RefreshAsync(client, first["refresh_token"]!);

        var started = TimeProvider.System.GetTimestamp();
        var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => flow.RefreshAsync(client, first["refresh_token"]!)));

        var answered = answers.Count(answer => answer.Status == HttpStatusCode.OK && answer["refresh_token"] == second["refresh_token"]);
        Assert.InRange(answered, 59, 60 + (int)Math.Ceiling(TimeProvider.System.GetElapsedTime(started).TotalSeconds));
        Assert.Equal(100 - answered, answers.Count(answer => answer.Status == HttpStatusCode.TooManyRequests));
    }

    /// <summary>Nobody who tries again is a hundred refreshes behind: such a token is answered like one after the grace.</summary>
    [Fact]
    public async Task Token_that_is_more_than_a_hundred_generations_behind_is_a_replay()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_behind");
        var chain = new List<string> { tokens["refresh_token"]! };
        for (var number = 0; number < 102; number++)
        {
            if (number % 50 == 0)
            {
                await app.Database.ExecuteAsync("UPDATE gpt_sessions SET refresh_tat = NULL");
            }

            chain.Add((await flow.RefreshAsync(client, chain[^1]))["refresh_token"]!);
        }

        Assert.Equal(chain[^1], (await flow.RefreshAsync(client, chain[2]))["refresh_token"]);
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, chain[0])).Error);
        Assert.Equal(1, await app.Database.CountOfSessionAsync(AuditEvents.ReplayDetected, AccessTokenText.SessionId(tokens["access_token"]!)));
    }

    /// <summary>However many are refused, on however many replicas: one event for each session and minute, and none is left out of the count.</summary>
    [Fact]
    public async Task Refused_refreshes_are_told_once_a_minute_with_their_number()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await using var replica = await app.StartReplicaAsync();
        var tokens = await flow.TokensAsync(client, "user_told");
        var session = AccessTokenText.SessionId(tokens["access_token"]!);
        await EmptyAsync(tokens);
        for (var number = 0; number < 20; number++)
        {
            var answer = await (number < 12 ? flow : new OAuthFlow(replica.Http)).RefreshAsync(client, tokens["refresh_token"]!);
            Assert.Equal(HttpStatusCode.TooManyRequests, answer.Status);
        }

        await Wait.UntilAsync(() =>
        {
            Step(app);
            Step(replica);
            return Told();
        });
        var first = await app.Database.EventsAsync(AuditEvents.RefreshLimited, "session_id", session.ToString());
        var payload = Assert.Single(first).GetProperty("payload");
        Assert.Equal(("user_told", client.Id), (payload.GetProperty("clerk_user_id").GetString(), payload.GetProperty("client_id").GetString()));

        await Wait.UntilAsync(async () =>
        {
            Step(app);
            Step(replica);
            var told = await app.Database.EventsAsync(AuditEvents.RefreshLimited, "session_id", session.ToString());
            return told.Sum(entry => entry.GetProperty("payload").GetProperty("tries").GetInt64()) == 20 && told.Count == 2;
        });

        async Task<bool> Told() => await app.Database.CountOfSessionAsync(AuditEvents.RefreshLimited, session) > 0;
        static void Step(TestApp one) => one.Clock.Advance(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Refusals_are_told_when_the_process_stops()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_stop");
        await EmptyAsync(tokens);
        await using (var replica = await app.StartReplicaAsync())
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, (await new OAuthFlow(replica.Http).RefreshAsync(client, tokens["refresh_token"]!)).Status);
        }

        Assert.Equal(1, await app.Database.CountOfSessionAsync(AuditEvents.RefreshLimited, AccessTokenText.SessionId(tokens["access_token"]!)));
    }

    /// <summary>What is refused from memory is refused to whoever has the client's secret only.</summary>
    [Fact]
    public async Task Wrong_secret_is_refused_as_such_while_the_limit_holds()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_wrong");
        await EmptyAsync(tokens);
        Assert.Equal(HttpStatusCode.TooManyRequests, (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status);

        Assert.Equal("invalid_client", (await flow.RefreshAsync(client with { Secret = "wrong" }, tokens["refresh_token"]!)).Error);
    }

    /// <summary>As if the session had used up its minute a moment ago, and for some time to come.</summary>
    private async Task EmptyAsync(JsonAnswer tokens)
    {
        var until = app.Clock.GetUtcNow() + RefreshLimit.Period + TimeSpan.FromMinutes(10);
        await app.Database.ScalarAsync<int>(
            "UPDATE gpt_sessions SET refresh_tat = $1 WHERE id = $2 RETURNING 1", until, AccessTokenText.SessionId(tokens["access_token"]!));
    }
}
