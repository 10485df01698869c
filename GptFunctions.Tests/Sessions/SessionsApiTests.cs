using System.Net;
using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Sessions;

/// <summary>
/// sessions.md 5: connected apps as JSON, here for the holder of an access token, who reaches those of its own client. <see cref="SessionsOfPersonTests"/> has
/// the person.
/// </summary>
public sealed class SessionsApiTests(AppFixture<SessionsApiTests> fixture) : IClassFixture<AppFixture<SessionsApiTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task List_names_each_live_session_of_the_user_newest_first()
    {
        var first = await OAuthFlow.AddClientAsync(app, name: "First app");
        var one = await flow.TokensAsync(first, "user_list", ("scope", "jobs:read"));
        var two = await flow.TokensAsync(first, "user_list");
        await flow.RevokeAsync(first, (await flow.TokensAsync(first, "user_list"))["refresh_token"]!);
        await flow.TokensAsync(await OAuthFlow.AddClientAsync(app), "user_list");
        await flow.TokensAsync(first, "user_list_other");

        var answer = await flow.SessionsAsync(one["access_token"]!);

        var sessions = answer.Json.GetProperty("data").EnumerateArray().ToList();
        Assert.Equal(
            [AccessTokenText.SessionId(two["access_token"]!), AccessTokenText.SessionId(one["access_token"]!)],
            sessions.Select(session => session.GetProperty("id").GetGuid()));
        Assert.Equal(
            ["client_id", "client_name", "created_at", "expires_at", "id", "last_active", "scopes"],
            sessions[1].EnumerateObject().Select(member => member.Name).Order(StringComparer.Ordinal));
        Assert.Equal(("First app", first.Id), (sessions[1].GetProperty("client_name").GetString(), sessions[1].GetProperty("client_id").GetString()));
        Assert.Equal("jobs:read", Assert.Single(sessions[1].GetProperty("scopes").EnumerateArray()).GetString());
        Assert.Equal(JsonValueKind.Null, answer.Json.GetProperty("next").ValueKind);
    }

    [Fact]
    public async Task Access_token_of_a_client_that_was_disabled_is_refused_at_once()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_disabled_client");
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(tokens["access_token"]!)).Status);
        Assert.Null(await app.Get<ClientService>().UpdateAsync(client.Id, new ClientChange(IsDisabled: true)));

        var answer = await flow.SessionsAsync(tokens["access_token"]!);

        Assert.Equal((HttpStatusCode.Unauthorized, "invalid_token"), (answer.Status, answer.Error));
    }

    [Fact]
    public async Task List_is_paged()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = new List<JsonAnswer>();
        for (var index = 0; index < 5; index++)
        {
            tokens.Add(await flow.TokensAsync(client, "user_pages"));
        }

        var seen = new List<Guid>();
        var sizes = new List<int>();
        for (var after = ""; after is not null;)
        {
            var page = await SendAsync(HttpMethod.Get, $"/oauth/sessions?limit=2{after}", tokens[0]["access_token"]!);
            sizes.Add(page.Json.GetProperty("data").GetArrayLength());
            seen.AddRange(page.Json.GetProperty("data").EnumerateArray().Select(session => session.GetProperty("id").GetGuid()));
            after = page.Json.GetProperty("next").GetString() is { } next ? "&after=" + next : null;
        }

        Assert.Equal([2, 2, 1], sizes);
        Assert.Equal(tokens.Select(answer => AccessTokenText.SessionId(answer["access_token"]!)).Reverse(), seen);
    }

    [Theory]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=101", "limit")]
    [InlineData("limit=-1", "limit")]
    [InlineData("limit=x", "limit")]
    [InlineData("after=x", "after")]
    public async Task List_with_a_bad_parameter_is_invalid_request_that_names_it(string query, string name)
    {
        var tokens = await flow.TokensAsync(await OAuthFlow.AddClientAsync(app), "user_bad_page");

        var answer = await SendAsync(HttpMethod.Get, "/oauth/sessions?" + query, tokens["access_token"]!);

        Assert.Equal((HttpStatusCode.BadRequest, "invalid_request"), (answer.Status, answer.Error));
        Assert.StartsWith(name, answer["error_description"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Delete_of_one_session_ends_it_once()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var kept = await flow.TokensAsync(client, "user_delete");
        var ended = await flow.TokensAsync(client, "user_delete");
        var session = AccessTokenText.SessionId(ended["access_token"]!);

        var deleted = await SendAsync(HttpMethod.Delete, $"/oauth/sessions/{session}", kept["access_token"]!);
        var again = await SendAsync(HttpMethod.Delete, $"/oauth/sessions/{session}", kept["access_token"]!);

        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.NotFound), (deleted.Status, again.Status));
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, ended["refresh_token"]!)).Error);
        Assert.Equal(HttpStatusCode.Unauthorized, (await flow.SessionsAsync(ended["access_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(kept["access_token"]!)).Status);
        var told = Assert.Single(await app.Database.EventsAsync(AuditEvents.SessionRevoked, "session_id", session.ToString()));
        Assert.Equal("user", told.GetProperty("payload").GetProperty("reason").GetString());
    }

    [Fact]
    public async Task Delete_of_somebody_elses_or_no_session_is_404()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var mine = await flow.TokensAsync(client, "user_mine");
        var theirs = await flow.TokensAsync(client, "user_theirs");

        foreach (var id in (string[])[AccessTokenText.SessionId(theirs["access_token"]!).ToString(), Guid.Empty.ToString(), "not-a-guid"])
        {
            var answer = await SendAsync(HttpMethod.Delete, "/oauth/sessions/" + id, mine["access_token"]!);
            Assert.Equal((HttpStatusCode.NotFound, "not_found"), (answer.Status, answer.Error));
        }

        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, theirs["refresh_token"]!)).Status);
    }

    [Fact]
    public async Task Delete_of_all_sessions_ends_the_users_own_and_says_how_many()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var mine = new[] { await flow.TokensAsync(client, "user_all"), await flow.TokensAsync(client, "user_all") };
        var theirs = await flow.TokensAsync(client, "user_all_theirs");

        var answer = await SendAsync(HttpMethod.Delete, "/oauth/sessions", mine[0]["access_token"]!);

        Assert.Equal((HttpStatusCode.OK, """{"data":{"revoked":2}}"""), (answer.Status, answer.Text));
        foreach (var tokens in mine)
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await flow.SessionsAsync(tokens["access_token"]!)).Status);
            Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Error);
        }

        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, theirs["refresh_token"]!)).Status);
    }

    /// <summary>Disconnecting the last session of an app takes the consent back: the next connection asks again.</summary>
    [Fact]
    public async Task Delete_of_the_last_session_of_an_app_takes_the_consent_back()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_consent");
        using (var remembered = await new TestBrowser(app.Http).SignInAsync("user_consent", OAuthFlow.Parameters(client)))
        {
            Assert.NotNull(remembered.Headers.Location);
        }

        await SendAsync(HttpMethod.Delete, $"/oauth/sessions/{AccessTokenText.SessionId(tokens["access_token"]!)}", tokens["access_token"]!);

        using var asked = await new TestBrowser(app.Http).SignInAsync("user_consent", OAuthFlow.Parameters(client));
        Assert.Equal(HttpStatusCode.OK, asked.StatusCode); // the consent page
    }

    private Task<JsonAnswer> SendAsync(HttpMethod method, string path, string token) =>
        flow.SendAsync(new HttpRequestMessage(method, path) { Headers = { Authorization = new("Bearer", token) } });
}
