using System.Net;
using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Sessions;

/// <summary>Somebody left, a token was stolen, a database was restored: sessions are ended by command, with their events.</summary>
public sealed class SessionCommandsTests(AppFixture<SessionCommandsTests> fixture) : IClassFixture<AppFixture<SessionCommandsTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Revoke_of_a_user_ends_all_and_tells_who_did_it_and_why()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var (one, two, other) = (
            await flow.TokensAsync(client, "user_left"), await flow.TokensAsync(await OAuthFlow.AddClientAsync(app), "user_left"),
            await flow.TokensAsync(client, "user_stays"));

        Assert.Equal((0, "sessions ended: 2\n", ""), await RunAsync("--user", "user_left", "--reason", "left the company", "--by", "ann"));

        foreach (var tokens in (JsonAnswer[])[one, two])
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await flow.SessionsAsync(tokens["access_token"]!)).Status);
        }

        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, one["refresh_token"]!)).Error);
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, other["refresh_token"]!)).Status);
        var told = Assert.Single(await app.Database.EventsAsync(AuditEvents.AllSessionsRevoked, "clerk_user_id", "user_left")).GetProperty("payload");
        Assert.Equal(
            ("operator: left the company", "command", 2),
            (told.GetProperty("reason").GetString(), told.GetProperty("ip_address").GetString(), told.GetProperty("sessions").GetInt32()));
        var act = Assert.Single(await app.Database.EventsAsync(AuditEvents.UserSessionsEnded, "clerk_user_id", "user_left"));
        Assert.Equal(
            ("command:ann", "left the company", 2),
            (Text(act, "operator"), Text(act, "reason"), act.GetProperty("payload").GetProperty("sessions").GetInt32()));
        Assert.Equal((0, "sessions ended: 0\n", ""), await RunAsync("--user", "user_left"));
    }

    [Fact]
    public async Task Revoke_of_a_session_ends_it_once()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var (stolen, kept) = (await flow.TokensAsync(client, "user_stolen"), await flow.TokensAsync(client, "user_stolen"));
        var session = AccessTokenText.SessionId(stolen["access_token"]!).ToString();

        Assert.Equal((0, "sessions ended: 1\n", ""), await RunAsync("--session", session));

        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, stolen["refresh_token"]!)).Error);
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, kept["refresh_token"]!)).Status);
        Assert.Equal(
            "operator",
            Assert.Single(await app.Database.EventsAsync(AuditEvents.SessionRevoked, "session_id", session)).GetProperty("payload").GetProperty("reason")
                .GetString());
        var act = Assert.Single(await app.Database.EventsAsync(AuditEvents.SessionEnded, "session_id", session));
        Assert.Equal(
            ("command:" + Environment.UserName, null, "user_stolen", client.Id),
            (Text(act, "operator"), Text(act, "reason"), Text(act, "clerk_user_id"), Text(act, "client_id")));
        Assert.Equal((1, "", $"There is no live session {session}: it was never there, or has been ended before.\n"), await RunAsync("--session", session));
    }

    [Fact]
    public async Task Revoke_of_all_ends_every_session_with_an_event_each()
    {
        await using var alone = await TestApp.StartAsync(nameof(SessionCommandsTests) + "_all");
        var users = new GatewayUsers(alone);
        for (var number = 0; number < 7; number++)
        {
            await users.AddAsync();
        }

        Assert.Equal((0, "sessions ended: 7\n", ""), await RunAsync(alone, "--all"));

        Assert.Equal(0, await alone.Database.CountAsync("gpt_sessions", "revoked_at IS NULL"));
        Assert.Equal(7, (await alone.Database.EventsAsync(AuditEvents.SessionRevoked, "reason", "operator")).Count);
        Assert.Equal(
            7, Assert.Single(await alone.Database.EventsAsync(AuditEvents.SessionsEnded, "operator", "command:" + Environment.UserName))
                .GetProperty("payload").GetProperty("sessions").GetInt32());
    }

    [Theory]
    [InlineData("Give one of --user, --session and --all.")]
    [InlineData("Give one of --user, --session and --all.", "--all", "--user", "user_a")]
    [InlineData("There is no user user_nobody.", "--user", "user_nobody")]
    [InlineData("--reason must be one line of at most 200 characters.", "--all", "--reason", "two\nlines")]
    [InlineData("--reason must be one line of at most 200 characters.", "--all", "--reason", "turned \u202E round")]
    [InlineData("--by must not be empty.", "--all", "--by", " ")]
    public async Task Revoke_of_nobody_in_particular_is_refused(string sentence, params string[] arguments)
    {
        var (code, _, error) = await RunAsync(arguments);

        Assert.Equal(1, code);
        Assert.StartsWith(sentence, error, StringComparison.Ordinal);
    }

    private static string? Text(JsonElement told, string member) => told.GetProperty("payload").GetProperty(member).GetString();

    private Task<(int Code, string Output, string Error)> RunAsync(params string[] arguments) => RunAsync(app, arguments);

    private static async Task<(int Code, string Output, string Error)> RunAsync(TestApp app, params string[] arguments) =>
        await AppProcess.RunAsync(app.Settings, ["sessions", "revoke", .. arguments]);
}
