using System.Net;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Sessions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Sessions;

/// <summary>oauth.md 20: when Clerk deletes or bans a user, everything of the user ends. The webhook calls <see cref="SessionService.EndAllAsync"/>.</summary>
public sealed class UserEndTests(AppFixture<UserEndTests> fixture) : IClassFixture<AppFixture<UserEndTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task EndAll_ends_sessions_tokens_codes_consents_and_signins_in_progress_of_this_user_only()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = new[] { await flow.TokensAsync(client, "user_gone"), await flow.TokensAsync(await OAuthFlow.AddClientAsync(app), "user_gone") };
        var code = await flow.CodeAsync(client, "user_gone");
        var browser = new TestBrowser(app.Http);
        using var consentPage = await browser.SignInAsync("user_gone", OAuthFlow.Parameters(await OAuthFlow.AddClientAsync(app)));
        var bystander = await flow.TokensAsync(client, "user_stays");
        var bystandersCode = await flow.CodeAsync(client, "user_stays");

        var ended = await app.Get<SessionService>().EndAllAsync(
            "user_gone", "user_deleted", new Occasion(TimeProvider.System.GetUtcNow(), "correlation-1", "192.0.2.1"));

        Assert.Equal(2, ended);
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, tokens[0]["refresh_token"]!)).Error);
        foreach (var answer in tokens)
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await flow.SessionsAsync(answer["access_token"]!)).Status);
        }

        Assert.Equal("invalid_grant", (await flow.ExchangeAsync(client, code)).Error);
        using var refused = await browser.SubmitAsync(consentPage, ("decision", "approve"));
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        Assert.Equal(
            0, await app.Database.CountAsync("gpt_consents", "revoked_at IS NULL AND user_id = (SELECT id FROM users WHERE clerk_user_id = 'user_gone')"));
        Assert.Equal(
            0,
            await app.Database.CountAsync(
                "gpt_refresh_tokens",
                "rotated_at IS NULL AND revoked_at IS NULL AND session_id IN (SELECT id FROM gpt_sessions WHERE user_id = (SELECT id FROM users WHERE "
                    + "clerk_user_id = 'user_gone'))"));
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, bystander["refresh_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.ExchangeAsync(client, bystandersCode)).Status);
    }

    [Fact]
    public async Task EndAll_tells_one_event_with_reason_count_and_origin()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await flow.TokensAsync(client, "user_event");
        await flow.TokensAsync(client, "user_event");

        await app.Get<SessionService>().EndAllAsync("user_event", "user_banned", new Occasion(TimeProvider.System.GetUtcNow(), "correlation-2", "192.0.2.2"));

        var told = Assert.Single(await app.Database.EventsAsync(AuditEvents.AllSessionsRevoked, "clerk_user_id", "user_event"));
        Assert.Equal("correlation-2", told.GetProperty("correlation_id").GetString());
        var payload = told.GetProperty("payload");
        Assert.Equal(
            ("user_banned", 2, "192.0.2.2"),
            (payload.GetProperty("reason").GetString(), payload.GetProperty("sessions").GetInt32(), payload.GetProperty("ip_address").GetString()));
        Assert.Empty(await app.Database.EventsAsync(AuditEvents.SessionRevoked, "clerk_user_id", "user_event"));
    }

    [Fact]
    public async Task EndAll_of_an_unknown_user_does_nothing() =>
        Assert.Equal(
            0,
            await app.Get<SessionService>().EndAllAsync(
                "user_never_seen", "user_deleted", new Occasion(TimeProvider.System.GetUtcNow(), "correlation-3", "192.0.2.3")));

    /// <summary>The tombstone: a deleted user neither finishes a sign-in nor starts one.</summary>
    [Fact]
    public async Task Deleted_user_cannot_sign_in_again()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await flow.TokensAsync(client, "user_tombstone");
        await app.Database.ExecuteAsync("UPDATE users SET deleted_at = now() WHERE clerk_user_id = 'user_tombstone'");

        using var refused = await new TestBrowser(app.Http).SignInAsync("user_tombstone", OAuthFlow.Parameters(client));

        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
    }
}
