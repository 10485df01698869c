using System.Net;
using GptFunctions.Hosting;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 55: refreshes at the same time share a statement, and each of them stands or falls by itself.</summary>
public sealed class SharedRefreshTests(AppFixture<SharedRefreshTests> fixture) : IClassFixture<AppFixture<SharedRefreshTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Refreshes_at_the_same_time_share_a_statement()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await SessionsAsync(client, 32);
        await using var plug = await PlugAsync(client);

        var refreshing = tokens.Select(token => app.Get<RefreshStore>().RotateAsync(RotationOf(client, token))).ToList();
        await plug.PullAsync();

        Assert.All(await Task.WhenAll(refreshing), Assert.NotNull);
        Assert.Equal(1, await app.Database.ScalarAsync<long>(
            $"SELECT count(DISTINCT xmin::text) FROM gpt_refresh_tokens WHERE generation = 1 AND session_id IN ({SessionIds(tokens)})"));
    }

    /// <summary>A statement of 32 in which one session was revoked, one token expired, one client is disabled; and what else there is.</summary>
    [Fact]
    public async Task Good_and_bad_refreshes_in_one_statement_are_told_apart()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var disabled = await OAuthFlow.AddClientAsync(app);
        var publicClient = await OAuthFlow.AddClientAsync(app, isPublic: true);
        var good = await SessionsAsync(client, 24);
        var (revoked, expired, blocked, narrowed, wide) =
            (await SessionAsync(client), await SessionAsync(client), await SessionAsync(client), await SessionAsync(client), await SessionAsync(client));
        var (ofDisabled, ofPublic, ofOther) = (
            await SessionAsync(disabled), await SessionAsync(publicClient), await SessionAsync(client));
        await app.Database.ExecuteAsync($"UPDATE gpt_clients SET disabled_at = now() WHERE client_id = '{disabled.Id}'");
        await app.Database.ExecuteAsync($"UPDATE gpt_sessions SET revoked_at = now(), revoke_reason = 'user' WHERE id = '{SessionOf(revoked)}'");
        await app.Database.ExecuteAsync(
            "UPDATE gpt_refresh_tokens SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day' WHERE session_id = "
                + $"'{SessionOf(expired)}'");
        await app.Database.ExecuteAsync(
            $"UPDATE users SET blocked_at = now(), banned = true WHERE id = (SELECT user_id FROM gpt_sessions WHERE id = '{SessionOf(blocked)}')");
        await using var plug = await PlugAsync(client);

        var all = good.Select(token => flow.RefreshAsync(client, token["refresh_token"]!)).ToList();
        var bad = (Task<JsonAnswer>[])
        [
            flow.RefreshAsync(client, revoked["refresh_token"]!), flow.RefreshAsync(client, expired["refresh_token"]!),
            flow.RefreshAsync(client, blocked["refresh_token"]!), flow.RefreshAsync(client, wide["refresh_token"]!, ("scope", "unheard:of")),
            flow.RefreshAsync(disabled, ofDisabled["refresh_token"]!), flow.RefreshAsync(client with { Secret = "wrong" }, ofOther["refresh_token"]!),
            flow.RefreshAsync(client, "gpt_rt_unknown"), flow.RefreshAsync(publicClient, good[0]["refresh_token"]!),
        ];
        var narrow = flow.RefreshAsync(client, narrowed["refresh_token"]!, ("scope", "jobs:read"));
        var byPublic = flow.RefreshAsync(publicClient, ofPublic["refresh_token"]!);
        await plug.PullAsync();

        Assert.All(await Task.WhenAll(all), answer => Assert.Equal(HttpStatusCode.OK, answer.Status));
        Assert.Equal(
            [
                "invalid_grant", "invalid_grant", "invalid_grant", "invalid_scope", "invalid_client", "invalid_client", "invalid_grant",
                "invalid_grant",
            ],
            (await Task.WhenAll(bad)).Select(answer => answer.Error));
        Assert.Equal((HttpStatusCode.OK, "jobs:read"), ((await narrow).Status, (await narrow)["scope"]));
        Assert.Equal(HttpStatusCode.OK, (await byPublic).Status);
        Assert.Equal(24, (await Task.WhenAll(all)).Select(answer => answer["refresh_token"]).Distinct(StringComparer.Ordinal).Count());
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, wide["refresh_token"]!)).Status); // what was refused cost it nothing
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, ofOther["refresh_token"]!)).Status);
    }

    /// <summary>A row in the way of one successor makes the statement of all fail: only that one's refresh fails in the end.</summary>
    [Fact]
    public async Task Refresh_that_makes_a_statement_fail_is_alone_in_failing()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await SessionsAsync(client, 12);
        var successor = app.Get<RefreshTokens>().Successor(tokens[5]["refresh_token"]!);
        await app.Database.ExecuteAsync(
            $"""
            INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at)
            VALUES ('\x{Convert.ToHexString(successor.Hash)}', '{SessionOf(await SessionAsync(client))}', 77, now(), now() + interval '1 day')
            """);
        await using var plug = await PlugAsync(client);

        var refreshing = tokens.Select(token => flow.RefreshAsync(client, token["refresh_token"]!)).ToList();
        await plug.PullAsync();

        var answers = await Task.WhenAll(refreshing);
        Assert.Equal(11, answers.Count(answer => answer.Status == HttpStatusCode.OK));
        Assert.NotEqual(HttpStatusCode.OK, answers[5].Status);
        Assert.Equal(11, await app.Database.CountAsync("gpt_refresh_tokens", $"generation = 1 AND session_id IN ({SessionIds(tokens)})"));
    }

    /// <summary>Somebody's session is locked for long: only its own refresh waits for it.</summary>
    [Fact]
    public async Task Refresh_of_a_locked_session_waits_by_itself()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var (locked, others) = (await SessionsAsync(client, 4), await SessionsAsync(client, 8));
        await using var held = await app.Database.HoldAsync($"SELECT FROM gpt_sessions WHERE id IN ({SessionIds(locked)}) FOR UPDATE");

        var waiting = locked.Select(token => flow.RefreshAsync(client, token["refresh_token"]!)).ToList();
        await app.Database.WaitForBlockedAsync(4);
        Assert.All(
            await Task.WhenAll(others.Select(token => flow.RefreshAsync(client, token["refresh_token"]!))),
            answer => Assert.Equal(HttpStatusCode.OK, answer.Status));

        Assert.DoesNotContain(waiting, task => task.IsCompleted);
        await held.LetGoAsync();
        Assert.All(await Task.WhenAll(waiting), answer => Assert.Equal(HttpStatusCode.OK, answer.Status));
    }

    /// <summary>Two processes refresh the same sessions in opposite orders, while others end them: no statement waits in a circle.</summary>
    [Fact]
    public async Task Statements_of_two_processes_and_those_that_end_sessions_never_wait_in_a_circle()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await using var replica = await app.StartReplicaAsync();
        var other = new OAuthFlow(replica.Http);
        var before = await app.Database.ScalarAsync<long>("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");
        for (var round = 0; round < 5; round++)
        {
            var tokens = await SessionsAsync(client, 16);
            var backwards = tokens.Reverse().ToList();

            var here = tokens.Select(token => flow.RefreshAsync(client, token["refresh_token"]!));
            var there = backwards.Select(token => other.RefreshAsync(client, token["refresh_token"]!));
            var ending = backwards.Where((_, number) => number % 4 == 0).Select(token => flow.RevokeAsync(client, token["refresh_token"]!));
            var answers = await Task.WhenAll([.. here, .. there, .. ending]);

            Assert.DoesNotContain(answers, answer => (int)answer.Status >= 500);
            foreach (var pair in answers.Take(32).Where(answer => answer.Status == HttpStatusCode.OK)
                .GroupBy(answer => AccessTokenText.SessionId(answer["access_token"]!)))
            {
                Assert.Single(pair.Select(answer => answer["refresh_token"]).Distinct(StringComparer.Ordinal));
            }
        }

        Assert.Equal(before, await app.Database.ScalarAsync<long>("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"));
    }

    /// <summary>A caller that hangs up while others wait with it takes nobody along.</summary>
    [Fact]
    public async Task Caller_that_hangs_up_in_a_shared_statement_changes_nothing_for_the_others()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await SessionsAsync(client, 8);
        await using var plug = await PlugAsync(client);
        using var gone = new CancellationTokenSource();

        var hangsUp = PostAsync(gone.Token);
        var refreshing = tokens.Skip(1).Select(token => flow.RefreshAsync(client, token["refresh_token"]!)).ToList();
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hangsUp);
        await plug.PullAsync();

        Assert.All(await Task.WhenAll(refreshing), answer => Assert.Equal(HttpStatusCode.OK, answer.Status));
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, tokens[0]["refresh_token"]!)).Status); // rotated or not: the token is good

        async Task PostAsync(CancellationToken cancellationToken)
        {
            using var content = new FormUrlEncodedContent([
                new("grant_type", "refresh_token"), new("refresh_token", tokens[0]["refresh_token"]), new("client_id", client.Id),
                new("client_secret", client.Secret)]);
            using var answer = await app.Http.PostAsync(new Uri("/oauth/token", UriKind.Relative), content, cancellationToken);
        }
    }

    private static Guid SessionOf(JsonAnswer tokens) => AccessTokenText.SessionId(tokens["access_token"]!);

    private static string SessionIds(IEnumerable<JsonAnswer> tokens) => string.Join(", ", tokens.Select(token => $"'{SessionOf(token)}'"));

    private Task<JsonAnswer> SessionAsync(TestClient client) => flow.TokensAsync(client, $"user_{Guid.NewGuid():N}");

    private Task<JsonAnswer[]> SessionsAsync(TestClient client, int count) =>
        Task.WhenAll(Enumerable.Range(0, count).Select(_ => SessionAsync(client)));

    private Rotation RotationOf(TestClient client, JsonAnswer tokens)
    {
        var presented = tokens["refresh_token"]!;
        return new Rotation(
            new ClientCredentials(client.Id, "client_secret_post", Sha256.Of(client.Secret!)), RefreshTokens.FromValue(presented),
            app.Get<RefreshTokens>().Successor(presented))
        {
            Occasion = Occasion.OfCommand(app.Clock.GetUtcNow(), "test"),
        };
    }

    /// <summary>Two refreshes whose statements cannot go on, so that whoever comes now waits for the next one.</summary>
    private async Task<Plug> PlugAsync(TestClient client)
    {
        var tokens = await SessionsAsync(client, 2);
        var locks = await app.Database.HoldAsync("LOCK TABLE gpt_refresh_tokens IN EXCLUSIVE MODE");
        var plug = new Plug(locks, []);
        try
        {
            foreach (var token in tokens)
            {
                plug.Waiting.Add(flow.RefreshAsync(client, token["refresh_token"]!)); // one after the other, or they may share a statement
                await app.Database.WaitForBlockedAsync(plug.Waiting.Count);
            }

            return plug;
        }
        catch
        {
            await plug.DisposeAsync();
            throw;
        }
    }

    private sealed class Plug(HeldLocks locks, List<Task<JsonAnswer>> waiting) : IAsyncDisposable
    {
        public List<Task<JsonAnswer>> Waiting => waiting;

        public async Task PullAsync()
        {
            await locks.LetGoAsync();
            Assert.All(await Task.WhenAll(waiting), answer => Assert.Equal(HttpStatusCode.OK, answer.Status));
        }

        public ValueTask DisposeAsync() => locks.DisposeAsync();
    }
}
