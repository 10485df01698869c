using System.Net;
using GptFunctions.Audit;
using GptFunctions.Sessions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Sessions;

public sealed class LimitOfThree : AppFixture<SessionLimitTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings => [new("GPT_MAX_SESSIONS_PER_USER", "3"), new("GPT_MAX_SESSIONS_IN_ALL", "8")];
}

/// <summary>sessions.md 2: so many live sessions per user and client, and so many per user, enforced in the exchange's transaction.</summary>
public sealed class SessionLimitTests(LimitOfThree fixture) : IClassFixture<LimitOfThree>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Exchange_beyond_the_limit_ends_the_least_recently_active_session()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var oldest = await TokensAsync(client, "user_least");
        var idle = await TokensAsync(client, "user_least");
        var third = await TokensAsync(client, "user_least");
        oldest = await flow.RefreshAsync(client, oldest["refresh_token"]!); // now the idle one was active least recently
        app.Clock.Advance(TimeSpan.FromSeconds(1));

        var fourth = await TokensAsync(client, "user_least");

        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, idle["refresh_token"]!)).Error);
        Assert.Equal(HttpStatusCode.Unauthorized, (await flow.SessionsAsync(idle["access_token"]!)).Status);
        foreach (var live in (JsonAnswer[])[oldest, third, fourth])
        {
            Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(live["access_token"]!)).Status);
        }

        var told = Assert.Single(await app.Database.EventsAsync(AuditEvents.SessionRevoked, "clerk_user_id", "user_least"));
        Assert.Equal("session_limit", told.GetProperty("payload").GetProperty("reason").GetString());
        Assert.Equal(AccessTokenText.SessionId(idle["access_token"]!), told.GetProperty("payload").GetProperty("session_id").GetGuid());
    }

    /// <summary>Many at once count each other: the limit holds, and exactly the surplus was ended and told.</summary>
    [Fact]
    public async Task Parallel_exchanges_of_one_user_never_leave_more_than_the_limit()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var codes = new List<string>();
        for (var index = 0; index < 12; index++)
        {
            codes.Add(await flow.CodeAsync(client, "user_many"));
        }

        var answers = await Task.WhenAll(codes.Select(code => flow.ExchangeAsync(client, code)));

        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.OK, answer.Status));
        Assert.Equal(3, await app.Database.CountAsync("gpt_sessions", $"client_id = '{client.Id}' AND revoked_at IS NULL"));
        Assert.Equal(9, (await app.Database.EventsAsync(AuditEvents.SessionRevoked, "clerk_user_id", "user_many")).Count);
        Assert.Equal(12, (await app.Database.EventsAsync(AuditEvents.TokenExchanged, "clerk_user_id", "user_many")).Count);
    }

    /// <summary>Another host may be connected as often as it likes, up to the limit in all.</summary>
    [Fact]
    public async Task Exchanges_of_one_client_end_no_session_of_another()
    {
        const string user = "user_two_hosts";
        var (chatGpt, cursor) = (await OAuthFlow.AddClientAsync(app), await OAuthFlow.AddClientAsync(app));
        var kept = await TokensAsync(chatGpt, user);

        for (var round = 0; round < 6; round++)
        {
            await TokensAsync(cursor, user);
        }

        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(kept["access_token"]!)).Status);
        Assert.Equal(3, await app.Database.CountAsync("gpt_sessions", $"client_id = '{cursor.Id}' AND revoked_at IS NULL"));
    }

    /// <summary>Clients of one user at the same moment: neither limit is ever passed, and nobody is ended who was not told.</summary>
    [Fact]
    public async Task Parallel_exchanges_of_many_clients_never_leave_more_than_the_limit_in_all()
    {
        const string user = "user_many_hosts";
        var codes = new List<(TestClient Client, string Code)>();
        foreach (var _ in Enumerable.Range(0, 6))
        {
            var client = await OAuthFlow.AddClientAsync(app);
            codes.AddRange([(client, await flow.CodeAsync(client, user)), (client, await flow.CodeAsync(client, user))]);
        }

        var answers = await Task.WhenAll(codes.Select(code => flow.ExchangeAsync(code.Client, code.Code)));

        var live = $"revoked_at IS NULL AND user_id = (SELECT id FROM users WHERE clerk_user_id = '{user}')";
        Assert.Equal(8, await app.Database.CountAsync("gpt_sessions", live));
        Assert.All(answers, answer => Assert.Contains(answer.Error, (string?[])[null, "invalid_grant"]));
        // What had to go was of the client that came, for nobody was told of another one.
        Assert.Equal(
            answers.Count(answer => answer.Error is null) - 8, (await app.Database.EventsAsync(AuditEvents.SessionRevoked, "clerk_user_id", user)).Count);
    }

    /// <summary>What people are told and what the exchange ends is one rule, written twice.</summary>
    [Fact]
    public async Task Exchange_ends_exactly_what_the_room_announces()
    {
        var random = new Random(14);
        TestClient[] clients = [await OAuthFlow.AddClientAsync(app), await OAuthFlow.AddClientAsync(app), await OAuthFlow.AddClientAsync(app)];
        for (var round = 0; round < 100; round++)
        {
            var (user, limits) = ($"user_room_{round}", new SessionLimits(random.Next(1, 5), random.Next(1, 9)));
            var userId = await app.Database.ScalarAsync<Guid>(
                "INSERT INTO users (id, clerk_user_id, created_at) VALUES (gen_random_uuid(), $1, now()) RETURNING id", user);
            foreach (var place in Enumerable.Range(0, random.Next(12)))
            {
                await app.Database.ScalarAsync<int>(
                    """
                    INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at)
                    VALUES (gen_random_uuid(), $1, $2, '{a}', '{a}', 'r', now(), now() - make_interval(mins => $3), now() + interval '30 days')
                    """, clients[random.Next(3)].Id, userId, random.Next(1000));
            }

            var room = await app.Get<SessionService>().ReadRoomAsync(user, clients[0].Id, limits, app.Clock.GetUtcNow());
            var announced = room.Ending.Select(session => session.Id).ToArray();
            var ended = await app.Database.ScalarAsync<Guid[]>(
                "SELECT coalesce(array_agg(ended_id), '{}') FROM gpt_make_room_within($1, $2, $3, $4, $5, now())",
                userId, clients[0].Id, announced, limits.InOneClient, limits.InAll);

            Assert.Equal(announced.Order(), ended!.Order());
            Assert.True(room.IsEnough(announced));
        }
    }

    [Fact]
    public async Task Revoked_and_expired_sessions_and_those_of_others_do_not_count()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var kept = new List<JsonAnswer> { await TokensAsync(client, "user_count"), await TokensAsync(client, "user_count") };
        await flow.RevokeAsync(client, (await TokensAsync(client, "user_count"))["refresh_token"]!);
        await TokensAsync(client, "user_count_other");

        kept.Add(await TokensAsync(client, "user_count"));

        foreach (var tokens in kept)
        {
            Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(tokens["access_token"]!)).Status);
        }
    }

    /// <summary>
    /// Signs in and lets a second pass, so that the order of activity is certain. At the limit the consent page is shown again; the walk approves it.
    /// </summary>
    private async Task<JsonAnswer> TokensAsync(TestClient client, string user)
    {
        var tokens = await flow.TokensAsync(client, user);
        app.Clock.Advance(TimeSpan.FromSeconds(1));
        return tokens;
    }
}
