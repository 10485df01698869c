using GptFunctions.Hosting;
using GptFunctions.Sessions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>hosting.md 21: to a client every refused refresh is invalid_grant; the log says which kind, of which client and session.</summary>
public sealed class RefreshRefusalTests(RefreshRefusalFixture fixture) : IClassFixture<RefreshRefusalFixture>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    public static TheoryData<string> Kinds => [.. Ways.Keys];

    /// <summary>Each ends with a token that is refused, and says by which client it is to be presented.</summary>
    private static Dictionary<string, Func<RefreshRefusalTests, TestClient, string, Task<(TestClient Client, string Token)>>> Ways { get; } =
        new(StringComparer.Ordinal)
        {
            ["refresh_malformed"] = (_, client, _) => Task.FromResult((client, "no-refresh-token-at-all")),
            ["refresh_unknown"] = (_, client, _) => Task.FromResult((client, "gpt_rt_" + new string('A', 42) + "E")),
            ["client_mismatch"] = async (tests, client, token) => (await OAuthFlow.AddClientAsync(tests.app), token),
            ["refresh_expired"] = async (tests, client, token) =>
            {
                await tests.app.Database.ExecuteAsync("UPDATE gpt_refresh_tokens SET expires_at = created_at + interval '1 ms' WHERE rotated_at IS NULL");
                return (client, token);
            },
            ["session_expired"] = async (tests, client, token) =>
            {
                await tests.app.Database.ExecuteAsync("UPDATE gpt_sessions SET expires_at = created_at + interval '1 ms'");
                return (client, token);
            },
            ["refresh_replayed"] = async (tests, client, token) =>
            {
                await tests.SupersedeAsync(client, token);
                return (client, token);
            },
            ["session_replayed"] = async (tests, client, token) =>
            {
                await tests.SupersedeAsync(client, token);
                await tests.flow.RefreshAsync(client, token);
                return (client, token);
            },
            ["session_revoked"] = async (tests, client, token) =>
            {
                await tests.flow.RevokeAsync(client, token);
                return (client, token);
            },
            ["session_replaced"] = async (tests, client, token) =>
            {
                await tests.flow.TokensAsync(client, "user_session_replaced"); // one session for each user
                return (client, token);
            },
            ["account_closed"] = async (tests, client, token) =>
            {
                await tests.app.Database.ExecuteAsync("UPDATE users SET blocked_at = now(), banned = true WHERE clerk_user_id = 'user_account_closed'");
                return (client, token);
            },
        };

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Refused_refresh_leaves_one_line_and_one_count_that_say_why(string reason)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_" + reason);
        var session = Guid.Parse(AccessTokenText.Claims(tokens["access_token"]!).GetProperty("sid").GetString()!);
        var (presenter, token) = await Ways[reason](this, client, tokens["refresh_token"]!);
        using var counted = new MeterReading(app.Get<RequestLog>().Meter);

        var answer = await flow.RefreshAsync(presenter, token);

        Assert.Equal("invalid_grant", answer.Error);
        var id = Assert.Single(answer.Headers.GetValues("x-correlation-id"));
        var line = await Wait.ForAsync(() => app.Log.Lines.SingleOrDefault(line => line.Contains(id, StringComparison.Ordinal)));
        Assert.StartsWith("Information 1051 POST /oauth/token", line, StringComparison.Ordinal);
        Assert.Contains($"refused with 400", line, StringComparison.Ordinal);
        var known = reason is "refresh_malformed" or "refresh_unknown" ? "" : session.ToString();
        Assert.Contains($": {reason} (client {presenter.Id}, session {known}, ", line, StringComparison.Ordinal);
        Assert.DoesNotContain(token, line, StringComparison.Ordinal);
        Assert.Equal(1, counted.Series[$"gpt.oauth.refusals{{reason={reason},route=/oauth/token}}"]);
        Assert.Equal(1, counted.Total);
    }

    /// <summary>Long ago, and the answer with its successor was not lost: that one was used.</summary>
    private async Task SupersedeAsync(TestClient client, string token)
    {
        var second = await flow.RefreshAsync(client, token);
        await flow.RefreshAsync(client, second["refresh_token"]!);
        await app.Database.ExecuteAsync("UPDATE gpt_refresh_tokens SET rotated_at = rotated_at - interval '1 hour' WHERE rotated_at IS NOT NULL");
    }
}

public sealed class RefreshRefusalFixture : AppFixture<RefreshRefusalTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings => [new("GPT_MAX_SESSIONS_PER_USER", "1")];
}
