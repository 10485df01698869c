using System.Net;
using GptFunctions.Purge;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Purge;

/// <summary>purge.md 2: what a purge must not take away from the authorization server.</summary>
public sealed class PurgeReplayTests(AppFixture<PurgeReplayTests> fixture) : IClassFixture<AppFixture<PurgeReplayTests>>, IDisposable
{
    private TestApp App => fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    public void Dispose() => App.Clock.Reset();

    [Fact]
    public async Task Replay_of_a_rotated_token_that_has_not_expired_is_noticed_after_a_purge()
    {
        var client = await OAuthFlow.AddClientAsync(App);
        var first = (await flow.TokensAsync(client, "user_replay"))["refresh_token"]!;
        var second = (await flow.RefreshAsync(client, first))["refresh_token"]!;
        App.Clock.Advance(TimeSpan.FromDays(29));
        await PurgeAsync();
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, first)).Error);
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, second)).Error);
        Assert.Equal(
            1,
            await App.Database.CountAsync(
                "gpt_sessions JOIN users ON users.id = user_id", "clerk_user_id = 'user_replay' AND revoke_reason = 'refresh_token_replay'"));
    }

    /// <summary>oauth.md 24: an answer that was lost is given again for a day.</summary>
    [Fact]
    public async Task Token_whose_answer_was_lost_is_answered_after_a_purge()
    {
        var client = await OAuthFlow.AddClientAsync(App);
        var first = (await flow.TokensAsync(client, "user_lost"))["refresh_token"]!;
        var lost = (await flow.RefreshAsync(client, first))["refresh_token"]!;
        App.Clock.Advance(TimeSpan.FromHours(23));
        Assert.Equal("completed", (await App.Get<PurgeService>().RunAsync(TimeSpan.Zero, null, CancellationToken.None))!.Outcome);
        Assert.Equal(lost, (await flow.RefreshAsync(client, first))["refresh_token"]);
    }

    [Fact]
    public async Task Session_in_use_for_months_keeps_its_live_token_and_loses_its_old_ones()
    {
        var client = await OAuthFlow.AddClientAsync(App);
        var token = (await flow.TokensAsync(client, "user_busy"))["refresh_token"]!;
        for (var day = 0; day < 133; day += 19)
        {
            token = (await flow.RefreshAsync(client, token))["refresh_token"]!;
            App.Clock.Advance(TimeSpan.FromDays(19));
        }

        await PurgeAsync();
        // Day 133: those of the days 76, 95 and 114 are live, or expired less than 30 days ago.
        Assert.Equal(
            3,
            await App.Database.CountAsync(
                "gpt_refresh_tokens JOIN gpt_sessions session ON session.id = session_id JOIN users ON users.id = user_id",
                "clerk_user_id = 'user_busy'"));
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, token)).Status);
    }

    [Fact]
    public async Task Session_that_nobody_used_goes_thirty_days_after_its_token_expired()
    {
        var client = await OAuthFlow.AddClientAsync(App);
        var token = (await flow.TokensAsync(client, "user_gone"))["refresh_token"]!;
        const string sessions = "gpt_sessions JOIN users ON users.id = user_id";
        App.Clock.Advance(TimeSpan.FromDays(59));
        await PurgeAsync();
        Assert.Equal(1, await App.Database.CountAsync(sessions, "clerk_user_id = 'user_gone'"));
        App.Clock.Advance(TimeSpan.FromDays(2));
        await PurgeAsync();
        Assert.Equal(0, await App.Database.CountAsync(sessions, "clerk_user_id = 'user_gone'"));
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, token)).Error);
    }

    private async Task PurgeAsync() => Assert.Equal("completed", (await App.Get<PurgeService>().RunAsync(null, null, CancellationToken.None))!.Outcome);
}
