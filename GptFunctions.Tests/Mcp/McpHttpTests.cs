using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Mcp;

public sealed class McpHttpFixture : McpFixture<McpHttpTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings =>
        [new("UPSTREAM_KEY", "the-key"), new("GATEWAY_EXPENSIVE_LIMIT", "2")];
}

/// <summary>mcp.md 4 to 6, 10 to 14: who may, what a host is told, and what of HTTP and JSON-RPC is refused.</summary>
public sealed class McpHttpTests(McpHttpFixture fixture) : IClassFixture<McpHttpFixture>
{
    private const string Least = "jobs:read resume:read";
    private readonly TestApp app = fixture.App;
    private readonly McpTestClient mcp = fixture.Client;

    private string Metadata => $"resource_metadata=\"{app.BaseUrl}/.well-known/oauth-protected-resource/gpt/mcp\"";

    [Fact]
    public async Task Discover_and_the_handshake_of_older_versions_say_who_we_are()
    {
        var user = await fixture.Users.AddAsync();

        var discovered = await mcp.SendAsync(user.Token, "server/discover");
        var greeted = await mcp.PostAsync(user.Token, """
            { "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "protocolVersion": "2025-06-18", "capabilities": {},
              "clientInfo": { "name": "old", "version": "1" } } }
            """);
        var followed = await mcp.PostAsync(
            user.Token, """{ "jsonrpc": "2.0", "method": "notifications/initialized" }""", ("MCP-Protocol-Version", "2025-06-18"));
        var listed = await mcp.PostAsync(user.Token, """{ "jsonrpc": "2.0", "id": "b", "method": "tools/list" }""", ("MCP-Protocol-Version", "2025-06-18"));

        Assert.Contains(McpTestClient.Newest, discovered.Result.GetProperty("supportedVersions").EnumerateArray().Select(one => one.GetString()));
        Assert.Equal("For tests.", discovered.Result.GetProperty("instructions").GetString());
        Assert.Equal("2025-06-18", greeted.Result.GetProperty("protocolVersion").GetString());
        Assert.Equal("tests", greeted.Result.GetProperty("serverInfo").GetProperty("name").GetString());
        Assert.Equal((202, ""), (followed.Status, followed.Text));
        Assert.Equal("b", listed.Json.GetProperty("id").GetString());
        Assert.False(greeted.Response.Headers.Contains("Mcp-Session-Id"));
        Assert.True(listed.Response.Headers.CacheControl!.NoStore);
    }

    [Fact]
    public async Task No_token_is_401_with_the_least_scopes_and_a_bad_one_says_so()
    {
        var none = await mcp.SendAsync(null, "tools/list");
        var bad = await mcp.SendAsync("nonsense", "tools/list");
        var user = await fixture.Users.AddAsync();
        await app.Database.ScalarAsync<string>("UPDATE gpt_sessions SET revoked_at = now(), revoke_reason = 'user' WHERE id = $1", user.SessionId);
        McpAnswer revoked = null!;
        await Wait.UntilAsync(async () => (revoked = await mcp.SendAsync(user.Token, "tools/list")).Status == 401);

        Assert.Equal((401, $"Bearer {Metadata}, scope=\"{Least}\""), (none.Status, none.Challenge));
        Assert.Equal(401, bad.Status);
        Assert.StartsWith($"Bearer {Metadata}, scope=\"{Least}\", error=\"invalid_token\"", bad.Challenge, StringComparison.Ordinal);
        Assert.Contains("error_description=\"session revoked\"", revoked.Challenge, StringComparison.Ordinal);
    }

    /// <summary>RFC 8707: an endpoint's own token opens it and its tools, and nothing else.</summary>
    [Fact]
    public async Task Token_for_the_endpoint_alone_calls_tools_and_no_route()
    {
        var user = await fixture.Users.AddAsync();
        var token = app.Get<AccessTokens>().Issue(user.Subject, user.ClientId, user.SessionId, GatewayUsers.AllScopes, app.BaseUrl + "/gpt/mcp");
        RunLog.NoteSecret(token);

        var tool = await mcp.CallAsync(token, "answer", """{ "what": "x" }""");
        using var route = await app.Http.CallAsync(token, "/gpt/answer/x");

        Assert.False(tool.IsError, tool.Text);
        Assert.Equal(HttpStatusCode.Unauthorized, route.StatusCode);
        var resource = JsonElement.Parse(await app.Http.GetStringAsync(new Uri("/.well-known/oauth-protected-resource/gpt/mcp", UriKind.Relative)));
        Assert.Equal((app.BaseUrl + "/gpt/mcp", "Tests"), (resource.GetProperty("resource").GetString(), resource.GetProperty("resource_name").GetString()));
        Assert.Equal(
            ["jobs:read", "applications:write", "resume:read"], resource.GetProperty("scopes_supported").EnumerateArray().Select(one => one.GetString()));
    }

