using System.Net;
using System.Text.Json;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 18 and 19, gateway.md 19: the gateway and the MCP endpoints beneath it (RFC 8707, RFC 9728).</summary>
public sealed class ResourceTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = new(fixture.App.Http);

    private string Gateway => app.BaseUrl + "/gpt";

    private string Mcp => app.BaseUrl + "/gpt/mcp";

    private string Team => app.BaseUrl + "/gpt/team/mcp";

    /// <summary>RFC 9728 3.3: the resource is identical to the URL that the metadata was found for.</summary>
    [Theory]
    [InlineData("", "/gpt", "jobs:read applications:read applications:write resume:read")]
    [InlineData("/gpt", "/gpt", "jobs:read applications:read applications:write resume:read")]
    [InlineData("/gpt/mcp", "/gpt/mcp", "jobs:read applications:write")] // two routes of one path
    [InlineData("/gpt/team/mcp", "/gpt/team/mcp", "resume:read")]
    public async Task Metadata_of_a_resource_names_that_resource_and_its_scopes(string path, string resource, string scopes)
    {
        var metadata = JsonElement.Parse(await app.Http.GetStringAsync(new Uri("/.well-known/oauth-protected-resource" + path, UriKind.Relative)));

        Assert.Equal(app.BaseUrl + resource, metadata.GetProperty("resource").GetString());
        Assert.Equal(scopes, string.Join(' ', metadata.GetProperty("scopes_supported").EnumerateArray()));
        Assert.Equal(app.BaseUrl, Assert.Single(metadata.GetProperty("authorization_servers").EnumerateArray()).GetString());
        Assert.Equal(resource != "/gpt", metadata.TryGetProperty("resource_name", out _));
    }

    [Theory]
    [InlineData("/gpt/mcp/")]
    [InlineData("/gpt/mcp/more")]
    [InlineData("/gpt/echo")]
    [InlineData("/GPT/mcp")]
    [InlineData("/mcp")]
    public async Task Metadata_of_anything_else_is_404_that_scripts_may_read(string path)
    {
        using var response = await app.Http.GetAsync(new Uri("/.well-known/oauth-protected-resource" + path, UriKind.Relative));

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal("*", Assert.Single(response.Headers.GetValues("Access-Control-Allow-Origin")));
        Assert.Contains(Mcp, (await response.ProblemAsync()).GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/gpt/mcp", "/gpt/mcp", "jobs:read")]
    [InlineData("/gpt/team/mcp", "/gpt/team/mcp", "resume:read")]
    [InlineData("/gpt/echo", "/gpt", "jobs:read")]
    public async Task Challenge_names_the_metadata_of_the_endpoint_and_its_scope(string path, string resource, string scope)
    {
        using var missing = await app.Http.CallAsync(null, path);
        using var bad = await app.Http.CallAsync("nonsense", path);

        var challenge = $"Bearer resource_metadata=\"{app.BaseUrl}/.well-known/oauth-protected-resource{resource}\", scope=\"{scope}\"";
        Assert.Equal((HttpStatusCode.Unauthorized, challenge), (missing.StatusCode, missing.Headers.WwwAuthenticate.ToString()));
        Assert.StartsWith(challenge + ", error=\"invalid_token\"", bad.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
    }

    /// <summary>MCP hosts ask for what the challenge names, instead of what they have: so it names both.</summary>
    [Fact]
    public async Task Challenge_for_more_scope_names_what_the_token_has_too()
    {
        var token = await TokenAsync("user_step_up", ("resource", Team), ("scope", "jobs:read applications:read"));

        using var response = await app.Http.CallAsync(token, "/gpt/team/mcp", HttpMethod.Post);

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Contains("scope=\"jobs:read applications:read resume:read\", error=\"insufficient_scope\"",
            response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "/gpt /gpt/mcp /gpt/team/mcp", "/gpt/echo /gpt/mcp /gpt/team/mcp")]
    [InlineData("/gpt", "/gpt /gpt/mcp /gpt/team/mcp", "/gpt/echo /gpt/mcp /gpt/team/mcp")]
    [InlineData("/gpt/mcp", "/gpt/mcp", "/gpt/mcp")]
    [InlineData("/gpt/team/mcp", "/gpt/team/mcp", "/gpt/team/mcp")]
    public async Task Token_names_the_resources_that_it_opens_and_opens_no_other(string? resource, string audience, string opens)
    {
        ArgumentNullException.ThrowIfNull(audience);
        ArgumentNullException.ThrowIfNull(opens);
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, $"user_{Guid.NewGuid():N}", ("resource", resource is null ? null : app.BaseUrl + resource));
        var token = tokens["access_token"]!;

        string[] expected = [.. audience.Split(' ').Select(path => app.BaseUrl + path)];
        Assert.Equal(expected, AccessTokenText.Audience(token));
        Assert.Equal(
            AccessTokenText.Claims(token).GetProperty("aud").GetRawText(), (await flow.IntrospectAsync(client, token)).Json.GetProperty("aud").GetRawText());
        Assert.Equal(
            AccessTokenText.Claims(token).GetProperty("aud").GetRawText(),
            (await flow.IntrospectAsync(client, tokens["refresh_token"]!)).Json.GetProperty("aud").GetRawText());
        foreach (var path in (string[])["/gpt/echo", "/gpt/mcp", "/gpt/team/mcp"])
        {
            using var response = await app.Http.CallAsync(token, path, HttpMethod.Post);
            Assert.Equal(opens.Split(' ').Contains(path) ? HttpStatusCode.OK : HttpStatusCode.Unauthorized, response.StatusCode);
        }

        Assert.Single((await flow.SessionsAsync(token)).Json.GetProperty("data").EnumerateArray()); // its own, whatever it is for
    }

    [Fact]
    public async Task Token_of_one_endpoint_is_invalid_token_at_another_and_no_forgery()
    {
        var token = await TokenAsync("user_other_endpoint", ("resource", Mcp));

        using var response = await app.Http.CallAsync(token, "/gpt/echo");

        Assert.Contains("error=\"invalid_token\", error_description=\"The access token is for another service.\"",
            response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        Assert.False(response.Headers.Contains("RateLimit")); // forged ones are counted
    }

    /// <summary>RFC 8707 2.2: for this access token only.</summary>
    [Fact]
    public async Task Exchange_and_refresh_may_narrow_to_an_endpoint_and_the_session_keeps_its_own()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_narrow", ("resource", Gateway));

        var narrow = await flow.ExchangeAsync(client, code, ("resource", Mcp));
        var other = await flow.RefreshAsync(client, narrow["refresh_token"]!, ("resource", Team));
        var again = await flow.RefreshAsync(client, narrow["refresh_token"]!, ("resource", Mcp)); // repeated within the grace
        var whole = await flow.RefreshAsync(client, other["refresh_token"]!);
        var named = await flow.RefreshAsync(client, whole["refresh_token"]!, ("resource", Gateway));

        string[][] expected = [[Mcp], [Team], [Mcp], [Gateway, Mcp, Team], [Gateway, Mcp, Team]];
        Assert.Equal(expected, ((JsonAnswer[])[narrow, other, again, whole, named]).Select(answer => AccessTokenText.Audience(answer["access_token"]!)));
    }

    [Fact]
    public async Task Exchange_and_refresh_never_widen_and_consume_nothing()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_widen", ("resource", Mcp));

        foreach (var wider in (string[])[Gateway, Team, Mcp + "/", app.BaseUrl, "https://elsewhere.example"])
        {
            Assert.Equal("invalid_target", (await flow.ExchangeAsync(client, code, ("resource", wider))).Error);
        }

        var tokens = await flow.ExchangeAsync(client, code, ("resource", Mcp));
        foreach (var wider in (string[])[Gateway, Team, Mcp + "/", app.BaseUrl, "https://elsewhere.example"])
        {
            Assert.Equal("invalid_target", (await flow.RefreshAsync(client, tokens["refresh_token"]!, ("resource", wider))).Error);
        }

        var sessionId = AccessTokenText.SessionId(tokens["access_token"]!);
        Assert.Equal(1, await app.Database.CountAsync("gpt_refresh_tokens", $"session_id = '{sessionId}'"));
        var refreshed = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        Assert.Equal([Mcp], AccessTokenText.Audience(refreshed["access_token"]!));
    }

    [Fact]
    public async Task Authorize_for_something_that_is_no_resource_is_invalid_target_that_names_those_there_are()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        foreach (var resource in (string[])[Gateway + "/echo", Mcp + "/", Mcp.ToUpperInvariant(), app.BaseUrl + "/", "https://elsewhere.example"])
        {
            using var response = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, ("resource", resource)));
            Assert.Equal("invalid_target", OAuthFlow.Parameter(response.Headers.Location!, "error"));
            Assert.Contains(Team, OAuthFlow.Parameter(response.Headers.Location!, "error_description"), StringComparison.Ordinal);
        }
    }

    /// <summary>A replica of the release before, or one that does not know an endpoint yet, issues tokens that do not name it.</summary>
    [Fact]
    public async Task Token_that_names_the_gateway_alone_opens_what_lies_beneath_it()
    {
        await using var replica = await app.StartReplicaAsync(("GATEWAY_CONFIG", fixture.WithoutEndpoints));
        var elsewhere = new OAuthFlow(replica.Http);
        var tokens = await elsewhere.TokensAsync(await OAuthFlow.AddClientAsync(replica), "user_rollout");
        var token = tokens["access_token"]!;

        using var response = await app.Http.CallAsync(token, "/gpt/mcp", HttpMethod.Post);

        Assert.Equal(JsonValueKind.String, AccessTokenText.Claims(token).GetProperty("aud").ValueKind);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    private async Task<string> TokenAsync(string user, params (string Name, string? Value)[] parameters)
    {
        var tokens = await flow.TokensAsync(await OAuthFlow.AddClientAsync(app), user, parameters);
        return tokens["access_token"]!;
    }
}

