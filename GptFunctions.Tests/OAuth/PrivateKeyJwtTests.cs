using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using GptFunctions.Audit;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

public sealed class PrivateKeyJwtFixture : AppFixture<PrivateKeyJwtTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings =>
        [new("GPT_CLIENT_METADATA_LOOPBACK", "true"), new("GPT_AUTH_FAILURE_LIMIT", "1000")];
}

/// <summary>oauth.md 47 to 49: clients that sign (RFC 7523).</summary>
public sealed class PrivateKeyJwtTests(PrivateKeyJwtFixture fixture) : IClassFixture<PrivateKeyJwtFixture>, IAsyncLifetime
{
    private const string Callback = "https://signing.example/cb";
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;
    private readonly ClientKey key = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync()
    {
        key.Dispose();
        return Task.CompletedTask;
    }

    [Theory]
    [InlineData("ES256")]
    [InlineData("RS256")]
    [InlineData("PS256")]
    public async Task Client_with_a_key_gets_refreshes_introspects_and_revokes_tokens(string algorithm)
    {
        using var own = new ClientKey(algorithm);
        var client = await AddAsync(own);

        var tokens = await ExchangeAsync(client, own, "user_signing");
        var refreshed = await PostAsync("/oauth/token", client, own, ("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"]));
        var active = await PostAsync("/oauth/introspect", client, own, ("token", refreshed["access_token"]));
        var revoked = await PostAsync("/oauth/revoke", client, own, ("token", refreshed["refresh_token"]));
        var inactive = await PostAsync("/oauth/introspect", client, own, ("token", refreshed["access_token"]));

