using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.OAuth;

/// <summary>The ingress names the caller's address in a header, so that tests can come from anywhere.</summary>
public sealed class RegistrationFixture : AppFixture<RegistrationTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings => [new("CLIENT_ADDRESS_HEADER", "X-Real-IP")];
}

/// <summary>oauth.md 15 and RFC 7591: clients that introduce themselves.</summary>
public sealed class RegistrationTests(RegistrationFixture fixture) : IClassFixture<RegistrationFixture>
{
    private const string Callback = "https://host.example/callback";
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    /// <summary>What MCP hosts send, and what they may rely on afterwards.</summary>
    [Theory]
    [InlineData("none")]
    [InlineData("client_secret_basic")]
    [InlineData("client_secret_post")]
    [InlineData(null)]
    public async Task Registered_client_signs_a_person_in(string? method)
    {
        var answer = await RegisterAsync(new()
        {
            ["redirect_uris"] = new JsonArray(Callback),
            ["client_name"] = "A host",
            ["token_endpoint_auth_method"] = method,
            ["grant_types"] = new JsonArray("authorization_code", "refresh_token", "implicit"),
            ["response_types"] = new JsonArray("code", "token"),
            ["client_uri"] = "https://host.example",
            ["software_id"] = 7,
            ["scope"] = "openid jobs:read",
        });

        Assert.Equal(HttpStatusCode.Created, answer.Status);
        Assert.True(answer.Headers.CacheControl?.NoStore);
        Assert.Equal("*", Assert.Single(answer.Headers.GetValues("Access-Control-Allow-Origin")));
        Assert.Equal(("A host", method ?? "client_secret_basic", "jobs:read"), (answer["client_name"], answer["token_endpoint_auth_method"], answer["scope"]));
        Assert.Equal(
            ("[\"authorization_code\",\"refresh_token\"]", "[\"code\"]", $"[\"{Callback}\"]"),
            (answer["grant_types"], answer["response_types"], answer["redirect_uris"]));
        Assert.Equal(app.Clock.GetUtcNow().ToUnixTimeSeconds(), answer.Json.GetProperty("client_id_issued_at").GetInt64(), 60d);
        Assert.Equal(method == "none" ? (null, null) : (answer["client_secret"], "0"), (answer["client_secret"], answer["client_secret_expires_at"]));
        var client = new TestClient(answer["client_id"]!, answer["client_secret"], Callback);
        RunLog.NoteSecret(client.Secret);

        var code = await flow.CodeAsync(client, "user_registered", ("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256"));
        var tokens = method is null or "client_secret_basic"
            ? await flow.PostFormAsync(
                "/oauth/token", OAuthFlow.Basic(client.Id, client.Secret), ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", Callback),
                ("code_verifier", OAuthFlow.Verifier))
            : await flow.ExchangeAsync(client, code, ("code_verifier", OAuthFlow.Verifier));
        Assert.Equal((HttpStatusCode.OK, "jobs:read"), (tokens.Status, tokens["scope"]));
    }

    /// <summary>Without PKCE a code is bound to nothing but the word of somebody unknown.</summary>
    [Fact]
    public async Task Registered_client_must_use_pkce()
    {
        var client = await AddAsync("client_secret_post");

        using var response = await flow.AuthorizeAsync(OAuthFlow.Parameters(client));

        Assert.Equal("invalid_request", OAuthFlow.Parameter(response.Headers.Location!, "error"));
    }

    /// <summary>"Never hands out another client's credentials."</summary>
    [Fact]
    public async Task Same_registration_of_a_client_with_a_secret_is_another_client()
    {
        var (one, two) = (await AddAsync("client_secret_post"), await AddAsync("client_secret_post"));

        Assert.NotEqual(one.Id, two.Id);
        Assert.NotEqual(one.Secret, two.Secret);
    }

