using System.Net;
using GptFunctions.Audit;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.OAuth;

/// <summary>
/// oauth.md 11, 21 to 23, 25 and 27, on one replica; <see cref="RefreshReplicaTests"/> has restarts, replicas and keys, <see cref="LostAnswerTests"/> 24.
/// </summary>
public sealed class RefreshTests(AppFixture<RefreshTests> fixture) : IClassFixture<AppFixture<RefreshTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    /// <summary>oauth.md 22: one transaction inserts the successor, marks the token rotated, bumps last_active and appends the event.</summary>
    [Fact]
    public async Task Refresh_of_a_live_token_rotates_it()
    {
        var (client, tokens, session) = await SignInAsync("user_rotate");
        var before = await app.Database.ScalarAsync<DateTime>("SELECT last_active FROM gpt_sessions WHERE id = $1", session);
        app.Clock.Advance(TimeSpan.FromSeconds(10));

        var refreshed = await flow.RefreshAsync(client, tokens["refresh_token"]!);

        Assert.Equal(HttpStatusCode.OK, refreshed.Status);
        Assert.NotEqual(tokens["refresh_token"], refreshed["refresh_token"]);
        Assert.NotEqual(tokens["access_token"], refreshed["access_token"]);
        Assert.Equal(session, AccessTokenText.SessionId(refreshed["access_token"]!));
        Assert.Equal(2, await CountTokensAsync(session));
        Assert.Equal(1, await app.Database.ScalarAsync<long>(
            "SELECT count(*) FROM gpt_refresh_tokens old JOIN gpt_refresh_tokens new ON new.token_hash = old.rotated_to AND "
                + "new.generation = old.generation + 1 WHERE old.session_id = $1", session));
        Assert.True(
            await app.Database.ScalarAsync<DateTime>("SELECT last_active FROM gpt_sessions WHERE id = $1", session) - before >= TimeSpan.FromSeconds(9));
        Assert.Equal(1, await app.Database.CountOfSessionAsync(AuditEvents.TokenRefreshed, session));
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(refreshed["access_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(tokens["access_token"]!)).Status); // rotation does not end access tokens
    }

    /// <summary>oauth.md 11.</summary>
    [Fact]
    public async Task Refresh_50_times_in_parallel_gives_fifty_200s_and_one_successor()
    {
        var (client, tokens, session) = await SignInAsync("user_parallel");

        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => flow.RefreshAsync(client, tokens["refresh_token"]!)));

        Assert.All(answers, answer => Assert.True(answer.Status == HttpStatusCode.OK, answer.Text));
        Assert.Single(answers.Select(answer => answer["refresh_token"]).Distinct());
        Assert.Equal(50, answers.Select(answer => answer["access_token"]).Distinct().Count());
        Assert.Equal(2, await CountTokensAsync(session));
        Assert.Equal(1, await app.Database.CountOfSessionAsync(AuditEvents.TokenRefreshed, session));
    }

    /// <summary>oauth.md 21: unknown, another client's, and the wrong secret; no effect on the token.</summary>
    [Fact]
    public async Task Refresh_by_somebody_else_is_refused_and_changes_nothing()
    {
        var (client, tokens, session) = await SignInAsync("user_else");
        var stranger = await OAuthFlow.AddClientAsync(app);

        AssertInvalidGrant(await flow.RefreshAsync(client, "gpt_rt_unknown"));
        AssertInvalidGrant(await flow.RefreshAsync(stranger, tokens["refresh_token"]!));
        Assert.Equal("invalid_client", (await flow.RefreshAsync(client with { Secret = "wrong" }, tokens["refresh_token"]!)).Error);
        AssertInvalidGrant(await flow.RefreshAsync(client, tokens["access_token"]!));

        Assert.Equal(1, await CountTokensAsync(session));
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status);
    }

    /// <summary>oauth.md 21: another client that replays a superseded token after the grace ends nothing.</summary>
    [Fact]
    public async Task Replay_by_another_client_ends_nothing()
    {
        var (client, tokens, _) = await SignInAsync("user_else_replay");
        var second = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        app.Clock.Advance(TimeSpan.FromSeconds(121));

        AssertInvalidGrant(await flow.RefreshAsync(await OAuthFlow.AddClientAsync(app), tokens["refresh_token"]!));

        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, second["refresh_token"]!)).Status);
    }

    /// <summary>oauth.md 23: a walk over several generations ends at the newest, with a fresh access token and no new row.</summary>
    [Fact]
    public async Task Refresh_within_the_grace_answers_with_the_newest_descendant()
    {
        var (client, tokens, session) = await SignInAsync("user_grace");
        var generations = new List<string> { tokens["refresh_token"]! };
        for (var generation = 1; generation <= 4; generation++)
        {
            app.Clock.Advance(TimeSpan.FromSeconds(20));
            generations.Add((await flow.RefreshAsync(client, generations[^1]))["refresh_token"]!);
        }

        foreach (var earlier in generations.SkipLast(1))
        {
            var repeated = await flow.RefreshAsync(client, earlier);
            Assert.Equal(generations[^1], repeated["refresh_token"]);
            Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(repeated["access_token"]!)).Status);
        }

        Assert.Equal(5, await CountTokensAsync(session));
        Assert.Equal(4, await app.Database.CountOfSessionAsync(AuditEvents.TokenRefreshed, session));
    }

    /// <summary>oauth.md 23: the grace runs from the first rotation; being asked again does not extend it.</summary>
    [Fact]
    public async Task Grace_is_measured_from_the_first_rotation_and_never_extended()
    {
        var (client, tokens, session) = await SignInAsync("user_no_extension");
        await flow.RefreshAsync(client, tokens["refresh_token"]!);
        for (var seconds = 40; seconds <= 80; seconds += 40)
        {
            app.Clock.Advance(TimeSpan.FromSeconds(40));
            var repeated = await flow.RefreshAsync(client, tokens["refresh_token"]!);
            Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(repeated["access_token"]!)).Status);
        }

        app.Clock.Advance(TimeSpan.FromSeconds(41));

        AssertInvalidGrant(await flow.RefreshAsync(client, tokens["refresh_token"]!));
        Assert.Equal(1, await app.Database.CountOfSessionAsync(AuditEvents.ReplayDetected, session));
    }

    /// <summary>oauth.md 23: each generation has a grace of its own.</summary>
    [Fact]
    public async Task Grace_of_a_later_generation_runs_from_its_own_rotation()
    {
        var (client, tokens, _) = await SignInAsync("user_own_grace");
        var second = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        app.Clock.Advance(TimeSpan.FromSeconds(100));
        var third = await flow.RefreshAsync(client, second["refresh_token"]!);
        app.Clock.Advance(TimeSpan.FromSeconds(100));

        Assert.Equal(third["refresh_token"], (await flow.RefreshAsync(client, second["refresh_token"]!))["refresh_token"]);
    }

    /// <summary>oauth.md 25, and other sessions live on.</summary>
    [Fact]
    public async Task Replay_after_the_grace_revokes_this_session_only()
    {
        var (client, tokens, session) = await SignInAsync("user_replay");
        var other = await flow.TokensAsync(client, "user_replay");
        var second = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(second["access_token"]!)).Status);
        app.Clock.Advance(TimeSpan.FromSeconds(121));

        AssertInvalidGrant(await flow.RefreshAsync(client, tokens["refresh_token"]!));

        var told = Assert.Single(await app.Database.EventsAsync(AuditEvents.ReplayDetected, "session_id", session.ToString()));
        Assert.Equal("user_replay", told.GetProperty("payload").GetProperty("clerk_user_id").GetString());
        AssertInvalidGrant(await flow.RefreshAsync(client, second["refresh_token"]!));
        Assert.Equal("session revoked", (await flow.SessionsAsync(second["access_token"]!))["error_description"]);
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, other["refresh_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(other["access_token"]!)).Status);
    }

    /// <summary>"A user-revoked or expired token is never a replay."</summary>
    [Fact]
    public async Task Revoked_token_is_refused_and_is_no_replay()
    {
        var (client, tokens, session) = await SignInAsync("user_revoked");
        var second = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        await flow.RevokeAsync(client, second["refresh_token"]!);

        AssertInvalidGrant(await flow.RefreshAsync(client, second["refresh_token"]!));
        app.Clock.Advance(TimeSpan.FromSeconds(121));
        AssertInvalidGrant(await flow.RefreshAsync(client, tokens["refresh_token"]!));

        Assert.Equal(0, await app.Database.CountOfSessionAsync(AuditEvents.ReplayDetected, session));
    }

    /// <summary>The other half: an old token that has expired says nothing about a theft.</summary>
    [Fact]
    public async Task Expired_superseded_token_is_refused_and_is_no_replay()
    {
        var (client, tokens, session) = await SignInAsync("user_expired_replay");
        app.Clock.Advance(TimeSpan.FromDays(29));
        var second = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        app.Clock.Advance(TimeSpan.FromDays(2));

        AssertInvalidGrant(await flow.RefreshAsync(client, tokens["refresh_token"]!));

        Assert.Equal(0, await app.Database.CountOfSessionAsync(AuditEvents.ReplayDetected, session));
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, second["refresh_token"]!)).Status);
    }

    /// <summary>GPT_REFRESH_TOKEN_EXPIRY counts from the last refresh.</summary>
    [Fact]
    public async Task Token_unused_for_30_days_is_refused()
    {
        var (client, tokens, _) = await SignInAsync("user_idle");
        app.Clock.Advance(TimeSpan.FromDays(29));
        var second = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        Assert.Equal(HttpStatusCode.OK, second.Status);
        app.Clock.Advance(TimeSpan.FromDays(29));
        var third = await flow.RefreshAsync(client, second["refresh_token"]!);
        Assert.Equal(HttpStatusCode.OK, third.Status);
        app.Clock.Advance(TimeSpan.FromDays(30));

        AssertInvalidGrant(await flow.RefreshAsync(client, third["refresh_token"]!));
    }

    /// <summary>oauth.md 21: however diligently it is refreshed, a session ends after 180 days.</summary>
    [Fact]
    public async Task Session_ends_after_180_days_however_often_it_is_refreshed()
    {
        var (client, tokens, session) = await SignInAsync("user_absolute");
        var token = tokens["refresh_token"]!;
        for (var day = 20; day < 180; day += 20)
        {
            app.Clock.Advance(TimeSpan.FromDays(20));
            token = (await flow.RefreshAsync(client, token))["refresh_token"]!;
        }

        app.Clock.Advance(TimeSpan.FromDays(19));
        var last = await flow.RefreshAsync(client, token);
        Assert.Equal(HttpStatusCode.OK, last.Status);
        Assert.True(
            await app.Database.ScalarAsync<bool>(
                "SELECT bool_and(token.expires_at <= session.expires_at) FROM gpt_refresh_tokens token JOIN gpt_sessions session ON session.id = session_id "
                    + "WHERE session_id = $1",
                session));
        app.Clock.Advance(TimeSpan.FromDays(1));

        AssertInvalidGrant(await flow.RefreshAsync(client, last["refresh_token"]!));
    }

    /// <summary>"Scope omitted = granted scope; narrower allowed; wider invalid_scope." Narrowing is for one access token, not for the session.</summary>
    [Theory]
    [InlineData(null, "jobs:read applications:read", null)]
    [InlineData("", "jobs:read applications:read", null)]
    [InlineData(" ", "jobs:read applications:read", null)]
    [InlineData("jobs:read", "jobs:read", null)]
    [InlineData("applications:read jobs:read", "applications:read jobs:read", null)]
    [InlineData("jobs:read resume:read", null, "invalid_scope")]
    [InlineData("unheard:of", null, "invalid_scope")]
    public async Task Refresh_scope_may_narrow_but_not_widen(string? asked, string? expected, string? error)
    {
        var (client, tokens, _) = await SignInAsync("user_scope", ("scope", "jobs:read applications:read"));

        var answer = await flow.RefreshAsync(client, tokens["refresh_token"]!, ("scope", asked));

        Assert.Equal(error, answer.Error);
        Assert.Equal(expected, answer["scope"]);
        if (error is null)
        {
            Assert.Equal(expected, AccessTokenText.Claims(answer["access_token"]!).GetProperty("scope").GetString());
        }

        var next = await flow.RefreshAsync(client, answer["refresh_token"] ?? tokens["refresh_token"]!);
        Assert.Equal("jobs:read applications:read", next["scope"]);
    }

    /// <summary>What an operator takes from a client is gone with the next refresh, a repeated one included; what is given back comes back.</summary>
    [Fact]
    public async Task Refresh_grants_no_scope_that_was_withdrawn_from_the_client()
    {
        var (client, tokens, _) = await SignInAsync("user_withdrawn", ("scope", "jobs:read applications:read"));
        await AllowAsync("jobs:read");

        var narrowed = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        var repeated = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        var introspected = await flow.IntrospectAsync(client, narrowed["refresh_token"]!);
        var named = await flow.RefreshAsync(client, narrowed["refresh_token"]!, ("scope", "applications:read"));
        await AllowAsync("resume:read");
        var nothingLeft = await flow.RefreshAsync(client, narrowed["refresh_token"]!);
        var nothingLeftRepeated = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        await AllowAsync("jobs:read", "applications:read");
        var again = await flow.RefreshAsync(client, narrowed["refresh_token"]!);

        Assert.Equal(("jobs:read", "jobs:read", "jobs:read"), (narrowed["scope"], repeated["scope"], introspected["scope"]));
        Assert.Equal("jobs:read", AccessTokenText.Claims(narrowed["access_token"]!).GetProperty("scope").GetString());
        Assert.Equal("invalid_scope", named.Error);
        Assert.Equal(("invalid_grant", "invalid_grant"), (nothingLeft.Error, nothingLeftRepeated.Error));
        Assert.Contains("withdrawn", nothingLeft["error_description"], StringComparison.Ordinal);
        Assert.Equal("jobs:read applications:read", again["scope"]);

        async Task AllowAsync(params string[] scopes) => Assert.Null(await app.Get<ClientService>().UpdateAsync(client.Id, new ClientChange(Scopes: scopes)));
    }

    /// <summary>A repeat within the grace is held to the same rules as the first call.</summary>
    [Fact]
    public async Task Refresh_within_the_grace_checks_scope_and_resource()
    {
        var (client, tokens, _) = await SignInAsync("user_grace_scope", ("scope", "jobs:read applications:read"));
        await flow.RefreshAsync(client, tokens["refresh_token"]!);

        Assert.Equal("invalid_scope", (await flow.RefreshAsync(client, tokens["refresh_token"]!, ("scope", "resume:read"))).Error);
        Assert.Equal("invalid_target", (await flow.RefreshAsync(client, tokens["refresh_token"]!, ("resource", "https://elsewhere.example"))).Error);
        Assert.Equal("jobs:read", (await flow.RefreshAsync(client, tokens["refresh_token"]!, ("scope", "jobs:read")))["scope"]);
    }

    /// <summary>oauth.md 18.</summary>
    [Fact]
    public async Task Refresh_for_another_resource_is_invalid_target_and_rotates_nothing()
    {
        var (client, tokens, session) = await SignInAsync("user_resource");

        Assert.Equal("invalid_target", (await flow.RefreshAsync(client, tokens["refresh_token"]!, ("resource", "https://elsewhere.example"))).Error);

        Assert.Equal(1, await CountTokensAsync(session));
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, tokens["refresh_token"]!, ("resource", app.BaseUrl + "/gpt"))).Status);
    }

    private static void AssertInvalidGrant(JsonAnswer answer) =>
        Assert.True((answer.Status, answer.Error) == (HttpStatusCode.BadRequest, "invalid_grant"), answer.Text);

    private async Task<(TestClient Client, JsonAnswer Tokens, Guid Session)> SignInAsync(string user, params (string Name, string? Value)[] parameters)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, user, parameters);
        return (client, tokens, AccessTokenText.SessionId(tokens["access_token"]!));
    }

    private Task<long> CountTokensAsync(Guid session) => app.Database.CountAsync("gpt_refresh_tokens", $"session_id = '{session}'");
}
