using System.Net;
using System.Text;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Sessions;

/// <summary>
/// sessions.md 5: whom a token lets reach which sessions. An app reaches its own with its access token; the person, with a Clerk session JWT, all of theirs.
/// </summary>
public sealed class SessionsOfPersonTests(FakeProviderFixture<SessionsOfPersonTests> fixture) : IClassFixture<FakeProviderFixture<SessionsOfPersonTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task List_shows_an_app_its_own_sessions_and_the_person_all()
    {
        var (mine, other) = (await OAuthFlow.AddClientAsync(app), await OAuthFlow.AddClientAsync(app));
        var own = await TokensAsync(mine, "user_listed");
        var others = await TokensAsync(other, "user_listed");

        var byApp = await flow.SessionsAsync(own["access_token"]!);
        var byPerson = await flow.SessionsAsync(Session("user_listed"));

        Assert.Equal([Id(own)], Ids(byApp));
        Assert.Equal([Id(others), Id(own)], Ids(byPerson));
    }

    [Fact]
    public async Task Delete_of_another_apps_session_is_404_for_an_app_and_done_for_the_person()
    {
        var (mine, other) = (await OAuthFlow.AddClientAsync(app), await OAuthFlow.AddClientAsync(app));
        var own = await TokensAsync(mine, "user_one");
        var others = await TokensAsync(other, "user_one");

        var byApp = await DeleteAsync($"/oauth/sessions/{Id(others)}", own["access_token"]!);
        var alive = await flow.RefreshAsync(other, others["refresh_token"]!);
        var byPerson = await DeleteAsync($"/oauth/sessions/{Id(others)}", Session("user_one"));

        Assert.Equal((HttpStatusCode.NotFound, "not_found"), (byApp.Status, byApp.Error));
        Assert.Equal(HttpStatusCode.OK, alive.Status);
        Assert.Equal(HttpStatusCode.NoContent, byPerson.Status);
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(other, alive["refresh_token"]!)).Error);
    }

    /// <summary>Consents and unused codes go with the sessions, and only those of the app that asked.</summary>
    [Fact]
    public async Task Delete_of_all_ends_those_of_the_app_or_those_of_the_person()
    {
        const string user = "user_all_of_them";
        var (mine, other) = (await OAuthFlow.AddClientAsync(app), await OAuthFlow.AddClientAsync(app));
        var own = new[] { await TokensAsync(mine, user), await TokensAsync(mine, user) };
        var others = await TokensAsync(other, user);
        var (ownCode, othersCode) = (await CodeAsync(mine, user), await CodeAsync(other, user));

        var byApp = await DeleteAsync("/oauth/sessions", own[0]["access_token"]!);
        var alive = await flow.RefreshAsync(other, others["refresh_token"]!);
        var exchanged = await flow.ExchangeAsync(other, othersCode);
        var consents = await app.Database.ScalarAsync<string>(
            "SELECT string_agg(client_id, ' ') FROM gpt_consents WHERE revoked_at IS NULL AND user_id = (SELECT id FROM users WHERE clerk_user_id = "
                + $"'{user}')");
        var byPerson = await DeleteAsync("/oauth/sessions", Session(user));

        Assert.Equal((HttpStatusCode.OK, """{"data":{"revoked":2}}"""), (byApp.Status, byApp.Text));
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(mine, own[1]["refresh_token"]!)).Error);
        Assert.Equal("invalid_grant", (await flow.ExchangeAsync(mine, ownCode)).Error);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (alive.Status, exchanged.Status));
        Assert.Equal(other.Id, consents);
        Assert.Equal((HttpStatusCode.OK, """{"data":{"revoked":2}}"""), (byPerson.Status, byPerson.Text));
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(other, alive["refresh_token"]!)).Error);
        var told = (await app.Database.EventsAsync(AuditEvents.AllSessionsRevoked, "clerk_user_id", user)).Select(told => told.GetProperty("payload"))
            .ToList();
        Assert.Equal([mine.Id, null], told.Select(payload => payload.GetProperty("client_id").GetString()));
    }

    private static Guid Id(JsonAnswer tokens) => AccessTokenText.SessionId(tokens["access_token"]!);

    private static IEnumerable<Guid> Ids(JsonAnswer page) =>
        page.Json.GetProperty("data").EnumerateArray().Select(session => session.GetProperty("id").GetGuid());

    private string Session(string user) => fixture.Provider.Sign(fixture.Provider.SessionClaims(user, app.Clock.GetUtcNow()));

    private Task<JsonAnswer> DeleteAsync(string path, string token) =>
        flow.SendAsync(new HttpRequestMessage(HttpMethod.Delete, path) { Headers = { Authorization = new("Bearer", token) } });

    private async Task<JsonAnswer> TokensAsync(TestClient client, string user)
    {
        var tokens = await flow.ExchangeAsync(client, await CodeAsync(client, user));
        Assert.True(tokens.Status == HttpStatusCode.OK, tokens.Text);
        return tokens;
    }

    private async Task<string> CodeAsync(TestClient client, string user)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/oauth/consent") { Headers = { Authorization = new("Bearer", Session(user)) } };
        request.Content = new StringContent(OAuthFlow.Query(OAuthFlow.Parameters(client)).TrimStart('?'), Encoding.ASCII, "application/x-www-form-urlencoded");
        var approved = await flow.SendAsync(request);
        return OAuthFlow.Parameter(new Uri(approved.Json.GetProperty("data").GetProperty("redirect_to").GetString()!), "code")!;
    }
}