        Assert.True(tokens.Status == HttpStatusCode.OK, tokens.Text);
        Assert.True(refreshed.Status == HttpStatusCode.OK, refreshed.Text);
        Assert.Equal(("True", client, HttpStatusCode.OK, "False"), (active["active"], active["client_id"], revoked.Status, inactive["active"]));
        Assert.Equal(5, await app.Database.CountAsync("gpt_client_assertions", $"client_id = '{client}'"));
    }

    public static TheoryData<string, Action<JsonObject, JsonObject>, string?> Wrong { get; } = new()
    {
        { "another issuer", (_, claims) => claims["iss"] = "somebody", "iss and sub" },
        { "no issuer", (_, claims) => claims.Remove("iss"), "iss and sub" },
        { "another audience", (_, claims) => claims["aud"] = "https://elsewhere.example", "aud must be" },
        { "no audience", (_, claims) => claims.Remove("aud"), "aud must be" },
        { "two audiences", (_, claims) => claims["aud"] = new JsonArray(claims["aud"]!.GetValue<string>(), "https://elsewhere.example"), "aud must be" },
        { "audience of introspection", (_, claims) => claims["aud"] = claims["aud"]!.GetValue<string>() + "/oauth/introspect", "aud must be" },
        { "no end", (_, claims) => claims.Remove("exp"), "exp is missing" },
        { "over", (_, claims) => claims["exp"] = claims["iat"]!.GetValue<long>() - 1, "exp is missing or over" },
        { "end as text", (_, claims) => claims["exp"] = "9999999999", "exp is missing" },
        { "six minutes", (_, claims) => claims["exp"] = claims["iat"]!.GetValue<long>() + 360, "five minutes" },
        { "issued in the future", (_, claims) => claims["iat"] = claims["iat"]!.GetValue<long>() + 40, "in the future" },
        { "not yet", (_, claims) => claims["nbf"] = claims["iat"]!.GetValue<long>() + 40, "in the future" },
        { "no id", (_, claims) => claims.Remove("jti"), "jti is missing" },
        { "empty id", (_, claims) => claims["jti"] = "", "jti is missing" },
        { "number for an id", (_, claims) => claims["jti"] = 7, null },
        { "another algorithm", (header, _) => header["alg"] = "RS256", null },
        { "no algorithm", (header, _) => header["alg"] = "none", null },
        { "symmetric", (header, _) => header["alg"] = "HS256", null },
        { "unknown key", (header, _) => header["kid"] = "another", null },
    };

    /// <summary>What is wrong is told only to whoever has the key.</summary>
    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task Assertion_that_is_wrong_is_invalid_client(string what, Action<JsonObject, JsonObject> change, string? told)
    {
        var client = await AddAsync(key);

        var answer = await flow.PostFormAsync(
            "/oauth/token", null, [("grant_type", "refresh_token"), ("refresh_token", "gpt_rt_x"), .. key.Parameters(app, client, change)]);

        Assert.True((answer.Status, answer.Error) is (HttpStatusCode.Unauthorized, "invalid_client"), $"{what}: {answer.Text}");
        Assert.Contains(told ?? "Client authentication failed", answer["error_description"], StringComparison.Ordinal);
        Assert.Equal(0, await app.Database.CountAsync("gpt_client_assertions", $"client_id = '{client}'"));
        Assert.Single(await app.Database.EventsAsync(AuditEvents.ClientAuthFailed, "client_id", client));
    }

    [Theory]
    [InlineData("/oauth/token", true)]
    [InlineData("", true)]
    [InlineData("", false)]
    public async Task Audience_is_the_issuer_or_the_token_endpoint_alone_or_as_a_list_of_one(string path, bool isList)
    {
        var client = await AddAsync(key);
        var audience = app.BaseUrl + path;

        var answer = await flow.PostFormAsync("/oauth/introspect", null, [
            ("token", "x"), .. key.Parameters(app, client, (_, claims) => claims["aud"] = isList ? new JsonArray(audience) : audience)]);

        Assert.Equal((HttpStatusCode.OK, """{"active":false}"""), (answer.Status, answer.Text));
    }

    [Fact]
    public async Task Key_of_somebody_else_and_keys_that_are_too_short_open_nothing()
    {
        var client = await AddAsync(key);
        using var stranger = new ClientKey(); // the same kid
        using var weak = new ClientKey("RS256", bits: 1024);

        var refused = await flow.PostFormAsync("/oauth/introspect", null, [("token", "x"), .. stranger.Parameters(app, client)]);
        var (_, problem) = await app.Get<ClientService>().AddAsync(New() with { Jwks = ClientKey.Set(weak).ToJsonString() });

        Assert.Equal("invalid_client", refused.Error);
        Assert.Contains("2048 bits", problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Requests_that_mix_methods_or_lack_a_part_are_invalid_request()
    {
        var client = await AddAsync(key);
        var assertion = key.Assert(app, client);
        (string, string?)[] good = ClientKey.Parameters(assertion);

        Assert.Equal("invalid_request", (await flow.PostFormAsync("/oauth/introspect", null, [("token", "x"), .. good, ("client_secret", "s")])).Error);
        Assert.Equal("invalid_request", (await flow.PostFormAsync("/oauth/introspect", OAuthFlow.Basic(client, "s"), [("token", "x"), .. good])).Error);
        Assert.Equal("invalid_request", (await flow.PostFormAsync("/oauth/introspect", null, [("token", "x"), .. good, ("client_id", "another")])).Error);
        Assert.Equal("invalid_request", (await flow.PostFormAsync("/oauth/introspect", null, [("token", "x"), good[1]])).Error);
        Assert.Equal("invalid_request", (await flow.PostFormAsync("/oauth/introspect", null, [("token", "x"), good[0]])).Error);
        Assert.Equal("invalid_client", (await flow.PostFormAsync("/oauth/introspect", null, [("token", "x"), .. ClientKey.Parameters("nonsense")])).Error);
        (string, string?)[] extended = key.Parameters(app, client, (header, _) => header["crit"] = new JsonArray("exp"));
        Assert.Equal("invalid_client", (await flow.PostFormAsync("/oauth/introspect", null, [("token", "x"), .. extended])).Error);
        Assert.Equal("invalid_client", (await flow.PostFormAsync("/oauth/introspect", null, [("token", "x"), .. key.Parameters(app, "nobody")])).Error);
        Assert.Equal(
            "invalid_client",
            (await flow.PostFormAsync("/oauth/token", null, ("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", client))).Error);
        Assert.Equal(HttpStatusCode.OK, (await flow.PostFormAsync("/oauth/introspect", null, [("token", "x"), .. good, ("client_id", client)])).Status);
    }

    /// <summary>Fifty at once over two processes: the statement that acts uses it up, so one wins.</summary>
    [Fact]
    public async Task Fifty_uses_of_one_assertion_at_once_over_two_processes_are_one()
    {
        await using var other = await AppProcess.StartAsync(app.Settings);
        var elsewhere = new OAuthFlow(other.Http);
        foreach (var endpoint in (string[])["token", "introspect", "revoke"])
        {
            var client = await AddAsync(key);
            var tokens = await ExchangeAsync(client, key, "user_raced");
            (string, string?)[] assertion = key.Parameters(app, client);
            (string, string?)[] form = endpoint == "token"
                ? [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"]), .. assertion]
                : [("token", tokens["access_token"]), .. assertion];

            var answers = await Task.WhenAll(
                Enumerable.Range(0, 50).Select(number => (number % 2 == 0 ? flow : elsewhere).PostFormAsync("/oauth/" + endpoint, null, form)));

            Assert.Single(answers, answer => answer.Status == HttpStatusCode.OK);
            Assert.Equal(49, answers.Count(answer => answer is { Status: HttpStatusCode.Unauthorized, Error: "invalid_client" }
                && answer["error_description"]!.Contains("used before", StringComparison.Ordinal)));
            Assert.Equal(2, await app.Database.CountAsync("gpt_client_assertions", $"client_id = '{client}'"));
        }
    }

    /// <summary>Good once per client: two clients may choose the same id.</summary>
    [Fact]
    public async Task Id_of_an_assertion_is_the_clients_own()
    {
        var (one, two) = (await AddAsync(key), await AddAsync(key));

        foreach (var client in (string[])[one, two])
        {
            Assert.Equal(
                HttpStatusCode.OK,
                (
                    await flow.PostFormAsync(
                        "/oauth/introspect", null, [("token", "x"), .. key.Parameters(app, client, (_, claims) => claims["jti"] = "1")])).Status);
        }
    }

    /// <summary>A statement that fails uses nothing up, and neither does a host that cannot be asked.</summary>
    [Fact]
    public async Task Keys_at_a_url_are_read_with_care_and_again_when_they_change()
    {
        await using var host = await DocumentHost.StartAsync();
        await using var replica = await app.StartReplicaAsync();
        var elsewhere = new OAuthFlow(replica.Http);
        using var next = new ClientKey(keyId: "two");
        host.Fail(503);
        var (issued, problem) = await app.Get<ClientService>().AddAsync(New() with { JwksUri = host.Url + "/keys" });
        Assert.Null(problem);
        var client = issued!.Client.Id;

        var away = await TryAsync(key);
        host.Publish(("/keys", ClientKey.Set(key).ToJsonString()));
        var stillAway = await TryAsync(key);
        replica.Clock.Advance(TimeSpan.FromSeconds(31));
        var back = await TryAsync(key);
        host.Publish(("/keys", ClientKey.Set(next).ToJsonString()));
        var tooSoon = await TryAsync(next);
        var asked = host.Asked("/keys");
        replica.Clock.Advance(TimeSpan.FromSeconds(31));
        var changed = await TryAsync(next);
        var gone = await TryAsync(key); // whose id is not there any more
        host.Fail(500);
        replica.Clock.Advance(TimeSpan.FromMinutes(6));
        var remembered = await TryAsync(next);

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "temporarily_unavailable", true), (away.Status, away.Error, away.Headers.RetryAfter is not null));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, stillAway.Status);
        Assert.Equal((HttpStatusCode.OK, 2), (back.Status, asked));
        Assert.Equal("invalid_client", tooSoon.Error);
        Assert.Equal((HttpStatusCode.OK, "invalid_client", HttpStatusCode.OK), (changed.Status, gone.Error, remembered.Status));

        Task<JsonAnswer> TryAsync(ClientKey with) => elsewhere.PostFormAsync("/oauth/introspect", null, [("token", "x"), .. with.Parameters(replica, client)]);
    }

    [Fact]
    public async Task Registration_with_keys_is_a_client_that_signs()
    {
        var answer = await RegisterAsync(new() { ["jwks"] = ClientKey.Set(key) });

        Assert.True(answer.Status == HttpStatusCode.Created, answer.Text);
        Assert.Equal(("private_key_jwt", null), (answer["token_endpoint_auth_method"], answer["client_secret"]));
        Assert.Equal(HttpStatusCode.OK, (await ExchangeAsync(answer["client_id"]!, key, "user_registered_key")).Status);
    }

    [Fact]
    public async Task Registration_with_keys_that_cannot_be_is_refused()
    {
        using var weak = new ClientKey("RS256", bits: 1024);
        var withPrivate = ClientKey.Set(key);
        withPrivate["keys"]![0]!["d"] = "AAAA";
        JsonObject[] bad =
        [
            [], new() { ["jwks"] = ClientKey.Set(weak) }, new() { ["jwks"] = new JsonObject { ["keys"] = new JsonArray() } }, new() { ["jwks"] = "text" },
            new() { ["jwks"] = withPrivate }, new() { ["jwks_uri"] = "http://keys.example/keys" },
            new() { ["jwks"] = ClientKey.Set(key), ["jwks_uri"] = "https://keys.example/keys" },
        ];

        foreach (var body in bad)
        {
            var answer = await RegisterAsync(body);
            Assert.True((answer.Status, answer.Error) is (HttpStatusCode.BadRequest, "invalid_client_metadata"), body + answer.Text);
        }
    }

    [Fact]
    public async Task Command_takes_a_file_with_keys_or_their_url_and_no_secret_beside_it()
    {
        var clients = app.Get<ClientService>();
        var (issued, _) = await clients.AddAsync(New() with { Jwks = ClientKey.Set(key).ToJsonString() });

        Assert.Equal((null, "private_key_jwt"), (issued!.Secret, Assert.Single(issued.Client.AuthMethods)));
        Assert.Contains("2048 bits", (await clients.AddAsync(New() with { Jwks = "{}" })).Problem, StringComparison.Ordinal);
        Assert.Contains("https URL", (await clients.AddAsync(New() with { JwksUri = "http://keys.example/keys" })).Problem, StringComparison.Ordinal);
        Assert.Contains(
            "leave --public out", (await clients.AddAsync(New() with { JwksUri = "https://k.example/k", IsPublic = true })).Problem, StringComparison.Ordinal);
        Assert.Contains(
            "new one", await clients.UpdateAsync(issued.Client.Id, new ClientChange(AuthMethods: ["client_secret_post"])), StringComparison.Ordinal);
        Assert.Contains("no secret", (await clients.RotateSecretAsync(issued.Client.Id)).Problem, StringComparison.Ordinal);
    }

    private static NewClient New() => new("Signing", null, false, [], [Callback], [], [], true);

    private async Task<string> AddAsync(ClientKey with)
    {
        var (issued, problem) = await app.Get<ClientService>().AddAsync(New() with { Jwks = ClientKey.Set(with).ToJsonString() });
        Assert.Null(problem);
        return issued!.Client.Id;
    }

    private Task<JsonAnswer> PostAsync(string path, string client, ClientKey with, params (string Name, string? Value)[] form) =>
        flow.PostFormAsync(path, null, [.. form, .. with.Parameters(app, client)]);

    private async Task<JsonAnswer> ExchangeAsync(string client, ClientKey with, string user)
    {
        var code = await flow.CodeAsync(
            new TestClient(client, null, Callback), user, ("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256"));
        return await PostAsync(
            "/oauth/token", client, with, ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", Callback), (
                "code_verifier", OAuthFlow.Verifier));
    }

    private async Task<JsonAnswer> RegisterAsync(JsonObject body)
    {
        body["redirect_uris"] = new JsonArray(Callback);
        body["token_endpoint_auth_method"] = "private_key_jwt";
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/oauth/register", UriKind.Relative));
        request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
        return await flow.SendAsync(request);
    }
}
