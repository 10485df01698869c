using System.Text.Json;
using GptFunctions.Tests.Clients;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>Programs that we did not write: an API that checks our assertion, and an MCP client that talks to an MCP server through us.</summary>
public sealed class ForeignClientTests(GatewayFixture<ForeignClientTests> fixture) : IClassFixture<GatewayFixture<ForeignClientTests>>
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);
    private readonly TestApp app = fixture.App;

    /// <summary>gateway.md 6: the assertion is verified by a library that we did not write, with our key set.</summary>
    [Fact]
    public async Task Jose_verifies_the_assertion_with_our_key_set()
    {
        var user = await fixture.Users.AddAsync(plan: "pro");
        var echo = await app.Http.EchoAsync(user);

        var result = JsonElement.Parse(
            await ClientPackages.RunAsync(Patience, "assertion.mjs", app.BaseUrl, new Uri(fixture.Upstream.Url).Authority, echo["x-gpt-assertion"]!));

        var payload = result.GetProperty("payload");
        Assert.Equal(
            (user.Subject, user.Id.ToString(), user.ClientId, GatewayUsers.AllScopes, "pro"),
            (Text("sub"), Text("internal_id"), Text("client_id"), Text("scope"), Text("plan")));
        Assert.Equal(60, payload.GetProperty("exp").GetInt64() - payload.GetProperty("iat").GetInt64());
        Assert.Equal("ERR_JWT_CLAIM_VALIDATION_FAILED", result.GetProperty("otherAudience").GetString());
        Assert.Equal("ERR_JWT_CLAIM_VALIDATION_FAILED", result.GetProperty("otherPort").GetString());
        Assert.Equal("ERR_JWT_EXPIRED", result.GetProperty("later").GetString());

        string? Text(string claim) => payload.GetProperty(claim).GetString();
    }

    /// <summary>Signing is dear: one assertion serves the calls of 20 seconds, unless it would say something else.</summary>
    [Fact]
    public async Task Assertion_is_renewed_after_20_seconds_and_when_the_user_changes()
    {
        await using var replica = await app.StartReplicaAsync();
        var user = await fixture.Users.AddAsync(plan: "basic");
        var first = await AssertionAsync();

        Assert.Equal(first, await AssertionAsync());
        await app.Database.ExecuteAsync($"UPDATE users SET plan = 'pro' WHERE id = '{user.Id}'");
        await Wait.UntilAsync(async () => AccessTokenText.Claims(await AssertionAsync()).GetProperty("plan").GetString() == "pro");
        var second = await AssertionAsync();
        replica.Clock.Advance(TimeSpan.FromSeconds(20));
        Assert.NotEqual(second, await AssertionAsync());

        async Task<string> AssertionAsync() => (await replica.Http.EchoAsync(user))["x-gpt-assertion"]!;
    }

    /// <summary>"`/gpt/mcp`": sessions, server-sent events piece by piece, DELETE, all through the gateway.</summary>
    [Fact]
    public async Task Mcp_client_sees_the_progress_of_a_tool_while_it_works()
    {
        await using var server = await TestUpstream.StartAsync("mcp-server.mjs");
        await using var replica = await app.StartReplicaAsync(("GATEWAY_CONFIG", await WriteRoutesAsync(server)));
        var user = await fixture.Users.AddAsync();

        var result = JsonElement.Parse(
            await ClientPackages.RunAsync(Patience, "mcp-client.mjs", replica.Http.BaseAddress!.GetLeftPart(UriPartial.Authority), user.Token));

        Assert.Equal("jobs", result.GetProperty("server").GetString());
        Assert.Equal([1, 2], result.GetProperty("seen").EnumerateArray().Select(progress => progress.GetInt32()));
        Assert.Equal(user.Id.ToString(), result.GetProperty("internalId").GetString());
        Assert.True(result.GetProperty("hadSession").GetBoolean());
    }

    /// <summary>oauth.md 15: all that an MCP host needs to know is the URL. It finds us, registers itself, and a person agrees.</summary>
    [Fact]
    public async Task Mcp_client_that_knows_only_the_url_registers_signs_a_person_in_and_calls_a_tool()
    {
        await using var server = await TestUpstream.StartAsync("mcp-server.mjs");
        var port = TestApp.FreePort();
        var baseUrl = $"http://127.0.0.1:{port}";
        await using var replica = await app.StartReplicaAsync(
            ("PORT", $"{port}"), ("PUBLIC_BASE_URL", baseUrl), ("GATEWAY_CONFIG", await WriteRoutesAsync(server)));

        var result = JsonElement.Parse(await ClientPackages.RunAsync(Patience, "mcp-sign-in.mjs", baseUrl, "user_mcp"));

        Assert.Equal("UnauthorizedError", result.GetProperty("refusal").GetString());
        Assert.StartsWith("reg_", result.GetProperty("clientId").GetString(), StringComparison.Ordinal);
        Assert.Equal(JsonValueKind.Null, result.GetProperty("clientSecret").ValueKind);
        Assert.StartsWith("jobs:read", result.GetProperty("scope").GetString(), StringComparison.Ordinal); // this one asks for all there is
        Assert.Contains("search", result.GetProperty("tools").EnumerateArray().Select(tool => tool.GetString()));
    }

    private static async Task<string> WriteRoutesAsync(TestUpstream server)
    {
        var routes = Path.Combine(Directory.CreateTempSubdirectory("gateway-").FullName, "mcp.json");
        await File.WriteAllTextAsync(routes, $$"""
            { "routes": [{ "name": "mcp", "methods": ["GET", "POST", "DELETE"], "path": "/gpt/mcp", "upstream": "{{server.Url}}",
                "upstreamPath": "/mcp", "scope": "jobs:read", "tier": "read", "mcpServer": true }] }
            """);
        return routes;
    }
}
