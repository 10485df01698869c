using System.Net;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Sessions;

public sealed class LimitOfThree : AppFixture<SessionLimitTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings => [new("GPT_MAX_SESSIONS_PER_USER", "3")];
}

/// <summary>sessions.md 2: at most GPT_MAX_SESSIONS_PER_USER live sessions per user, enforced in the exchange's transaction.</summary>
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
