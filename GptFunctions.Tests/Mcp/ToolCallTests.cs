using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Mcp;

public sealed class ToolCallFixture : McpFixture<ToolCallTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings =>
        [new("UPSTREAM_KEY", "the-key"), new("GATEWAY_READ_LIMIT", "1000"), new("GATEWAY_EXPENSIVE_LIMIT", "3")];
}

/// <summary>mcp.md 7 to 9: a call of a tool goes the way of an HTTP call of its route, and its result is something that a model can act on.</summary>
public sealed class ToolCallTests(ToolCallFixture fixture) : IClassFixture<ToolCallFixture>
{
    private readonly McpTestClient mcp = fixture.Client;

    [Fact]
    public async Task Arguments_become_path_query_headers_and_body_and_the_upstream_gets_the_identity()
    {
        var user = await fixture.Users.AddAsync();

        var answer = await mcp.CallAsync(
            user.Token, "echo",
            """{ "id": "a b", "limit": 5, "tags": ["x", "y z"], "filter": { "q": 1 }, "x-tenant": "acme", "text": "Grüße", "count": null }""",
            ("x-internal-id", "forged"), ("x-tenant", "other"), ("User-Agent", "Host/1"), ("x-correlation-id", "abc-1"), ("x-key", "theirs"),
            ("Cookie", "a=b"));

        var echo = answer.Echo;
        Assert.Equal(("POST", "/echo/a%20b?limit=5&tags=x&tags=y%20z&filter%5Bq%5D=1"), (echo.Method, echo.Url));
        Assert.Equal("""{"text":"Grüße","count":null}""", System.Text.Encoding.UTF8.GetString(System.Text.Encoding.Latin1.GetBytes(echo.Body)));
        Assert.Equal(
            ("application/json", "acme", "the-key", "Host/1", "abc-1"),
            (echo["content-type"], echo["x-tenant"], echo["x-key"], echo["user-agent"], echo["x-correlation-id"]));
        Assert.Equal((user.Id.ToString(), user.Subject, user.ClientId), (echo["x-internal-id"], echo["x-clerk-user-id"], echo["x-gpt-client-id"]));
        Assert.Equal(GatewayUsers.AllScopes, echo["x-gpt-scopes"]);
        Assert.NotNull(echo["x-gpt-assertion"]);
        Assert.Null(echo["cookie"]);
        Assert.Null(echo["mcp-method"]);
        Assert.Null(echo["authorization"]);
        Assert.Equal("abc-1", Assert.Single(answer.Response.Headers.GetValues("x-correlation-id")));
        // An object is structured content, and the same as text.
        Assert.False(answer.IsError);
        Assert.Equal("POST", answer.Result.GetProperty("structuredContent").GetProperty("method").GetString());
        Assert.Contains("read", Assert.Single(answer.Response.Headers.GetValues("RateLimit")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Body_that_is_no_object_is_the_argument_body_and_get_has_none()
    {
        var user = await fixture.Users.AddAsync();

        var write = await mcp.CallAsync(user.Token, "write", """{ "body": ["a"] }""");
        var read = await mcp.CallAsync(user.Token, "answer", """{ "what": "anything" }""");

        Assert.Equal("""["a"]""", write.Echo.Body);
        Assert.Equal(("GET", "/anything", ""), (read.Echo.Method, read.Echo.Url, read.Echo.Body));
        Assert.Null(read.Echo["content-length"]);
        Assert.Null(read.Echo["transfer-encoding"]);
    }

    [Theory]
    [InlineData("echo", "{}", "The argument id is missing.")]
    [InlineData("echo", """{ "id": 7, "text": "a" }""", "id must be a text.")]
    [InlineData("echo", """{ "id": "a", "text": "a", "limit": 1.5 }""", "limit must be a whole number.")]
    [InlineData("echo", """{ "id": "a", "text": "a", "limit": 101 }""", "limit must be at most 100.")]
    [InlineData("echo", """{ "id": "a", "text": "a", "tags": ["b", 1] }""", "tags[1] must be a text.")]
    [InlineData("echo", """{ "id": "a", "text": "a", "x-internal-id": "b" }""", "There is no argument x-internal-id; there are id, limit, *")]
    [InlineData("echo", """{ "id": "a", "text": "a", "x-tenant": "b\nc" }""", "The value of x-tenant cannot stand in a header: it must be one line.")]
    [InlineData("echo", """{ "id": "../admin", "text": "a" }""", "The value of id cannot stand in a path here: *")]
    [InlineData("echo", """{ "id": "", "text": "a" }""", "The value of id cannot stand in a path here: *")]
    [InlineData("answer", """{ "what": "special" }""", "The value of what cannot stand in a path here: *")]
    [InlineData("get_profile", """{ "a": 1 }""", "There is no argument a: this tool has none.")]
    public async Task Wrong_argument_is_an_error_that_names_it_and_nothing_is_called(string tool, string arguments, string expected)
    {
        ArgumentNullException.ThrowIfNull(expected);
        var user = await fixture.Users.AddAsync();
        var before = await fixture.Upstream.CountAsync("requests");

        var answer = await mcp.CallAsync(user.Token, tool, arguments);

        Assert.Equal((200, true), (answer.Status, answer.IsError));
        Assert.StartsWith(expected.TrimEnd('*'), answer.Sentence, StringComparison.Ordinal);
        Assert.Equal(before, await fixture.Upstream.CountAsync("requests"));
    }

    [Theory]
    [InlineData("answer", """{ "what": "status", "code": 404 }""", "The service behind this action answered 404: {\"upstream\":\"says so\"}", null)]
    [InlineData("answer", """{ "what": "status", "code": 500 }""", "The service behind this action answered 500: *", null)]
    [InlineData("answer", """{ "what": "status", "code": 302 }""", "The service behind this action answered 302: *", null)]
    [InlineData("answer", """{ "what": "status", "code": 401 }""", "This is a mistake in the set-up of the service*", "UPSTREAM_UNAUTHORIZED")]
    [InlineData("answer", """{ "what": "slow" }""", "There was no answer within 2 seconds.*", "UPSTREAM_TIMEOUT")]
    [InlineData("answer", """{ "what": "stalling" }""", "There was no answer within 2 seconds.*", "UPSTREAM_TIMEOUT")]
    [InlineData("answer", """{ "what": "huge", "count": 100001 }""", "The service behind this action answered with more than 100000 characters.*",
        "RESPONSE_TOO_LARGE")]
    [InlineData("answer", """{ "what": "endless", "type": "text/event-stream" }""", "The service behind this action answered with more than 100000 char*",
        "RESPONSE_TOO_LARGE")]
    [InlineData("open", """{ "what": "endless" }""", "The service behind this action answered with more than 10000000 characters.*", "RESPONSE_TOO_LARGE")]
    [InlineData("answer", """{ "what": "torn" }""", "The connection failed.*", "UPSTREAM_UNREACHABLE")]
    [InlineData("answer", """{ "what": "garbage" }""", "Its answer could not be read.*", "UPSTREAM_INVALID_RESPONSE")]
    [InlineData("dead", "{}", "The connection failed.*", "UPSTREAM_UNREACHABLE")]
    public async Task Failure_is_an_error_with_the_sentence_of_the_problem(string tool, string arguments, string expected, string? code)
    {
        ArgumentNullException.ThrowIfNull(expected);
        var user = await fixture.Users.AddAsync();

        var answer = await mcp.CallAsync(user.Token, tool, arguments);

        Assert.Equal((200, true), (answer.Status, answer.IsError));
        Assert.StartsWith(expected.TrimEnd('*'), answer.Sentence, StringComparison.Ordinal);
        Assert.Equal(code, answer.Result.GetProperty("_meta").TryGetProperty("code", out var found) ? found.GetString() : null);
        Assert.False(answer.Response.Headers.Contains("WWW-Authenticate"));
    }

    [Theory]
    [InlineData("answer", """{ "what": "status", "code": 204 }""", false, "Done. The answer has no content (204).")]
    [InlineData("answer", """{ "what": "huge", "count": 3 }""", false, "xxx")]
    [InlineData("answer", """{ "what": "huge", "count": 1, "text": "[1]", "type": "application/json" }""", false, "[1]")]
    [InlineData("promises", """{ "what": "huge", "count": 1, "text": "[1]", "type": "application/json" }""", true, "[1]")]
    [InlineData("promises", """{ "what": "huge", "count": 1, "text": "{\"method\":7}", "type": "application/json" }""", true, "{\"method\":7}")]
    [InlineData("promises", """{ "what": "huge", "count": 3 }""", true, "xxx")]
    [InlineData("promises", """{ "what": "status", "code": 204 }""", true, "Done. The answer has no content (204).")]
    public async Task Answer_that_is_no_object_is_text_and_an_error_where_the_document_promises_one(
        string tool, string arguments, bool isError, string expected)
    {
        var user = await fixture.Users.AddAsync();

        var answer = await mcp.CallAsync(user.Token, tool, arguments);

        Assert.Equal((expected, isError), (answer.Sentence, answer.IsError));
        Assert.False(answer.Result.TryGetProperty("structuredContent", out _));
    }

    /// <summary>countdowns.md 14 to 16: the quotas of a month hold for tools, and are told as results that a model can act on.</summary>
    [Fact]
    public async Task Quota_of_the_month_holds_for_tools_and_is_told_as_a_result()
    {
        await using var replica = await fixture.App.StartReplicaAsync(("GATEWAY_CONFIG", await WithQuotaAsync(fixture.App.Settings["GATEWAY_CONFIG"]!)));
        var tools = new McpTestClient(replica.Http);
        var (user, poor) = (await fixture.Users.AddAsync(plan: "free", planStatus: "active"), await fixture.Users.AddAsync());

        var failed = await tools.CallAsync(user.Token, "answer", """{ "what": "status", "code": 500 }"""); // given back
        var first = await tools.CallAsync(user.Token, "answer", """{ "what": "anything" }""");
        var second = await tools.CallAsync(user.Token, "answer", """{ "what": "anything" }""");
        var without = await tools.CallAsync(poor.Token, "answer", """{ "what": "anything" }""");

        Assert.Equal((true, false, true, true), (failed.IsError, first.IsError, second.IsError, without.IsError));
        Assert.StartsWith("The user's plan, free, gives 1 applications a month, and all are used.", second.Sentence, StringComparison.Ordinal);
        Assert.Equal(
            ("QUOTA_USED_UP", "PLAN_REQUIRED"),
            (second.Result.GetProperty("_meta").GetProperty("code").GetString(), without.Result.GetProperty("_meta").GetProperty("code").GetString()));
    }

    private static async Task<string> WithQuotaAsync(string config)
    {
        var routes = JsonNode.Parse(await File.ReadAllTextAsync(config))!;
        routes["plans"] = JsonNode.Parse("""{ "free": { "applications": 1 } }""");
        routes["routes"]!.AsArray().Single(route => (string?)route!["name"] == "answer")!["quota"] = "applications";
        var path = Path.Combine(Path.GetDirectoryName(config)!, "with-quota.json"); // beside the document that it names
        await File.WriteAllTextAsync(path, routes.ToJsonString());
        return path;
    }
}
