using System.Net;
using System.Text.Json;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 17, RFC 7662.</summary>
public sealed class IntrospectionTests(AppFixture<IntrospectionTests> fixture) : IClassFixture<AppFixture<IntrospectionTests>>
{
    private const string Inactive = """{"active":false}""";
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Live_access_token_is_described_by_its_claims()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_access", ("scope", "jobs:read"));
        var claims = AccessTokenText.Claims(tokens["access_token"]!);

        var answer = await flow.IntrospectAsync(client, tokens["access_token"]!);

        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.Equal(JsonValueKind.True, answer.Json.GetProperty("active").ValueKind);
        Assert.Equal("Bearer", answer["token_type"]);
        foreach (var name in (string[])["iss", "sub", "aud", "client_id", "scope", "sid", "iat", "exp", "jti"])
        {
            Assert.Equal(claims.GetProperty(name).ToString(), answer[name]);
        }
    }

    [Fact]
    public async Task Live_refresh_token_is_described()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_refresh", ("scope", "jobs:read resume:read"));

        var answer = await flow.IntrospectAsync(client, tokens["refresh_token"]!);

        Assert.Equal("True", answer["active"]);
        Assert.Equal(("user_refresh", client.Id, "jobs:read resume:read", app.BaseUrl), (answer["sub"], answer["client_id"], answer["scope"], answer["iss"]));
        Assert.Equal(30 * 86400, answer.Json.GetProperty("exp").GetInt64() - answer.Json.GetProperty("iat").GetInt64());
    }

    /// <summary>oauth.md 17: anything inactive is exactly {"active":false}.</summary>
    [Fact]
    public async Task Anything_inactive_is_exactly_active_false()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var first = await flow.TokensAsync(client, "user_inactive");
        var superseded = first["refresh_token"]!;
        var live = await flow.RefreshAsync(client, superseded);
        var revoked = await flow.TokensAsync(client, "user_inactive");
        await flow.RevokeAsync(client, revoked["refresh_token"]!);
        var others = await flow.TokensAsync(await OAuthFlow.AddClientAsync(app), "user_inactive");

        foreach (var token in (string[])
            ["unknown", "a.b.c", superseded, revoked["refresh_token"]!, revoked["access_token"]!, others["refresh_token"]!, others["access_token"]!])
        {
            var answer = await flow.IntrospectAsync(client, token);
            Assert.Equal((HttpStatusCode.OK, Inactive), (answer.Status, answer.Text));
        }

        app.Clock.Advance(TimeSpan.FromSeconds(901));
        Assert.Equal(Inactive, (await flow.IntrospectAsync(client, live["access_token"]!)).Text);
        Assert.Equal("True", (await flow.IntrospectAsync(client, live["refresh_token"]!))["active"]);
        app.Clock.Advance(TimeSpan.FromDays(30));
        Assert.Equal(Inactive, (await flow.IntrospectAsync(client, live["refresh_token"]!)).Text);
    }

    /// <summary>RFC 7662 2.1: otherwise anybody could fish for tokens.</summary>
    [Fact]
    public async Task Introspection_needs_client_authentication()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var open = await OAuthFlow.AddClientAsync(app, isPublic: true);
        var tokens = await flow.TokensAsync(client, "user_auth");
        var own = await flow.TokensAsync(open, "user_auth");

        foreach (var answer in (JsonAnswer[])
        [
            await flow.IntrospectAsync(client with { Secret = "wrong" }, tokens["access_token"]!),
            await flow.IntrospectAsync(client with { Secret = null }, tokens["access_token"]!),
            await flow.IntrospectAsync(open, own["access_token"]!),
            await flow.PostFormAsync("/oauth/introspect", null, ("token", tokens["access_token"])),
            await flow.PostFormAsync("/oauth/introspect", new("Bearer", tokens["access_token"]), ("token", tokens["access_token"])),
        ])
        {
            Assert.Equal((HttpStatusCode.Unauthorized, "invalid_client"), (answer.Status, answer.Error));
        }

        Assert.Equal(
            "True", (await flow.PostFormAsync("/oauth/introspect", OAuthFlow.Basic(client.Id, client.Secret), ("token", tokens["access_token"])))["active"]);
    }

    [Fact]
    public async Task Introspection_without_a_token_is_invalid_request()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var answer = await flow.PostAsync("/oauth/introspect", client);

        Assert.Equal((HttpStatusCode.BadRequest, "invalid_request"), (answer.Status, answer.Error));
    }
}