    public static TheoryData<string, string> Bad { get; } = new()
    {
        { """{}""", "invalid_redirect_uri" },
        { """{"redirect_uris":[]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":[null]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["http://b.example/cb", "http://a.example/cb"]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["http://127.0.0.1/cb", "cursor://anysphere.cursor-mcp/oauth/callback"],"application_type":"web"}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["cursor://anysphere.cursor-mcp/oauth/callback/"]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["cursor://evil/oauth/callback"]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["https://a.example/cb#x"]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["https://*.example/cb"]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["https://user@a.example/cb"]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["https://@a.example/cb"]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["https://a.example/cb?state=x"]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["javascript:alert(1)"]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["data:text/html,x"]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["com.example.app:/cb"]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["http://127.0.0.1.evil.example/cb"]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["/cb"]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["https://a.example/\u0000"]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":["1","2","3","4","5","6","7","8","9","10","11"]}""", "invalid_redirect_uri" },
        { """{"redirect_uris":"https://a.example/cb"}""", "invalid_client_metadata" },
        { """{"redirect_uris":[7]}""", "invalid_client_metadata" },
        { """{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt"}""", "invalid_client_metadata" },
        { """{"redirect_uris":["https://a.example/cb"],"grant_types":["client_credentials"]}""", "invalid_client_metadata" },
        { """{"redirect_uris":["https://a.example/cb"],"response_types":["token"]}""", "invalid_client_metadata" },
        { """{"redirect_uris":["https://a.example/cb"],"scope":"admin"}""", "invalid_client_metadata" },
        { """{"redirect_uris":["https://a.example/cb"],"client_name":{}}""", "invalid_client_metadata" },
        { $$"""{"redirect_uris":["https://a.example/cb"],"client_name":"{{new string('x', 101)}}"}""", "invalid_client_metadata" },
        { "[]", "invalid_client_metadata" },
        { "null", "invalid_client_metadata" },
        { "", "invalid_client_metadata" },
        { "redirect_uris=https%3A%2F%2Fa.example", "invalid_client_metadata" },
    };

    [Theory]
    [MemberData(nameof(Bad))]
    public async Task Registration_that_breaks_a_rule_is_refused_and_leaves_nothing(string body, string error)
    {
        var before = await ClientsAsync();

        var answer = await RegisterAsync(body);

        Assert.Equal((HttpStatusCode.BadRequest, error), (answer.Status, answer.Error));
        Assert.NotEmpty(answer["error_description"]!);
        Assert.True(answer.Headers.CacheControl?.NoStore);
        Assert.Equal(before, await ClientsAsync());
    }

    [Fact]
    public async Task Body_beyond_16_KiB_is_413()
    {
        var answer = await RegisterAsync($$"""{"redirect_uris":["{{Callback}}"],"logo_uri":"{{new string('x', 16 * 1024)}}"}""");

        Assert.Equal((HttpStatusCode.RequestEntityTooLarge, "invalid_client_metadata"), (answer.Status, answer.Error));
    }

    /// <summary>People read the name, so it holds nothing that they would not see or that turns the text around it.</summary>
    [Theory]
    [InlineData("Fine \U0001F680 n\u00e4me", "Fine \U0001F680 n\u00e4me")]
    [InlineData(" \u202eevil\u202c\u200b\u0000\r\n ", "evil")]
    [InlineData("\u200b\ue000", "host.example")]
    [InlineData(null, "host.example")]
    public async Task Name_is_what_people_can_read(string? name, string expected) =>
        Assert.Equal(expected, (await RegisterAsync(new() { ["redirect_uris"] = new JsonArray(Callback), ["client_name"] = name }))["client_name"]);

