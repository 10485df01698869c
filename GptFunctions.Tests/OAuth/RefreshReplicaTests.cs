using System.Net;
using System.Security.Cryptography;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>
/// oauth.md 11: everything about a refresh token stands in the database, so rules 23 to 25 hold after a restart, on another replica, and while keys change.
/// </summary>
public sealed class RefreshReplicaTests(AppFixture<RefreshReplicaTests> fixture) : IClassFixture<AppFixture<RefreshReplicaTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    /// <summary>oauth.md 23.</summary>
    [Fact]
    public async Task Refresh_within_the_grace_on_another_replica_gives_the_same_successor()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_replica");
        var second = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        await using var replica = await app.StartReplicaAsync();

        Assert.Equal(second["refresh_token"], (await new OAuthFlow(replica.Http).RefreshAsync(client, tokens["refresh_token"]!))["refresh_token"]);
    }

    /// <summary>oauth.md 25. The new app is both: a process that was started later, and another replica.</summary>
    [Fact]
    public async Task Replay_after_the_grace_is_detected_after_a_restart_and_on_another_replica()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_restart");
        var second = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        await flow.SessionsAsync(second["access_token"]!);
        await Wait.UntilAsync(async () =>
            await app.Database.CountAsync("gpt_sessions", $"id = '{AccessTokenText.SessionId(tokens["access_token"]!)}' AND used_generation = 1") == 1);
        await using var replica = await app.StartReplicaAsync();
        replica.Clock.Advance(TimeSpan.FromSeconds(121));

        Assert.Equal("invalid_grant", (await new OAuthFlow(replica.Http).RefreshAsync(client, tokens["refresh_token"]!)).Error);

        Assert.Equal(1, await app.Database.CountOfSessionAsync(AuditEvents.ReplayDetected, AccessTokenText.SessionId(tokens["access_token"]!)));
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, second["refresh_token"]!)).Error);
        Assert.Equal("session revoked", (await flow.SessionsAsync(second["access_token"]!))["error_description"]);
    }

    /// <summary>GPT_REFRESH_KEY with two keys: the first makes successors, each recognises its own.</summary>
    [Fact]
    public async Task Lineage_goes_on_across_a_change_of_the_refresh_key()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_keys");
        var second = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        await using var rotated = await app.StartReplicaAsync(("GPT_REFRESH_KEY", $"{NewKey()} {app.Settings["GPT_REFRESH_KEY"]}"));
        var rotatedFlow = new OAuthFlow(rotated.Http);

        var third = await rotatedFlow.RefreshAsync(client, second["refresh_token"]!);

        Assert.Equal(HttpStatusCode.OK, third.Status);
        Assert.Equal(third["refresh_token"], (await rotatedFlow.RefreshAsync(client, tokens["refresh_token"]!))["refresh_token"]); // one step by each key
        Assert.Equal(third["refresh_token"], (await rotatedFlow.RefreshAsync(client, second["refresh_token"]!))["refresh_token"]);
        Assert.Equal(HttpStatusCode.OK, (await rotatedFlow.RefreshAsync(client, third["refresh_token"]!)).Status);
    }

    /// <summary>
    /// While a new key rolls out, a replica may not know it yet. That is no fault of the client, so it must not lose its token over it;
    /// nor is the newest token, which needs no key to be recognised.
    /// </summary>
    [Fact]
    public async Task Repeat_on_a_replica_that_lacks_the_key_is_503_and_the_newest_token_works()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_missing_key");
        var second = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        await using var other = await app.StartReplicaAsync(("GPT_REFRESH_KEY", NewKey()));
        var otherFlow = new OAuthFlow(other.Http);

        var refused = await otherFlow.RefreshAsync(client, tokens["refresh_token"]!);

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "temporarily_unavailable"), (refused.Status, refused.Error));
        Assert.Equal(HttpStatusCode.OK, (await otherFlow.RefreshAsync(client, second["refresh_token"]!)).Status);
    }

    private static string NewKey() => Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));
}
