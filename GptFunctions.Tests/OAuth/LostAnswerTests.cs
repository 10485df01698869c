using System.Net;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.OAuth;

/// <summary>
/// oauth.md 24 and 25: whether somebody who comes late with a superseded token never got the answer, or comes beside a thief,
/// is told by whether what came with the newest token was used.
/// </summary>
public sealed class LostAnswerTests(GatewayFixture<LostAnswerTests> fixture) : IClassFixture<GatewayFixture<LostAnswerTests>>, IDisposable
{
    private static readonly TimeSpan AfterTheGrace = TimeSpan.FromSeconds(125);
    private readonly OAuthFlow flow = new(fixture.App.Http);

    private TestApp App => fixture.App;

    public void Dispose() => App.Clock.Reset();

    /// <summary>An outage: forty clients lose their answer, and come back when it is over.</summary>
    [Fact]
    public async Task Forty_clients_whose_answer_was_lost_live_on_after_the_grace()
    {
        var client = await OAuthFlow.AddClientAsync(App);
        var lost = new List<(JsonAnswer Before, JsonAnswer Unseen)>();
        for (var number = 0; number < 40; number++)
        {
            var tokens = await flow.TokensAsync(client, $"user_outage{number}");
            lost.Add((tokens, await flow.RefreshAsync(client, tokens["refresh_token"]!)));
        }

        App.Clock.Advance(AfterTheGrace);

        foreach (var (before, unseen) in lost)
        {
            var repeated = await flow.RefreshAsync(client, before["refresh_token"]!);
            Assert.True(repeated.Status == HttpStatusCode.OK, repeated.Text);
            Assert.Equal(unseen["refresh_token"], repeated["refresh_token"]);
            Assert.Equal(1, AccessTokenText.Claims(repeated["access_token"]!).GetProperty("gen").GetInt32());
            Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(repeated["access_token"]!)).Status);
            Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, repeated["refresh_token"]!)).Status);
            var told = Assert.Single(
                await App.Database.EventsAsync(AuditEvents.TokenRepeated, "session_id", SessionOf(before).ToString())).GetProperty("payload");
            Assert.True(told.GetProperty("seconds_after_rotation").GetInt64() >= 125);
        }

        Assert.Equal(0, await App.Database.CountAsync("gpt_sessions", $"client_id = '{client.Id}' AND revoked_at IS NOT NULL"));
    }

    /// <summary>The old access token goes on being used until it expires: that says nothing about the new one.</summary>
    [Fact]
    public async Task Use_of_an_earlier_generation_changes_nothing()
    {
        var client = await OAuthFlow.AddClientAsync(App);
        var first = await flow.TokensAsync(client, "user_earlier");
        var second = await flow.RefreshAsync(client, first["refresh_token"]!);
        await UseAtGatewayAsync(App.Http, second["access_token"]!);
        await WaitForUseAsync(SessionOf(first), 1);
        await flow.RefreshAsync(client, second["refresh_token"]!); // lost
        await UseAtGatewayAsync(App.Http, second["access_token"]!);
        await UseAtGatewayAsync(App.Http, first["access_token"]!);
        App.Clock.Advance(AfterTheGrace);

        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, second["refresh_token"]!)).Status);
    }

    /// <summary>A thief rotates a stolen token and uses what came with it, at one replica; the victim comes to another, and must end the session.</summary>
    [Theory]
    [InlineData("gateway")]
    [InlineData("sessions")]
    [InlineData("access_token")]
    [InlineData("refresh_token")]
    public async Task Victim_who_returns_after_a_thief_has_worked_ends_the_session(string where)
    {
        var client = await OAuthFlow.AddClientAsync(App);
        var victims = await flow.TokensAsync(client, "user_victim_" + where);
        await using var replica = await App.StartReplicaAsync();
        var thief = new OAuthFlow(replica.Http);
        var stolen = await thief.RefreshAsync(client, victims["refresh_token"]!);
        switch (where)
        {
            case "gateway":
                await UseAtGatewayAsync(replica.Http, stolen["access_token"]!);
                break;
            case "sessions":
                Assert.Equal(HttpStatusCode.OK, (await thief.SessionsAsync(stolen["access_token"]!)).Status);
                break;
            default:
                Assert.Equal(bool.TrueString, (await thief.IntrospectAsync(client, stolen[where]!))["active"]);
                break;
        }

        await WaitForUseAsync(SessionOf(victims), 1);
        App.Clock.Advance(AfterTheGrace);

        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, victims["refresh_token"]!)).Error);
        Assert.Equal("session revoked", (await thief.SessionsAsync(stolen["access_token"]!))["error_description"]);
        Assert.Equal("invalid_grant", (await thief.RefreshAsync(client, stolen["refresh_token"]!)).Error);
        Assert.Equal(1, await App.Database.CountOfSessionAsync(AuditEvents.ReplayDetected, SessionOf(victims)));
    }

    /// <summary>Where the thief was, nothing needs to be written first: the process knows what it has seen.</summary>
    [Fact]
    public async Task Victim_who_returns_to_the_thiefs_process_ends_the_session_at_once()
    {
        var client = await OAuthFlow.AddClientAsync(App);
        var tokens = await flow.TokensAsync(client, "user_same_process");
        var stolen = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        App.Clock.Advance(AfterTheGrace);
        await UseAtGatewayAsync(App.Http, stolen["access_token"]!);

        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Error);
    }

    /// <summary>Whoever comes with an access token that has expired has had it: the answer was not lost.</summary>
    [Fact]
    public async Task Expired_access_token_that_is_seen_counts_as_used()
    {
        var client = await OAuthFlow.AddClientAsync(App);
        var tokens = await flow.TokensAsync(client, "user_expired_use");
        var second = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        App.Clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal("expired", (await flow.SessionsAsync(second["access_token"]!))["error_description"]);

        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Error);
    }

    /// <summary>"for a day".</summary>
    [Theory]
    [InlineData(23.9, null)]
    [InlineData(24.1, "invalid_grant")]
    public async Task Lost_answer_is_repeated_for_a_day(double hours, string? error)
    {
        var client = await OAuthFlow.AddClientAsync(App);
        var tokens = await flow.TokensAsync(client, "user_day");
        await flow.RefreshAsync(client, tokens["refresh_token"]!);
        App.Clock.Advance(TimeSpan.FromHours(hours));

        Assert.Equal(error, (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Error);
    }

    /// <summary>"its direct predecessor": an older one is a replay, whatever was used.</summary>
    [Fact]
    public async Task Token_before_the_predecessor_is_a_replay()
    {
        var client = await OAuthFlow.AddClientAsync(App);
        var tokens = await flow.TokensAsync(client, "user_two_back");
        var second = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        await flow.RefreshAsync(client, second["refresh_token"]!);
        App.Clock.Advance(AfterTheGrace);

        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Error);
        Assert.Equal(1, await App.Database.CountOfSessionAsync(AuditEvents.ReplayDetected, SessionOf(tokens)));
    }

    /// <summary>The mark is written beside the calls: a session that is locked keeps nobody waiting, and no other session's mark.</summary>
    [Fact]
    public async Task Use_is_written_down_beside_the_call_and_as_soon_as_it_can_be()
    {
        var client = await OAuthFlow.AddClientAsync(App);
        var (held, free) = (await RefreshedAsync("user_held"), await RefreshedAsync("user_free"));
        await using var locks = await App.Database.HoldAsync($"SELECT FROM gpt_sessions WHERE id = '{SessionOf(held)}' FOR UPDATE");

        await UseAtGatewayAsync(App.Http, held["access_token"]!);
        await UseAtGatewayAsync(App.Http, free["access_token"]!);
        await WaitForUseAsync(SessionOf(free), 1);
        Assert.Equal(0, await App.Database.ScalarAsync<int>("SELECT used_generation FROM gpt_sessions WHERE id = $1", SessionOf(held)));

        await locks.LetGoAsync();
        await WaitForUseAsync(SessionOf(held), 1);

        async Task<JsonAnswer> RefreshedAsync(string user) => await flow.RefreshAsync(client, (await flow.TokensAsync(client, user))["refresh_token"]!);
    }

    /// <summary>While a release rolls out, processes of the one before issue tokens without a generation.</summary>
    [Fact]
    public async Task Access_token_without_a_generation_counts_as_the_newest()
    {
        var client = await OAuthFlow.AddClientAsync(App);
        var tokens = await flow.TokensAsync(client, "user_no_gen");
        var second = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        var claims = AccessTokenText.Claims(second["access_token"]!);
        var without = new JwtWriter(App.Get<SigningKeys>(), "at+jwt").Write(json =>
        {
            foreach (var claim in claims.EnumerateObject().Where(claim => claim.Name != "gen"))
            {
                claim.WriteTo(json);
            }
        });
        await UseAtGatewayAsync(App.Http, without);
        await WaitForUseAsync(SessionOf(tokens), 1);
        App.Clock.Advance(AfterTheGrace);

        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Error);
    }

    private static Guid SessionOf(JsonAnswer tokens) => AccessTokenText.SessionId(tokens["access_token"]!);

    private static async Task UseAtGatewayAsync(HttpClient http, string token)
    {
        using var response = await http.CallAsync(token, "/gpt/echo");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    private Task WaitForUseAsync(Guid session, int generation) =>
        Wait.UntilAsync(async () => await App.Database.ScalarAsync<int>("SELECT used_generation FROM gpt_sessions WHERE id = $1", session) == generation);
}