    /// <summary>"It is asked ... always for a client that registered itself until approved."</summary>
    [Fact]
    public async Task People_are_asked_and_warned_at_every_sign_in_until_an_operator_approves()
    {
        var client = await AddAsync("none");
        (string, string?)[] pkce = [("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256")];
        await flow.CodeAsync(client, "user_wary", pkce);
        using var again = await new TestBrowser(app.Http).SignInAsync("user_wary", OAuthFlow.Parameters(client, pkce));
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
        Assert.Contains("Nobody has checked this app.", await again.Content.ReadAsStringAsync(), StringComparison.Ordinal);

        Assert.Null(await app.Get<ClientService>().UpdateAsync(client.Id, new ClientChange(IsApproved: true)));

        using var afterwards = await new TestBrowser(app.Http).SignInAsync("user_wary", OAuthFlow.Parameters(client, pkce));
        Assert.NotNull(OAuthFlow.Parameter(afterwards.Headers.Location!, "code"));
        Assert.Equal("public", await app.Database.ScalarAsync<string>($"SELECT kind FROM gpt_clients WHERE client_id = '{client.Id}'"));
        using var stranger = await new TestBrowser(app.Http).SignInAsync("user_new", OAuthFlow.Parameters(client, pkce));
        Assert.DoesNotContain("Nobody has checked this app.", await stranger.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    /// <summary>"Limited per address" (of IPv6 per /64), by the mechanism of the gateway's limits; others notice nothing.</summary>
    [Fact]
    public async Task Registrations_beyond_sixty_an_hour_from_one_network_are_429()
    {
        for (var number = 0; number < 60; number++)
        {
            Assert.Equal(HttpStatusCode.Created, (await RegisterAsync($$"""{"redirect_uris":["{{Callback}}"]}""", $"2001:db8:0:77::{number:x}")).Status);
        }

        var before = await ClientsAsync();
        var limited = await RegisterAsync($$"""{"redirect_uris":["{{Callback}}"]}""", "2001:db8:0:77:1::1");

        Assert.Equal((HttpStatusCode.TooManyRequests, "temporarily_unavailable"), (limited.Status, limited.Error));
        Assert.InRange(limited.Headers.RetryAfter?.Delta ?? TimeSpan.Zero, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1));
        Assert.Equal(before, await ClientsAsync());
        Assert.Equal(HttpStatusCode.Created, (await RegisterAsync($$"""{"redirect_uris":["{{Callback}}"]}""", "2001:db8:0:78::1")).Status);
    }

    /// <summary>Client and event commit together.</summary>
    [Fact]
    public async Task Registration_leaves_one_event_that_tells_who_and_from_where()
    {
        var client = await AddAsync("none", "192.0.2.5");

        var payload = Assert.Single(await app.Database.EventsAsync(AuditEvents.ClientRegistered, "client_id", client.Id)).GetProperty("payload");

        Assert.Equal(
            ("192.0.2.5", "none", "host.example"),
            (payload.GetProperty("ip_address").GetString(), payload.GetProperty("auth_method").GetString(), payload.GetProperty("client_name").GetString()));
        Assert.Equal(Callback, Assert.Single(payload.GetProperty("redirect_uris").EnumerateArray()).GetString());
    }

    [Fact]
    public async Task Registration_that_is_switched_off_is_neither_advertised_nor_there()
    {
        await using var closed = await app.StartReplicaAsync(("GPT_CLIENT_REGISTRATION", "false"));
        using var content = new StringContent($$"""{"redirect_uris":["{{Callback}}"]}""", Encoding.UTF8, "application/json");

        using var response = await closed.Http.PostAsync(new Uri("/oauth/register", UriKind.Relative), content);
        using var metadata = await closed.Http.GetAsync(new Uri("/.well-known/oauth-authorization-server", UriKind.Relative));

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.False(JsonElement.Parse(await metadata.Content.ReadAsStringAsync()).TryGetProperty("registration_endpoint", out _));
    }

    [Theory]
    [InlineData("GET", HttpStatusCode.MethodNotAllowed)]
    [InlineData("DELETE", HttpStatusCode.MethodNotAllowed)]
    [InlineData("OPTIONS", HttpStatusCode.NoContent)]
    public async Task Other_methods_are_refused_and_scripts_may_ask(string method, HttpStatusCode expected)
    {
        using var request = new HttpRequestMessage(HttpMethod.Parse(method), new Uri("/oauth/register", UriKind.Relative));
        using var response = await app.Http.SendAsync(request);

        Assert.Equal(expected, response.StatusCode);
    }

    private Task<JsonAnswer> RegisterAsync(JsonObject metadata) => RegisterAsync(metadata.ToJsonString());

    private async Task<JsonAnswer> RegisterAsync(string body, string address = "192.0.2.1")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/oauth/register", UriKind.Relative)) { Headers = { { "X-Real-IP", address } } };
        request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        return await flow.SendAsync(request);
    }

    private async Task<TestClient> AddAsync(string method, string address = "192.0.2.2")
    {
        var answer = await RegisterAsync($$"""{"redirect_uris":["{{Callback}}"],"token_endpoint_auth_method":"{{method}}"}""", address);
        RunLog.NoteSecret(answer["client_secret"]);
        return new TestClient(answer["client_id"]!, answer["client_secret"], Callback);
    }

    private async Task<long> ClientsAsync() => await app.Database.ScalarAsync<long>("SELECT count(*) FROM gpt_clients");
}
