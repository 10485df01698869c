using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>The ingress names the caller's address in a header, so that tests can come from anywhere.</summary>
public sealed class KindRegistrationFixture : AppFixture<KindRegistrationTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings => [new("CLIENT_ADDRESS_HEADER", "X-Real-IP")];
}

/// <summary>oauth.md 15 and 41 to 43: what hosts send, taken as they mean it.</summary>
public sealed class KindRegistrationTests(KindRegistrationFixture fixture) : IClassFixture<KindRegistrationFixture>
{
    private const string Cursor = "cursor://anysphere.cursor-mcp/oauth/callback";
    private static readonly (string, string?)[] Pkce = [("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256")];
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    /// <summary>Hosts that register for each connection leave one row, not thousands, and use up no allowance.</summary>
    [Fact]
    public async Task Same_registration_of_a_public_client_is_one_client_however_often_and_from_wherever_it_comes()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(number => RegisterAsync(
            Public("Twin", number % 2 == 0
                ? ["https://twin.example/cb", $"http://127.0.0.1:{40_000 + number}/cb"]
                : [$"http://127.0.0.1:{40_000 + number}/cb", "https://twin.example/cb", "https://twin.example/cb"],
            scope: number % 3 == 0 ? "jobs:read resume:read" : "resume:read unknown jobs:read"),
            number < 80 ? "192.0.2.10" : $"198.51.100.{number}")));

        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.Created, answer.Status));
        var id = Assert.Single(answers.Select(answer => answer["client_id"]).Distinct());
        Assert.Equal(1, await app.Database.CountAsync("gpt_clients", "name = 'Twin'"));
        Assert.Equal(1, await app.Database.CountAsync(
            "outbox_messages", $"routing_key = 'gpt.oauth.client_registered' AND envelope #>> '{{payload,client_id}}' = '{id}'"));
        Assert.All(answers, answer => Assert.Contains("https://twin.example/cb", answer["redirect_uris"], StringComparison.Ordinal));
        Assert.Contains("http://127.0.0.1:40042/cb", answers[42]["redirect_uris"], StringComparison.Ordinal); // as this request named them
        Assert.Equal(HttpStatusCode.Created, (await RegisterAsync(Public("Somebody else", ["https://other.example/cb"]), "192.0.2.10")).Status);
    }

    [Fact]
    public async Task Registration_that_differs_in_name_uri_or_scope_is_another_client()
    {
        string?[] ids =
        [
            (await RegisterAsync(Public("Different", ["https://d.example/cb"], "jobs:read")))["client_id"],
            (await RegisterAsync(Public("Different!", ["https://d.example/cb"], "jobs:read")))["client_id"],
            (await RegisterAsync(Public("Different", ["https://d.example/cb/"], "jobs:read")))["client_id"],
            (await RegisterAsync(Public("Different", ["https://d.example/cb", "http://localhost/cb"], "jobs:read")))["client_id"],
            (await RegisterAsync(Public("Different", ["https://d.example/cb", "http://127.0.0.1/cb"], "jobs:read")))["client_id"],
            (await RegisterAsync(Public("Different", ["https://d.example/cb"], "jobs:read resume:read")))["client_id"],
            (await RegisterAsync(Public("Different", ["https://d.example/cb"])))["client_id"],
        ];

        Assert.Equal(ids.Length, ids.Distinct().Count());
    }

    /// <summary>What an operator disabled or moved is not handed out again; what one approved or renamed is.</summary>
    [Theory]
    [InlineData("disable", false)]
    [InlineData("move", false)]
    [InlineData("approve", true)]
    [InlineData("rename", true)]
    public async Task Registration_after_an_operator_changed_the_client(string change, bool isTheSame)
    {
        var body = Public($"Changed by {change}", ["https://changed.example/cb"]);
        var id = (await RegisterAsync(body))["client_id"]!;
        Assert.Null(await app.Get<ClientService>().UpdateAsync(id, change switch
        {
            "disable" => new ClientChange(IsDisabled: true),
            "move" => new ClientChange(RedirectUris: ["https://changed.example/elsewhere"]),
            "approve" => new ClientChange(IsApproved: true),
            _ => new ClientChange(Name: "Another name"),
        }));

        var again = await RegisterAsync(body);

        Assert.Equal(HttpStatusCode.Created, again.Status);
        Assert.Equal(isTheSame, again["client_id"] == id);
        if (change == "disable")
        {
            Assert.Null(await app.Get<ClientService>().UpdateAsync(id, new ClientChange(IsDisabled: false))); // both may be there
        }
    }

    /// <summary>A client that registers again is not taken for one that nobody uses.</summary>
    [Fact]
    public async Task Registration_again_keeps_the_client_from_the_purge()
    {
        var body = Public("Sleeper", ["https://sleeper.example/cb"]);
        var id = (await RegisterAsync(body))["client_id"];
        await app.Database.ExecuteAsync($"UPDATE gpt_clients SET created_at = created_at - interval '29 days' WHERE client_id = '{id}'");

        await RegisterAsync(body);

        Assert.Equal(1, await app.Database.CountAsync("gpt_clients", $"client_id = '{id}' AND created_at > now() - interval '1 day'"));
    }

    /// <summary>RFC 7591 3.2.1: the answer says what was registered.</summary>
    [Fact]
    public async Task Redirect_uris_that_cannot_be_are_left_out_beside_good_ones()
    {
        var answer = await RegisterAsync(
            Public("Partly", ["myapp://cb", Cursor, "http://evil.example/cb", "https://www.cursor.com/agents/mcp/oauth/callback"]));

        Assert.Equal(HttpStatusCode.Created, answer.Status);
        Assert.Equal($"[\"{Cursor}\",\"https://www.cursor.com/agents/mcp/oauth/callback\"]", answer["redirect_uris"]);
        Assert.Equal(
            [Cursor, "https://www.cursor.com/agents/mcp/oauth/callback"],
            (await app.Database.ScalarAsync<string[]>($"SELECT redirect_uris FROM gpt_clients WHERE client_id = '{answer["client_id"]}'"))!);
    }

    [Theory]
    [InlineData(null, "https://a.example/cb", "web")]
    [InlineData(null, "https://a.example/cb http://127.0.0.1/cb", "native")]
    [InlineData("sideways", "http://localhost/cb", "native")]
    [InlineData("web", "https://a.example/cb http://127.0.0.1/cb", "web")]
    [InlineData("native", "https://a.example/cb http://127.0.0.1/cb", "native")]
    public async Task Application_type_is_read_or_follows_from_the_uris(string? named, string uris, string expected)
    {
        ArgumentNullException.ThrowIfNull(uris);
        var body = Public($"Type {named} {uris}", uris.Split(' '));
        body["application_type"] = named;

        var answer = await RegisterAsync(body);

        Assert.Equal(expected, answer["application_type"]);
        Assert.Equal(expected == "native", answer["redirect_uris"]!.Contains("http:", StringComparison.Ordinal));
    }

    /// <summary>Browsers apply form-action to the redirect after the form, so the listed scheme stands there as an origin does.</summary>
    [Fact]
    public async Task Listed_scheme_gets_its_answer_and_stands_in_form_action()
    {
        var id = (await RegisterAsync(Public("Cursor", [Cursor])))["client_id"]!;
        var client = new TestClient(id, null, Cursor);
        var browser = new TestBrowser(app.Http);

        using var page = await browser.SignInAsync("user_cursor", OAuthFlow.Parameters(client, Pkce));
        using var approved = await browser.SubmitAsync(page, ("decision", "approve"));
        var tokens = await flow.ExchangeAsync(client, OAuthFlow.Parameter(approved.Headers.Location!, "code")!, ("code_verifier", OAuthFlow.Verifier));

        Assert.Contains("form-action 'self' cursor:;", Assert.Single(page.Headers.GetValues("Content-Security-Policy")), StringComparison.Ordinal);
        Assert.StartsWith(Cursor + "?code=", approved.Headers.Location!.OriginalString, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, tokens.Status);
    }

    [Fact]
    public async Task List_of_schemes_may_be_another_one_or_empty()
    {
        await using var own = await app.StartReplicaAsync(("GPT_REDIRECT_URIS_ALLOWED", "myapp://cb"));
        await using var none = await app.StartReplicaAsync(("GPT_REDIRECT_URIS_ALLOWED", ""));

        Assert.Equal(HttpStatusCode.Created, (await RegisterAsync(Public("Mine", ["myapp://cb"]), at: own)).Status);
        Assert.Equal("invalid_redirect_uri", (await RegisterAsync(Public("Cursor", [Cursor]), at: own)).Error);
        Assert.Equal("invalid_redirect_uri", (await RegisterAsync(Public("Cursor", [Cursor]), at: none)).Error);
    }

    /// <summary>Hosts register with the scopes of the challenge, and ask for more when a tool needs it.</summary>
    [Fact]
    public async Task Scope_of_a_registration_is_what_is_meant_by_none_and_no_ceiling()
    {
        var client = await AddAsync("Stepper", "jobs:read");

        var usual = await flow.TokensAsync(client, "user_step");
        var more = await flow.TokensAsync(client, "user_step", ("scope", "jobs:read applications:write"));
        var refreshed = await flow.RefreshAsync(client, more["refresh_token"]!);
        using var unknown = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, [.. Pkce, ("scope", "admin")]));

        Assert.Equal(("jobs:read", "jobs:read applications:write", "jobs:read applications:write"), (usual["scope"], more["scope"], refreshed["scope"]));
        Assert.Equal("invalid_scope", OAuthFlow.Parameter(unknown.Headers.Location!, "error"));
    }

    [Fact]
    public async Task Scopes_that_an_operator_sets_are_a_ceiling()
    {
        var client = await AddAsync("Bounded", "jobs:read");
        Assert.Null(await app.Get<ClientService>().UpdateAsync(client.Id, new ClientChange(Scopes: ["jobs:read", "resume:read"])));

        var usual = await flow.TokensAsync(client, "user_bounded");
        var most = await flow.TokensAsync(client, "user_bounded", ("scope", "jobs:read resume:read"));
        using var beyond = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, [.. Pkce, ("scope", "applications:write")]));

        Assert.Equal(("jobs:read", "jobs:read resume:read"), (usual["scope"], most["scope"]));
        Assert.Equal("invalid_scope", OAuthFlow.Parameter(beyond.Headers.Location!, "error"));
    }

    /// <summary>The ceiling is the catalogue, also when that grows after the registration.</summary>
    [Fact]
    public async Task Scope_that_is_new_in_the_catalogue_may_be_asked_for_and_refreshed()
    {
        var noRoutes = Path.Combine(Directory.CreateTempSubdirectory("gateway-").FullName, "gateway.json");
        await File.WriteAllTextAsync(noRoutes, """{ "routes": [] }""");
        await using var small = await app.StartReplicaAsync(("GPT_SCOPES", "jobs:read=See jobs"), ("GATEWAY_CONFIG", noRoutes));
        var client = await AddAsync("Early", null, small);

        var tokens = await flow.TokensAsync(client, "user_early", ("scope", "jobs:read resume:read"));
        var refreshed = await flow.RefreshAsync(client, tokens["refresh_token"]!);

        Assert.Equal(("jobs:read resume:read", "jobs:read resume:read"), (tokens["scope"], refreshed["scope"]));
    }

    private static JsonObject Public(string name, string[] redirectUris, string? scope = null) => new()
    {
        ["client_name"] = name,
        ["redirect_uris"] = new JsonArray([.. redirectUris.Select(uri => (JsonNode)uri)]),
        ["token_endpoint_auth_method"] = "none",
        ["scope"] = scope,
    };

    private async Task<TestClient> AddAsync(string name, string? scope, TestApp? at = null)
    {
        var uri = $"https://{name.ToLowerInvariant()}.example/cb";
        var answer = await RegisterAsync(Public(name, [uri], scope), at: at);
        Assert.True(answer.Status == HttpStatusCode.Created, answer.Text);
        return new TestClient(answer["client_id"]!, null, uri);
    }

    private async Task<JsonAnswer> RegisterAsync(JsonObject body, string address = "192.0.2.1", TestApp? at = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/oauth/register", UriKind.Relative)) { Headers = { { "X-Real-IP", address } } };
        request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
        return await new OAuthFlow((at ?? app).Http).SendAsync(request);
    }
}
