using System.Net;
using System.Text.Json;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 10: what the answers look like.</summary>
public sealed class TokenResponseTests(AppFixture<TokenResponseTests> fixture) : IClassFixture<AppFixture<TokenResponseTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    /// <summary>RFC 6749 5.1.</summary>
    [Fact]
    public async Task Token_answers_have_exactly_the_members_of_the_standard()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var exchanged = await flow.TokensAsync(client, "user_members", ("scope", "jobs:read resume:read"));
        var refreshed = await flow.RefreshAsync(client, exchanged["refresh_token"]!);

        foreach (var answer in (JsonAnswer[])[exchanged, refreshed])
        {
            Assert.Equal(
                ["access_token", "expires_in", "refresh_token", "scope", "token_type"],
                answer.Json.EnumerateObject().Select(member => member.Name).Order(StringComparer.Ordinal));
            Assert.Equal("Bearer", answer["token_type"]);
            Assert.Equal(JsonValueKind.Number, answer.Json.GetProperty("expires_in").ValueKind);
            Assert.Equal(900, answer.Json.GetProperty("expires_in").GetInt32());
            Assert.Equal("jobs:read resume:read", answer["scope"]);
            Assert.Matches("^gpt_rt_[A-Za-z0-9_-]{43}$", answer["refresh_token"]);
        }
    }

    /// <summary>A missing scope means all of the client's.</summary>
    [Fact]
    public async Task Token_answer_names_the_default_scopes_when_none_were_asked_for()
    {
        var client = await OAuthFlow.AddClientAsync(app, scopes: ["jobs:read", "applications:read"]);

        Assert.Equal("jobs:read applications:read", (await flow.TokensAsync(client, "user_default_scope"))["scope"]);
    }

    [Fact]
    public async Task Answers_are_never_stored_and_tell_clients_in_browsers_so()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_no_store");
        JsonAnswer[] answers =
        [
            tokens,
            await flow.RefreshAsync(client, tokens["refresh_token"]!),
            await flow.RefreshAsync(client, "unknown"),
            await flow.RefreshAsync(client with { Secret = "wrong" }, "unknown"),
            await flow.PostFormAsync("/oauth/token", null),
            await flow.PostFormAsync("/oauth/token", null, ("grant_type", "password"), ("client_id", client.Id), ("client_secret", client.Secret)),
            await flow.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/oauth/token")),
            await flow.IntrospectAsync(client, tokens["access_token"]!),
            await flow.IntrospectAsync(client, "unknown"),
            await flow.SessionsAsync(tokens["access_token"]!),
            await flow.SessionsAsync("unknown"),
            await flow.RevokeAsync(client, "unknown"),
        ];

        Assert.All(answers, answer =>
        {
            Assert.True(answer.Headers.CacheControl?.NoStore, answer.Text);
            Assert.Equal("nosniff", Assert.Single(answer.Headers.GetValues("X-Content-Type-Options")));
        });
    }

    [Theory]
    [InlineData(null, "invalid_request")]
    [InlineData("", "invalid_request")]
    [InlineData("password", "unsupported_grant_type")]
    [InlineData("client_credentials", "unsupported_grant_type")]
    public async Task Grant_type_other_than_the_two_is_refused(string? grantType, string error)
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var answer = await flow.PostAsync("/oauth/token", client, ("grant_type", grantType));

        Assert.Equal((HttpStatusCode.BadRequest, error), (answer.Status, answer.Error));
    }

    [Theory]
    [InlineData("authorization_code", "code")]
    [InlineData("refresh_token", "refresh_token")]
    public async Task Grant_without_its_parameter_is_invalid_request_that_names_it(string grantType, string missing)
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var answer = await flow.PostAsync("/oauth/token", client, ("grant_type", grantType));

        Assert.Equal((HttpStatusCode.BadRequest, "invalid_request"), (answer.Status, answer.Error));
        Assert.StartsWith(missing + " is missing", answer["error_description"], StringComparison.Ordinal);
    }
}
