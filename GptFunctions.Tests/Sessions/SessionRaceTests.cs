using System.Net;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Sessions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Sessions;

/// <summary>
/// What ends sessions, and what opens or continues one at that very moment, take turns. Each test holds a row itself, so that both
/// statements queue up in a known order, and then lets go.
/// </summary>
public sealed class SessionRaceTests(AppFixture<SessionRaceTests> fixture) : IClassFixture<AppFixture<SessionRaceTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    /// <summary>In the wrong lock order PostgreSQL would have to kill one of the two (deadlock), and its caller would see a 503.</summary>
    [Fact]
    public async Task Revoke_then_refresh_at_the_same_moment_revokes_and_refuses()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_revoke_refresh");
        var session = AccessTokenText.SessionId(tokens["access_token"]!);

        var answers = await InTurnAsync(
            $"SELECT FROM gpt_sessions WHERE id = '{session}' FOR UPDATE",
            () => flow.RevokeAsync(client, tokens["refresh_token"]!),
            () => flow.RefreshAsync(client, tokens["refresh_token"]!));

        Assert.Equal(HttpStatusCode.OK, answers.First.Status);
        Assert.Equal("invalid_grant", answers.Second.Error);
    }

    [Fact]
    public async Task Refresh_then_revoke_at_the_same_moment_kills_the_new_tokens_too()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_refresh_revoke");
        var session = AccessTokenText.SessionId(tokens["access_token"]!);

        var answers = await InTurnAsync(
            $"SELECT FROM gpt_sessions WHERE id = '{session}' FOR UPDATE",
            () => flow.RefreshAsync(client, tokens["refresh_token"]!),
            () => flow.RevokeAsync(client, tokens["refresh_token"]!));

        Assert.Equal(HttpStatusCode.OK, answers.First.Status);
        Assert.Equal(HttpStatusCode.OK, answers.Second.Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await flow.SessionsAsync(answers.First["access_token"]!)).Status);
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, answers.First["refresh_token"]!)).Error);
    }

    /// <summary>oauth.md 11, at its sharpest: the second refresh saw a live token when it began.</summary>
    [Fact]
    public async Task Refresh_twice_at_the_same_moment_rotates_once()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_refresh_refresh");
        var session = AccessTokenText.SessionId(tokens["access_token"]!);

        var answers = await InTurnAsync(
            $"SELECT FROM gpt_sessions WHERE id = '{session}' FOR UPDATE",
            () => flow.RefreshAsync(client, tokens["refresh_token"]!),
            () => flow.RefreshAsync(client, tokens["refresh_token"]!));

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (answers.First.Status, answers.Second.Status));
        Assert.Equal(answers.First["refresh_token"], answers.Second["refresh_token"]);
        Assert.Equal(1, await app.Database.CountOfSessionAsync(AuditEvents.TokenRefreshed, session));
    }

    /// <summary>oauth.md 7, at its sharpest.</summary>
    [Fact]
    public async Task Exchange_twice_at_the_same_moment_uses_the_code_once()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_exchange_exchange");

        var answers = await InTurnAsync(
            "SELECT FROM users WHERE clerk_user_id = 'user_exchange_exchange' FOR UPDATE",
            () => flow.ExchangeAsync(client, code),
            () => flow.ExchangeAsync(client, code));

        Assert.Equal((HttpStatusCode.OK, "invalid_grant"), (answers.First.Status, answers.Second.Error));
        Assert.Equal(1, await app.Database.CountAsync("gpt_sessions", $"client_id = '{client.Id}'"));
    }

    /// <summary>oauth.md 20: a session must not slip through because its code was being exchanged just then.</summary>
    [Fact]
    public async Task Exchange_then_end_of_all_sessions_at_the_same_moment_ends_the_new_session()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_exchange_end");

        var answers = await InTurnAsync(
            "SELECT FROM users WHERE clerk_user_id = 'user_exchange_end' FOR UPDATE",
            () => flow.ExchangeAsync(client, code),
            () => EndAllAsync("user_exchange_end"));

        Assert.Equal(HttpStatusCode.OK, answers.First.Status);
        Assert.Equal(1, answers.Second);
        Assert.Equal(HttpStatusCode.Unauthorized, (await flow.SessionsAsync(answers.First["access_token"]!)).Status);
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, answers.First["refresh_token"]!)).Error);
    }

    [Fact]
    public async Task End_of_all_sessions_then_exchange_at_the_same_moment_refuses_the_code()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_end_exchange");

        var answers = await InTurnAsync(
            "SELECT FROM users WHERE clerk_user_id = 'user_end_exchange' FOR UPDATE",
            () => EndAllAsync("user_end_exchange"),
            () => flow.ExchangeAsync(client, code));

        Assert.Equal("invalid_grant", answers.Second.Error);
        Assert.Equal(0, await app.Database.CountAsync("gpt_sessions", $"client_id = '{client.Id}'"));
    }

    /// <summary>The same for the code itself: an approval and the end of all sessions.</summary>
    [Fact]
    public async Task End_of_all_sessions_then_approval_at_the_same_moment_leaves_no_code()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync("user_end_approve", OAuthFlow.Parameters(client));

        var answers = await InTurnAsync(
            "SELECT FROM users WHERE clerk_user_id = 'user_end_approve' FOR UPDATE",
            () => EndAllAsync("user_end_approve"),
            () => browser.SubmitAsync(page, ("decision", "approve")));

        Assert.Equal(HttpStatusCode.Forbidden, answers.Second.StatusCode);
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_codes", $"client_id = '{client.Id}'"));
        Assert.Equal(0, await app.Database.CountAsync("gpt_consents", $"client_id = '{client.Id}' AND revoked_at IS NULL"));
    }

    private Task<int> EndAllAsync(string user) =>
        app.Get<SessionService>().EndAllAsync(user, "test", new Occasion(TimeProvider.System.GetUtcNow(), "race", "127.0.0.1"));

    /// <summary>
    /// Holds what <paramref name="hold"/> locks, starts both actions one after the other until each waits, lets go, and returns their results.
    /// </summary>
    private async Task<(TFirst First, TSecond Second)> InTurnAsync<TFirst, TSecond>(string hold, Func<Task<TFirst>> first, Func<Task<TSecond>> second)
    {
        await using var held = await app.Database.HoldAsync(hold);
        var one = first();
        await app.Database.WaitForBlockedAsync(1);
        var two = second();
        await app.Database.WaitForBlockedAsync(2);
        await held.LetGoAsync();
        return (await one, await two);
    }
}