    [Fact]
    public async Task Scope_that_a_tool_needs_is_403_that_names_what_the_token_has_and_what_it_needs()
    {
        var user = await fixture.Users.AddAsync(scope: "jobs:read resume:read");

        var answer = await mcp.CallAsync(user.Token, "write", """{ "body": [] }""");

        Assert.Equal(403, answer.Status);
        Assert.Equal(
            $"Bearer {Metadata}, scope=\"jobs:read resume:read applications:write\", error=\"insufficient_scope\", "
                + "error_description=\"The scope applications:write is needed.\"", answer.Challenge);
        Assert.True(answer.IsError);
        Assert.Contains("lacks the scope applications:write", answer.Sentence, StringComparison.Ordinal);
        Assert.Equal(7, answer.Json.GetProperty("id").GetInt32());
        Assert.Equal(
            [answer.Challenge], answer.Result.GetProperty("_meta").GetProperty("mcp/www_authenticate").EnumerateArray().Select(one => one.GetString()));
    }

    /// <summary>All tools that the client may ever get, whatever this token has; and no others.</summary>
    [Fact]
    public async Task List_shows_the_tools_of_the_clients_scopes_in_the_order_of_the_routes()
    {
        var narrow = await fixture.Users.AddAsync(scope: "jobs:read");
        var limited = await fixture.Users.AddAsync(scope: "jobs:read", of: await OAuthFlow.AddClientAsync(app, scopes: ["jobs:read"]));

        var all = await mcp.SendAsync(narrow.Token, "tools/list");
        var some = await mcp.SendAsync(limited.Token, "tools/list");

        Assert.Equal(
            ["echo", "echo_delete", "write", "answer", "open", "promises", "special", "dead", "get_profile"],
            all.Result.GetProperty("tools").EnumerateArray().Select(tool => tool.GetProperty("name").GetString()));
        Assert.Equal(
            ["echo", "echo_delete", "answer", "open", "promises", "dead", "get_profile"],
            some.Result.GetProperty("tools").EnumerateArray().Select(tool => tool.GetProperty("name").GetString()));
        Assert.Equal((300_000, "private"), (all.Result.GetProperty("ttlMs").GetInt32(), all.Result.GetProperty("cacheScope").GetString()));
        var write = all.Result.GetProperty("tools")[2];
        Assert.Equal("""[{"type":"oauth2","scopes":["applications:write"]}]""", write.GetProperty("securitySchemes").GetRawText());
        Assert.Equal("""[{"type":"oauth2","scopes":["applications:write"]}]""", write.GetProperty("_meta").GetProperty("securitySchemes").GetRawText());
    }

    [Fact]
    public async Task Profile_is_for_any_token_and_its_id_is_stable_and_another_for_each_client()
    {
        var user = await fixture.Users.AddAsync(scope: "jobs:read");
        await app.Database.ScalarAsync<string>("UPDATE users SET name = 'Ada', email = NULL WHERE id = $1", user.Id);
        var elsewhere = await fixture.Users.AddAsync(user.Subject, of: await OAuthFlow.AddClientAsync(app));

        var profiles = new[]
        {
            await mcp.CallAsync(user.Token, "get_profile"), await mcp.CallAsync(user.Token, "get_profile"),
            await mcp.CallAsync(elsewhere.Token, "get_profile"),
        }.Select(answer => answer.Result.GetProperty("structuredContent")).ToArray();

        Assert.Equal("Ada", profiles[0].GetProperty("name").GetString());
        Assert.False(profiles[0].TryGetProperty("email", out _));
        Assert.Equal(profiles[0].GetProperty("id").GetString(), profiles[1].GetProperty("id").GetString());
        Assert.NotEqual(profiles[0].GetProperty("id").GetString(), profiles[2].GetProperty("id").GetString());
        Assert.DoesNotContain(user.Id.ToString(), profiles[0].GetRawText(), StringComparison.Ordinal);
    }