/// <summary>A gateway with two MCP endpoints, one of them by two routes.</summary>
public sealed class ResourceFixture : GatewayFixture<ResourceTests>
{
    internal string WithoutEndpoints { get; private set; } = "";

    protected override string Configure(string upstream)
    {
        var directory = Directory.CreateTempSubdirectory("gateway-").FullName;
        var echo = $$"""
            { "name": "echo", "methods": ["GET", "POST"], "path": "/gpt/echo", "upstream": "{{upstream}}", "upstreamPath": "/echo",
              "scope": "jobs:read", "tier": "read" }
            """;
        WithoutEndpoints = Path.Combine(directory, "without.json");
        File.WriteAllText(WithoutEndpoints, $$"""{ "routes": [{{echo}}] }""");
        var path = Path.Combine(directory, "resources.json");
        File.WriteAllText(path, $$"""
            { "routes": [{{echo}},
                { "name": "mcp", "methods": ["GET", "DELETE"], "path": "/gpt/mcp", "upstream": "{{upstream}}", "upstreamPath": "/echo",
                  "scope": "jobs:read", "tier": "read", "mcpServer": true },
                { "name": "mcpCalls", "methods": ["POST"], "path": "/gpt/mcp", "upstream": "{{upstream}}", "upstreamPath": "/echo",
                  "scope": "applications:write", "tier": "read", "mcpServer": true },
                { "name": "team", "methods": ["GET", "POST"], "path": "/gpt/team/mcp", "upstream": "{{upstream}}", "upstreamPath": "/echo",
                  "scope": "resume:read", "tier": "read", "mcpServer": true }] }
            """);
        return path;
    }
}
