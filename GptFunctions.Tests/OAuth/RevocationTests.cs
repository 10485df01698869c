using System.Net;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 17, RFC 7009.</summary>
public sealed class RevocationTests(AppFixture<RevocationTests> fixture) : IClassFixture<AppFixture<RevocationTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    /// <summary>Either token, the newest or an older refresh token: the session ends, and with it every token of it.</summary>
    [Theory]
    [InlineData("refresh_token")]
    [InlineData("access_token")]
    [InlineData("superseded")]
    public async Task Revoking_a_token_ends_its_session_and_no_other(string kind)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var other = await flow.TokensAsync(client, "user_" + kind);
        var first = await flow.TokensAsync(client, "user_" + kind);
        var tokens = await flow.RefreshAsync(client, first["refresh_token"]!);

        var answer = await flow.RevokeAsync(client, kind == "superseded" ? first["refresh_token"]! : tokens[kind]!);

        Assert.Equal((HttpStatusCode.OK, "{}"), (answer.Status, answer.Text));
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Error);
        foreach (var accessToken in (string[])[first["access_token"]!, tokens["access_token"]!])
        {
            var refused = await flow.SessionsAsync(accessToken);
            Assert.Equal((HttpStatusCode.Unauthorized, "session revoked"), (refused.Status, refused["error_description"]));
            Assert.Equal("""{"active":false}""", (await flow.IntrospectAsync(client, accessToken)).Text);
        }

        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, other["refresh_token"]!)).Status);
        Assert.Equal(1, await app.Database.CountOfSessionAsync(AuditEvents.SessionRevoked, AccessTokenText.SessionId(tokens["access_token"]!)));
    }

    /// <summary>RFC 7009 2.2: the aim is reached, whatever the token was.</summary>
    [Fact]
    public async Task Revoking_an_unknown_or_dead_token_answers_200_and_tells_nothing()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_again");
        var session = AccessTokenText.SessionId(tokens["access_token"]!);

        Assert.Equal(HttpStatusCode.OK, (await flow.RevokeAsync(client, "no-such-token")).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.RevokeAsync(client, tokens["refresh_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.RevokeAsync(client, tokens["refresh_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.RevokeAsync(client, tokens["access_token"]!)).Status);
        Assert.Equal(1, await app.Database.CountOfSessionAsync(AuditEvents.SessionRevoked, session));
    }

    /// <summary>oauth.md 17: never another client's.</summary>
    [Fact]
    public async Task Revoking_a_token_of_another_client_answers_200_and_does_nothing()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var stranger = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_stranger");

        Assert.Equal(HttpStatusCode.OK, (await flow.RevokeAsync(stranger, tokens["refresh_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.RevokeAsync(stranger, tokens["access_token"]!)).Status);

        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(tokens["access_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status);
    }

    [Fact]
    public async Task Revoking_without_valid_credentials_is_401_and_does_nothing()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_401");

        foreach (var impostor in (TestClient[])[client with { Secret = "wrong" }, client with { Secret = null }, client with { Id = "unknown" }])
        {
            var refused = await flow.RevokeAsync(impostor, tokens["refresh_token"]!);
            Assert.Equal((HttpStatusCode.Unauthorized, "invalid_client"), (refused.Status, refused.Error));
        }

        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status);
    }

    [Fact]
    public async Task Revoking_by_Basic_and_by_a_public_client_works()
    {
        var confidential = await OAuthFlow.AddClientAsync(app);
        var open = await OAuthFlow.AddClientAsync(app, isPublic: true);
        var one = await flow.TokensAsync(confidential, "user_basic");
        var two = await flow.TokensAsync(open, "user_basic");

        await flow.PostFormAsync(
            "/oauth/revoke", OAuthFlow.Basic(confidential.Id, confidential.Secret), ("token", one["refresh_token"]), ("token_type_hint", "refresh_token"));
        await flow.RevokeAsync(open, two["refresh_token"]!);

        Assert.Equal("invalid_grant", (await flow.RefreshAsync(confidential, one["refresh_token"]!)).Error);
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(open, two["refresh_token"]!)).Error);
    }

    /// <summary>RFC 7009 2.1: a hint only helps to search; a wrong one changes nothing.</summary>
    [Fact]
    public async Task Revoking_with_a_wrong_hint_works()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_hint");

        await flow.PostAsync("/oauth/revoke", client, ("token", tokens["refresh_token"]), ("token_type_hint", "access_token"));

        Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Error);
    }

    [Fact]
    public async Task Revoking_without_a_token_is_invalid_request()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var answer = await flow.PostAsync("/oauth/revoke", client);

        Assert.Equal((HttpStatusCode.BadRequest, "invalid_request"), (answer.Status, answer.Error));
    }
}