    /// <summary>The same bucket as the route's own calls; what is no call of a route has one of its own.</summary>
    [Fact]
    public async Task Calls_count_with_those_of_the_route_and_the_rest_120_times_a_minute_for_a_session()
    {
        var user = await fixture.Users.AddAsync();

        using var http = await app.Http.CallAsync(user.Token, "/gpt/write", HttpMethod.Post, JsonContent("[]"));
        var second = await mcp.CallAsync(user.Token, "write", """{ "body": [] }""");
        var third = await mcp.CallAsync(user.Token, "write", """{ "body": [] }""");
        var others = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => mcp.SendAsync(user.Token, "tools/list")));

        Assert.Equal((HttpStatusCode.OK, false), (http.StatusCode, second.IsError));
        Assert.Equal((200, true), (third.Status, third.IsError));
        Assert.StartsWith("All 2 calls of this kind per 60 seconds are used up. Wait ", third.Sentence, StringComparison.Ordinal);
        Assert.InRange(third.Result.GetProperty("_meta").GetProperty("retry_after_seconds").GetInt32(), 1, 60);
        Assert.InRange(others.Count(one => one.Status == 200), 120, 199); // one comes back after each half second
        var refused = others.First(one => one.Status == 429);
        Assert.Equal((-32000, 7), (refused.ErrorCode, refused.Json.GetProperty("id").GetInt32()));
        Assert.InRange(refused.Response.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
    }

    [Fact]
    public async Task Call_leaves_the_same_audit_events_as_over_http()
    {
        var user = await fixture.Users.AddAsync();

        await mcp.CallAsync(user.Token, "write", """{ "body": [] }""");

        var attempt = Assert.Single(await app.Database.EventsAsync("gpt.action.write", "clerk_user_id", user.Subject));
        Assert.Equal(user.SessionId.ToString(), attempt.GetProperty("payload").GetProperty("session_id").GetString());
        Assert.Equal([200], await app.Database.ActionStatusesAsync(user.Subject, 1));
    }

    [Fact]
    public async Task Caller_who_hangs_up_ends_the_call_of_the_upstream()
    {
        var user = await fixture.Users.AddAsync();
        var (open, hungUp) = (await fixture.Upstream.CountAsync("open"), await fixture.Upstream.CountAsync("hungUp"));
        using var impatient = new HttpClient { BaseAddress = app.Http.BaseAddress, DefaultRequestHeaders = { Authorization = new("Bearer", user.Token) } };
        var call = impatient.PostAsync(
            new Uri("/gpt/mcp", UriKind.Relative),
            JsonContent("""{ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "open", "arguments": { "what": "slow" } } }"""));
        await Wait.UntilAsync(async () => await fixture.Upstream.CountAsync("open") > open);
        impatient.CancelPendingRequests();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await Wait.UntilAsync(async () => await fixture.Upstream.CountAsync("hungUp") > hungUp);
    }

    [Theory]
    [InlineData("[]", -32600)]
    [InlineData(""" [{ "jsonrpc": "2.0", "id": 1, "method": "ping" }]""", -32600)]
    [InlineData("{", -32700)]
    [InlineData("", -32700)]
    [InlineData("7", -32600)]
    [InlineData("{}", -32600)]
    [InlineData("""{ "jsonrpc": "1.0", "id": 1, "method": "ping" }""", -32600)]
    [InlineData("""{ "jsonrpc": "2.0", "id": null, "method": "ping" }""", -32600)]
    [InlineData("""{ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": [] }""", -32602)]
    [InlineData("""{ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "cursor": 7 } }""", -32602)]
    [InlineData("""{ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": 7 } }""", -32602)]
    [InlineData("""{ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {} }""", -32602)]
    [InlineData("""{ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": 7 } }""", -32602)]
    [InlineData("""{ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "echo", "arguments": [] } }""", -32602)]
    [InlineData("""{ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {} }""", -32602)]
    public async Task Message_that_is_none_is_400(string body, int code)
    {
        var user = await fixture.Users.AddAsync();

        var answer = await mcp.PostAsync(user.Token, body);

        Assert.Equal((400, code), (answer.Status, answer.ErrorCode));
        Assert.EndsWith(".", answer.Json.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    /// <summary>MCP 2026-07-28: headers and body say the same.</summary>
    [Theory]
    [InlineData("Mcp-Method", "tools/list", 400, -32020)]
    [InlineData("Mcp-Method", null, 400, -32020)]
    [InlineData("Mcp-Name", "write", 400, -32020)]
    [InlineData("Mcp-Name", null, 400, -32020)]
    [InlineData("Mcp-Name", "=?base64?YW5zd2Vy?=", 200, 0)]
    [InlineData("MCP-Protocol-Version", null, 400, -32020)]
    [InlineData("MCP-Protocol-Version", "2025-11-25", 400, -32020)]
    [InlineData("MCP-Protocol-Version", "2099-01-01", 400, -32022)]
    public async Task Header_that_says_something_else_than_the_body_is_400(string header, string? value, int status, int code)
    {
        var user = await fixture.Users.AddAsync();

        var answer = await mcp.CallAsync(user.Token, "answer", """{ "what": "x" }""", (header, value));

        Assert.True(status == answer.Status, answer.Text);
        Assert.Equal(code, status == 200 ? 0 : answer.ErrorCode);
        Assert.Equal(7, answer.Json.GetProperty("id").GetInt32());
    }

    [Fact]
    public async Task Newest_version_needs_its_meta_in_each_request_and_knows_no_handshake()
    {
        var user = await fixture.Users.AddAsync();

        var empty = await mcp.SendAsync(user.Token, "tools/list", new JsonObject { ["_meta"] = new JsonObject() });
        var unknown = await mcp.SendAsync(user.Token, "no/such");
        var ping = await mcp.SendAsync(user.Token, "ping");
        var nobody = await mcp.CallAsync(user.Token, "no-such-tool");

        Assert.Equal((400, -32602), (empty.Status, empty.ErrorCode));
        Assert.Equal((404, -32601), (unknown.Status, unknown.ErrorCode));
        Assert.Equal((404, -32601), (ping.Status, ping.ErrorCode));
        Assert.Equal((200, -32602), (nobody.Status, nobody.ErrorCode));
    }

    [Theory]
    [InlineData("GET", 405)]
    [InlineData("DELETE", 405)]
    [InlineData("PUT", 405)]
    [InlineData("OPTIONS", 204)]
    public async Task Other_methods_are_405(string method, int status)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri("/gpt/mcp", UriKind.Relative));

        using var response = await app.Http.SendAsync(request);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.True(status == 204 || response.Content.Headers.Allow.Contains("POST"));
    }

    [Fact]
    public async Task Message_over_1_MB_is_413()
    {
        var user = await fixture.Users.AddAsync();

        var answer = await mcp.PostAsync(user.Token, new string(' ', (1024 * 1024) + 1));

        Assert.Equal(413, answer.Status);
    }

    [Theory]
    [InlineData("https://evil.example.com", false)]
    [InlineData("null", false)]
    [InlineData("https://app.example.com.evil.example", false)]
    [InlineData("https://app.example.com", true)]
    [InlineData("http://localhost:6274", true)] // in Development
    [InlineData("OURS", true)]
    public async Task Origin_that_is_not_listed_is_403_and_a_listed_one_may_read_the_answer(string origin, bool isAllowed)
    {
        origin = origin == "OURS" ? app.BaseUrl : origin;
        var user = await fixture.Users.AddAsync();

        var answer = await mcp.SendAsync(user.Token, "tools/list", headers: ("Origin", origin));
        var refused = await mcp.SendAsync(null, "tools/list", headers: ("Origin", origin));
        using var preflight = new HttpRequestMessage(HttpMethod.Options, new Uri("/gpt/mcp", UriKind.Relative));
        preflight.Headers.TryAddWithoutValidation("Origin", origin);
        preflight.Headers.TryAddWithoutValidation("Access-Control-Request-Headers", "authorization, mcp-param-x, x-evil");
        using var asked = await app.Http.SendAsync(preflight);

        Assert.Equal(isAllowed ? (200, 401, 204) : (403, 403, 403), (answer.Status, refused.Status, (int)asked.StatusCode));
        Assert.Equal(isAllowed, answer.Response.Headers.TryGetValues("Access-Control-Allow-Origin", out var allowed) && allowed.Single() == origin);
        if (isAllowed)
        {
            Assert.Contains("WWW-Authenticate", Assert.Single(refused.Response.Headers.GetValues("Access-Control-Expose-Headers")), StringComparison.Ordinal);
            var names = Assert.Single(asked.Headers.GetValues("Access-Control-Allow-Headers"));
            Assert.Contains("mcp-param-x", names, StringComparison.Ordinal);
            Assert.DoesNotContain("x-evil", names, StringComparison.Ordinal);
            Assert.False(asked.Headers.Contains("Access-Control-Allow-Credentials"));
        }
    }

    /// <summary>Nothing of a conversation is kept: any request may go to any process.</summary>
    [Fact]
    public async Task Two_processes_answer_any_request()
    {
        await using var one = await AppProcess.StartAsync(app.Settings);
        await using var two = await AppProcess.StartAsync(app.Settings);
        var user = await fixture.Users.AddAsync();
        var both = new[] { new McpTestClient(one.Http), new McpTestClient(two.Http) };

        for (var number = 0; number < 4; number++)
        {
            Assert.Equal(200, (await both[number % 2].SendAsync(user.Token, "server/discover")).Status);
            Assert.False((await both[(number + 1) % 2].CallAsync(user.Token, "answer", """{ "what": "x" }""")).IsError);
        }
    }

    private static StringContent JsonContent(string text) => new(text, System.Text.Encoding.UTF8, "application/json");
}
