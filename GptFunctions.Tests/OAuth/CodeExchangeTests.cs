using System.Net;
using GptFunctions.Audit;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 7 and 8: a code is used once, by the right client, with what it was bound to.</summary>
public sealed class CodeExchangeTests(AppFixture<CodeExchangeTests> fixture) : IClassFixture<AppFixture<CodeExchangeTests>>
{
    private static readonly (string Name, string? Value)[] WithChallenge = [("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256")];
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    /// <summary>oauth.md 7.</summary>
    [Fact]
    public async Task Exchange_50_times_in_parallel_gives_exactly_one_200_and_revokes_that_session()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_parallel");

        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => flow.ExchangeAsync(client, code)));

        var success = Assert.Single(answers, answer => answer.Status == HttpStatusCode.OK);
        Assert.All(answers.Where(answer => answer != success), answer => AssertInvalidGrant(answer));
        Assert.Equal(1, await app.Database.CountAsync("gpt_sessions", $"client_id = '{client.Id}'"));
        Assert.Equal(1, await app.Database.CountOfSessionAsync(AuditEvents.CodeReplayDetected, AccessTokenText.SessionId(success["access_token"]!)));
        await AssertDeadAsync(client, success);
    }

    /// <summary>oauth.md 7: the access token dies too, and other sessions of the same person live on.</summary>
    [Fact]
    public async Task Exchange_of_a_used_code_revokes_its_session_only()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var other = await flow.TokensAsync(client, "user_twice");
        var code = await flow.CodeAsync(client, "user_twice");
        var first = await flow.ExchangeAsync(client, code);
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(first["access_token"]!)).Status);

        AssertInvalidGrant(await flow.ExchangeAsync(client, code));

        var told = Assert.Single(await app.Database.EventsAsync(AuditEvents.CodeReplayDetected, "client_id", client.Id));
        Assert.Equal("user_twice", told.GetProperty("payload").GetProperty("clerk_user_id").GetString());
        Assert.Equal(AccessTokenText.SessionId(first["access_token"]!), told.GetProperty("payload").GetProperty("session_id").GetGuid());
        await AssertDeadAsync(client, first);
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(other["access_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, other["refresh_token"]!)).Status);
    }

    /// <summary>oauth.md 7: "any second use", so also one that would have been refused anyway, and one after the code expired.</summary>
    [Theory]
    [InlineData("https://client.example/elsewhere", 0)]
    [InlineData(null, 0)]
    [InlineData("https://client.example/callback", 120)]
    public async Task Exchange_of_a_used_code_revokes_its_session_whatever_else_is_wrong(string? presented, int secondsLater)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_whatever");
        var first = await flow.ExchangeAsync(client, code);
        app.Clock.Advance(TimeSpan.FromSeconds(secondsLater));

        AssertInvalidGrant(await ExchangeAsync(client, code, ("redirect_uri", presented)));

        await AssertDeadAsync(client, first);
    }

    /// <summary>oauth.md 7: the replay of a stolen code by somebody who cannot authenticate ends nothing.</summary>
    [Fact]
    public async Task Exchange_of_a_used_code_with_a_wrong_secret_leaves_the_session_alone()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_wrong_secret");
        var first = await flow.ExchangeAsync(client, code);

        Assert.Equal("invalid_client", (await flow.ExchangeAsync(client with { Secret = "wrong" }, code)).Error);
        AssertInvalidGrant(await flow.ExchangeAsync(await OAuthFlow.AddClientAsync(app), code));

        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, first["refresh_token"]!)).Status);
    }

    /// <summary>A public client's id is no secret: whoever only saw its code must not be able to end the session with it.</summary>
    [Fact]
    public async Task Exchange_of_a_used_code_of_a_public_client_ends_the_session_only_with_verifier_and_redirect_uri()
    {
        var client = await OAuthFlow.AddClientAsync(app, isPublic: true);
        var code = await flow.CodeAsync(client, "user_public_replay", ("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256"));
        var first = await flow.ExchangeAsync(client, code, ("code_verifier", OAuthFlow.Verifier));

        AssertInvalidGrant(await flow.ExchangeAsync(client, code));
        AssertInvalidGrant(await flow.ExchangeAsync(client, code, ("code_verifier", new string('x', 43))));
        AssertInvalidGrant(await ExchangeAsync(client, code, ("redirect_uri", "https://client.example/elsewhere"), ("code_verifier", OAuthFlow.Verifier)));
        var second = await flow.RefreshAsync(client, first["refresh_token"]!);
        Assert.Equal(HttpStatusCode.OK, second.Status);
        Assert.Empty(await app.Database.EventsAsync(AuditEvents.CodeReplayDetected, "client_id", client.Id));

        AssertInvalidGrant(await flow.ExchangeAsync(client, code, ("code_verifier", OAuthFlow.Verifier)));

        Assert.Equal(HttpStatusCode.Unauthorized, (await flow.SessionsAsync(second["access_token"]!)).Status);
        AssertInvalidGrant(await flow.RefreshAsync(client, second["refresh_token"]!));
    }

    /// <summary>A scope that an operator withdrew in the minute between the sign-in and the exchange.</summary>
    [Fact]
    public async Task Exchange_grants_no_scope_that_was_withdrawn_from_the_client()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var some = await flow.CodeAsync(client, "user_withdrawn_early", ("scope", "jobs:read resume:read"));
        var none = await flow.CodeAsync(client, "user_withdrawn_early", ("scope", "resume:read"));
        Assert.Null(await app.Get<ClientService>().UpdateAsync(client.Id, new ClientChange(Scopes: ["jobs:read"])));

        var tokens = await flow.ExchangeAsync(client, some);

        Assert.Equal("jobs:read", tokens["scope"]);
        AssertInvalidGrant(await flow.ExchangeAsync(client, none), "withdrawn");
        Assert.Equal("jobs:read", (await flow.RefreshAsync(client, tokens["refresh_token"]!))["scope"]);
    }

    /// <summary>oauth.md 8.</summary>
    [Fact]
    public async Task Exchange_by_another_client_does_not_consume_the_code()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_other_client");

        AssertInvalidGrant(await flow.ExchangeAsync(await OAuthFlow.AddClientAsync(app), code));
        Assert.Equal("invalid_client", (await flow.ExchangeAsync(client with { Secret = null }, code)).Error);

        Assert.Equal(HttpStatusCode.OK, (await flow.ExchangeAsync(client, code)).Status);
    }

    /// <summary>oauth.md 8: byte for byte what the authorization request named, and named if it was.</summary>
    [Theory]
    [InlineData("https://client.example/callback/")]
    [InlineData("https://client.example/Callback")]
    [InlineData("https://client.example/callback?x=1")]
    [InlineData(null)]
    public async Task Exchange_with_another_redirect_uri_is_refused_and_does_not_consume(string? presented)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_redirect");

        AssertInvalidGrant(await ExchangeAsync(client, code, ("redirect_uri", presented)), "redirect_uri");

        Assert.Equal(HttpStatusCode.OK, (await flow.ExchangeAsync(client, code)).Status);
    }

    /// <summary>RFC 6749 4.1.3: redirect_uri is required only if the authorization request included it.</summary>
    [Fact]
    public async Task Exchange_without_redirect_uri_works_when_the_authorization_request_named_none()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_no_redirect", ("redirect_uri", null));

        AssertInvalidGrant(await flow.ExchangeAsync(client, code), "redirect_uri");

        Assert.Equal(HttpStatusCode.OK, (await ExchangeAsync(client, code, ("redirect_uri", null))).Status);
    }

    /// <summary>oauth.md 8.</summary>
    [Fact]
    public async Task Exchange_with_the_verifier_of_the_challenge_succeeds()
    {
        var client = await OAuthFlow.AddClientAsync(app, isPublic: true);
        var code = await flow.CodeAsync(client, "user_pkce", WithChallenge);

        AssertInvalidGrant(await flow.ExchangeAsync(client, code), "code_verifier");
        AssertInvalidGrant(await flow.ExchangeAsync(client, code, ("code_verifier", OAuthFlow.Verifier[..^1] + "l")), "code_verifier");
        AssertInvalidGrant(await flow.ExchangeAsync(client, code, ("code_verifier", OAuthFlow.Challenge)), "code_verifier"); // not "plain"

        Assert.Equal(HttpStatusCode.OK, (await flow.ExchangeAsync(client, code, ("code_verifier", OAuthFlow.Verifier))).Status);
    }

    /// <summary>oauth.md 8: RFC 7636 4.1 allows 43 to 128 characters.</summary>
    [Theory]
    [InlineData(42, HttpStatusCode.BadRequest)]
    [InlineData(43, HttpStatusCode.OK)]
    [InlineData(128, HttpStatusCode.OK)]
    [InlineData(129, HttpStatusCode.BadRequest)]
    public async Task Exchange_takes_verifiers_of_43_to_128_characters(int length, HttpStatusCode expected)
    {
        var client = await OAuthFlow.AddClientAsync(app, isPublic: true);
        var verifier = new string('~', length);
        var code = await flow.CodeAsync(client, "user_length", ("code_challenge", IndependentChallenge(verifier)), ("code_challenge_method", "S256"));

        var answer = await flow.ExchangeAsync(client, code, ("code_verifier", verifier));

        Assert.Equal(expected, answer.Status);
        Assert.Equal(expected == HttpStatusCode.OK ? null : "invalid_grant", answer.Error);
    }

    /// <summary>oauth.md 8: RFC 9700 2.1.1, against PKCE downgrade.</summary>
    [Fact]
    public async Task Exchange_with_a_verifier_but_without_a_challenge_is_refused()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_downgrade");

        AssertInvalidGrant(await flow.ExchangeAsync(client, code, ("code_verifier", OAuthFlow.Verifier)), "code_challenge");

        Assert.Equal(HttpStatusCode.OK, (await flow.ExchangeAsync(client, code)).Status);
    }

    /// <summary>oauth.md 8 and 18.</summary>
    [Fact]
    public async Task Exchange_with_another_resource_is_invalid_target_and_does_not_consume()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_resource", ("resource", app.BaseUrl + "/gpt"));

        var refused = await flow.ExchangeAsync(client, code, ("resource", "https://elsewhere.example"));
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_target"), (refused.Status, refused.Error));

        Assert.Equal(HttpStatusCode.OK, (await flow.ExchangeAsync(client, code, ("resource", app.BaseUrl + "/gpt"))).Status);
    }

    [Theory]
    [InlineData(55, HttpStatusCode.OK)]
    [InlineData(61, HttpStatusCode.BadRequest)]
    public async Task Exchange_works_for_60_seconds(int secondsLater, HttpStatusCode expected)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_expiry");
        app.Clock.Advance(TimeSpan.FromSeconds(secondsLater));

        var answer = await flow.ExchangeAsync(client, code);

        Assert.Equal(expected, answer.Status);
        Assert.Equal(expected == HttpStatusCode.OK ? null : "invalid_grant", answer.Error);
    }

    [Fact]
    public async Task Exchange_for_a_deleted_user_is_refused()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_deleted");
        await app.Database.ExecuteAsync("UPDATE users SET deleted_at = now() WHERE clerk_user_id = 'user_deleted'");

        AssertInvalidGrant(await flow.ExchangeAsync(client, code), "account");
    }

    [Fact]
    public async Task Exchange_of_an_unknown_code_is_invalid_grant() =>
        AssertInvalidGrant(await flow.ExchangeAsync(await OAuthFlow.AddClientAsync(app), "no-such-code"), "unknown");

    /// <summary>PostgreSQL holds the hash only.</summary>
    [Fact]
    public async Task Code_and_refresh_token_are_stored_as_hashes_only()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_hash");
        var tokens = await flow.ExchangeAsync(client, code);

        Assert.Equal(
            1, await app.Database.ScalarAsync<long>("SELECT count(*) FROM gpt_authorization_codes WHERE code_hash = sha256(convert_to($1, 'UTF8'))", code));
        Assert.Equal(
            1,
            await app.Database.ScalarAsync<long>(
                "SELECT count(*) FROM gpt_refresh_tokens WHERE token_hash = sha256(convert_to($1, 'UTF8'))", tokens["refresh_token"]!));
    }

    private static string IndependentChallenge(string verifier) =>
        Convert.ToBase64String(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.ASCII.GetBytes(verifier))).TrimEnd('=').Replace('+', '-')
            .Replace('/', '_');

    private static void AssertInvalidGrant(JsonAnswer answer, string hint = "")
    {
        Assert.True((answer.Status, answer.Error) == (HttpStatusCode.BadRequest, "invalid_grant"), answer.Text);
        Assert.Contains(hint, answer["error_description"], StringComparison.Ordinal);
    }

    /// <summary>An exchange with parameters in place of the usual ones.</summary>
    private Task<JsonAnswer> ExchangeAsync(TestClient client, string code, params (string Name, string? Value)[] instead)
    {
        (string Name, string? Value)[] usual = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", client.RedirectUri)];
        return flow.PostAsync("/oauth/token", client, [.. usual.Where(parameter => !instead.Any(other => other.Name == parameter.Name)), .. instead]);
    }

    private async Task AssertDeadAsync(TestClient client, JsonAnswer tokens)
    {
        var refused = await flow.SessionsAsync(tokens["access_token"]!);
        Assert.Equal((HttpStatusCode.Unauthorized, "invalid_token"), (refused.Status, refused.Error));
        Assert.Equal("""{"active":false}""", (await flow.IntrospectAsync(client, tokens["access_token"]!)).Text);
        AssertInvalidGrant(await flow.RefreshAsync(client, tokens["refresh_token"]!));
    }
}
