using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>
/// oauth.md 36: the company's own web app asks for consent with the person's Clerk session JWT. <see cref="Identity.ClerkSessionTests"/> has the tokens that
/// are refused.
/// </summary>
public sealed class HeadlessConsentTests(FakeProviderFixture<HeadlessConsentTests> fixture) : IClassFixture<FakeProviderFixture<HeadlessConsentTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;
    private readonly FakeProvider provider = fixture.Provider;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Post_approves_and_tells_where_the_browser_goes(bool isJson)
    {
        var client = await OAuthFlow.AddClientAsync(app, isPublic: true);
        (string, string?)[] parameters = OAuthFlow.Parameters(
            client, ("scope", "jobs:read"), ("state", "ž+% \"x\""), ("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256"));

        var answer = await PostAsync("user_headless", isJson ? Json(parameters) : Form(parameters));

        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.True(answer.Headers.CacheControl?.NoStore);
        var redirect = new Uri(answer.Json.GetProperty("data").GetProperty("redirect_to").GetString()!);
        Assert.StartsWith(client.RedirectUri + "?", redirect.OriginalString, StringComparison.Ordinal);
        Assert.Equal("code state iss", OAuthFlow.ParameterNames(redirect));
        Assert.Equal("ž+% \"x\"", OAuthFlow.Parameter(redirect, "state"));
        Assert.Equal(app.BaseUrl, OAuthFlow.Parameter(redirect, "iss"));
        var tokens = await flow.ExchangeAsync(client, OAuthFlow.Parameter(redirect, "code")!, ("code_verifier", OAuthFlow.Verifier));
        Assert.Equal(HttpStatusCode.OK, tokens.Status);
        Assert.Equal("jobs:read", tokens["scope"]);
        Assert.Equal("user_headless", AccessTokenText.Claims(tokens["access_token"]!).GetProperty("sub").GetString());
    }

    [Fact]
    public async Task Get_tells_what_was_granted_and_what_is_new()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        const string user = "user_reads_consent";

        var before = await GetAsync(user, client.Id, "jobs:read resume:read");
        var approved = await PostAsync(user, Form(OAuthFlow.Parameters(client, ("scope", "jobs:read"))));
        var redirect = new Uri(approved.Json.GetProperty("data").GetProperty("redirect_to").GetString()!);
        await flow.ExchangeAsync(client, OAuthFlow.Parameter(redirect, "code")!);
        var same = await GetAsync(user, client.Id, "jobs:read");
        var wider = await GetAsync(user, client.Id, "jobs:read resume:read");

        Assert.Equal(
            """{"data":{"has_consent":false,"session_count":0,"existing_scopes":[],"new_scopes":["jobs:read","resume:read"],"ends":[]}}""", before.Text);
        Assert.Equal("""{"data":{"has_consent":true,"session_count":1,"existing_scopes":["jobs:read"],"new_scopes":[],"ends":[]}}""", same.Text);
        Assert.Equal(
            """{"data":{"has_consent":false,"session_count":1,"existing_scopes":["jobs:read"],"new_scopes":["resume:read"],"ends":[]}}""",
            wider.Text);
        Assert.True(wider.Headers.CacheControl?.NoStore);
    }

    [Fact]
    public async Task Get_without_scope_asks_about_those_of_the_client()
    {
        var client = await OAuthFlow.AddClientAsync(app, scopes: ["resume:read"]);

        var answer = await GetAsync("user_default_scope", client.Id, null);

        Assert.Equal(["resume:read"], answer.Json.GetProperty("data").GetProperty("new_scopes").EnumerateArray().Select(scope => scope.GetString()!));
    }

    [Theory]
    [InlineData("nobody", null, "invalid_request")]
    [InlineData(null, null, "invalid_request")]
    [InlineData("first", "unknown:scope", "invalid_scope")]
    public async Task Get_with_bad_parameters_is_400(string? clientId, string? scope, string error)
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var answer = await GetAsync("user_get_errors", clientId == "first" ? client.Id : clientId, scope);

        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.Equal(error, answer.Error);
    }

    /// <summary>The rules of /oauth/authorize hold; the web app is told instead of redirected.</summary>
    [Theory]
    [InlineData("client_id", "nobody", "invalid_request")]
    [InlineData("redirect_uri", "https://client.example/callback/", "invalid_request")]
    [InlineData("response_type", "token", "unsupported_response_type")]
    [InlineData("scope", "unknown", "invalid_scope")]
    [InlineData("resource", "https://elsewhere.example", "invalid_target")]
    [InlineData("code_challenge_method", "plain", "invalid_request")]
    public async Task Post_with_a_bad_parameter_is_400_and_grants_nothing(string name, string value, string error)
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var answer = await PostAsync("user_post_errors", Json(OAuthFlow.Parameters(client, (name, value))));

        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.Equal(error, answer.Error);
        Assert.Null(answer.Headers.Location);
        Assert.Equal(0, await app.Database.CountAsync("gpt_consents", $"client_id = '{client.Id}'"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("\"text\"")]
    [InlineData("{\"state\":1}")]
    [InlineData("{\"state\":{\"nested\":\"x\"}}")]
    [InlineData("{\"state\":[\"x\"]}")]
    [InlineData("{\"state\":\"\\u0000\"}")]
    [InlineData("{\"state\":\"\\ud800\"}")]
    [InlineData("{\"state\":\"x\"} trailing")]
    [InlineData("{\"state\":\"x\"}{}")]
    [InlineData("{\"state\":\"x\",\"state\":\"x\"}")]
    [InlineData("{'state':'x'}")]
    public async Task Post_with_malformed_json_is_400(string body)
    {
        var answer = await PostAsync("user_malformed", new StringContent(body, Encoding.UTF8, "application/json"));

        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.Equal("invalid_request", answer.Error);
    }

    [Fact]
    public async Task Post_with_null_members_or_in_chunks_is_read_like_any_other()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var body = new JsonObject
        {
            ["response_type"] = "code",
            ["client_id"] = client.Id,
            ["redirect_uri"] = client.RedirectUri,
            ["state"] = null,
            ["scope"] = null,
        }.ToJsonString();
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(body));
        using var content = new StreamContent(stream) { Headers = { ContentType = MediaTypeHeaderValue.Parse("application/json; charset=utf-8") } };

        var answer = await PostAsync("user_chunks", content, isChunked: true);

        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.DoesNotContain("state=", answer.Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("application/json", false)]
    [InlineData("application/json", true)]
    [InlineData("application/x-www-form-urlencoded", false)]
    [InlineData("application/x-www-form-urlencoded", true)]
    public async Task Post_with_a_large_body_is_413(string type, bool isChunked)
    {
        var answer = await PostAsync("user_large", new StringContent("{\"state\":\"" + new string('x', 2 * 1024 * 1024), Encoding.ASCII, type), isChunked);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.Status);
        Assert.Equal("invalid_request", answer.Error);
    }

    [Fact]
    public async Task Post_with_another_media_type_is_400_that_says_so()
    {
        var answer = await PostAsync("user_plain", new StringContent("state=x", Encoding.UTF8, "text/plain"));

        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.Contains("text/plain", answer["error_description"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Deleted_account_is_403_and_grants_nothing()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await app.Database.ExecuteAsync(
            "INSERT INTO users (id, clerk_user_id, created_at, deleted_at) VALUES (gen_random_uuid(), 'user_deleted', now(), now())");

        var read = await GetAsync("user_deleted", client.Id, null);
        var approved = await PostAsync("user_deleted", Form(OAuthFlow.Parameters(client)));

        Assert.Equal(HttpStatusCode.Forbidden, read.Status);
        Assert.Equal(HttpStatusCode.Forbidden, approved.Status);
        Assert.Equal("access_denied", approved.Error);
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_codes", $"client_id = '{client.Id}'"));
    }

    /// <summary>At the limit the web app is told whom a connection ends, and says with the approval that the person was told.</summary>
    [Fact]
    public async Task Post_at_the_session_limit_needs_the_sessions_that_get_told()
    {
        const string user = "user_headless_full";
        var tokens = new List<JsonAnswer>();
        var oldest = await OAuthFlow.AddClientAsync(app, name: "Oldest app");
        foreach (var connected in (TestClient[])[oldest, .. await Task.WhenAll(Enumerable.Range(0, 24).Select(_ => OAuthFlow.AddClientAsync(app)))])
        {
            tokens.Add(await ExchangeAsync(connected, await PostAsync(user, Form(OAuthFlow.Parameters(connected)))));
            app.Clock.Advance(TimeSpan.FromSeconds(1));
        }

        var client = await OAuthFlow.AddClientAsync(app);
        var ends = Assert.Single((await GetAsync(user, client.Id, null)).Json.GetProperty("data").GetProperty("ends").EnumerateArray());
        var silent = await PostAsync(user, Form(OAuthFlow.Parameters(client)));
        var told = await ExchangeAsync(client, await PostAsync(user, Json(OAuthFlow.Parameters(client, ("ends", ends.GetProperty("id").GetString())))));

        Assert.Equal(
            ("Oldest app", AccessTokenText.SessionId(tokens[0]["access_token"]!)),
            (ends.GetProperty("client_name").GetString(), ends.GetProperty("id").GetGuid()));
        Assert.Equal((HttpStatusCode.Conflict, "session_limit"), (silent.Status, silent.Error));
        Assert.Equal(HttpStatusCode.OK, told.Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await flow.SessionsAsync(tokens[0]["access_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(tokens[1]["access_token"]!)).Status);

        Task<JsonAnswer> ExchangeAsync(TestClient by, JsonAnswer approved) =>
            flow.ExchangeAsync(by, OAuthFlow.Parameter(new Uri(approved.Json.GetProperty("data").GetProperty("redirect_to").GetString()!), "code")!);
    }

    /// <summary>Its name is what it calls itself, and the web app has no page of ours that says so.</summary>
    [Fact]
    public async Task Post_for_a_client_that_registered_itself_is_403_until_an_operator_approves_it()
    {
        var client = await OAuthFlow.AddClientAsync(app, isPublic: true);
        await app.Database.ExecuteAsync($"UPDATE gpt_clients SET kind = 'registered' WHERE client_id = '{client.Id}'");
        (string, string?)[] parameters = OAuthFlow.Parameters(client, ("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256"));

        var refused = await PostAsync("user_unapproved", Form(parameters));
        var before = await app.Database.CountAsync("gpt_consents", $"client_id = '{client.Id}'")
            + await app.Database.CountAsync("gpt_authorization_codes", $"client_id = '{client.Id}'");
        Assert.Null(await app.Get<ClientService>().UpdateAsync(client.Id, new ClientChange(IsApproved: true)));
        var approved = await PostAsync("user_unapproved", Form(parameters));

        Assert.Equal((HttpStatusCode.Forbidden, "access_denied"), (refused.Status, refused.Error));
        Assert.Contains("clients update", refused["error_description"], StringComparison.Ordinal);
        Assert.Equal(0, before);
        Assert.Equal(HttpStatusCode.OK, approved.Status);
    }

    [Fact]
    public async Task Consent_given_by_the_web_app_is_remembered_for_the_browser()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await PostAsync("user_both_ways", Form(OAuthFlow.Parameters(client)));

        var consent = await app.Database.ScalarAsync<string>($"SELECT redirect_host FROM gpt_consents WHERE client_id = '{client.Id}' AND revoked_at IS NULL");

        Assert.Equal("client.example", consent);
    }

    private static StringContent Json((string Name, string? Value)[] parameters) =>
        new(JsonSerializer.Serialize(parameters.ToDictionary(parameter => parameter.Name, parameter => parameter.Value)), Encoding.UTF8, "application/json");

    private static StringContent Form((string Name, string? Value)[] parameters) =>
        new(OAuthFlow.Query(parameters).TrimStart('?'), Encoding.ASCII, "application/x-www-form-urlencoded");

    private AuthenticationHeaderValue Session(string user) => new("Bearer", provider.Sign(provider.SessionClaims(user, app.Clock.GetUtcNow())));

    private async Task<JsonAnswer> GetAsync(string user, string? clientId, string? scope)
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Get, new Uri("/oauth/consent" + OAuthFlow.Query([("client_id", clientId), ("scope", scope)]), UriKind.Relative))
        {
            Headers = { Authorization = Session(user) },
        };
        return await flow.SendAsync(request);
    }

    private async Task<JsonAnswer> PostAsync(string user, HttpContent content, bool isChunked = false)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/oauth/consent", UriKind.Relative))
        {
            Content = content,
            Headers = { Authorization = Session(user), TransferEncodingChunked = isChunked },
        };
        return await flow.SendAsync(request);
    }
}
