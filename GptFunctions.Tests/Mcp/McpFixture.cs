using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Mcp;

/// <summary>An app whose routes are MCP tools, in front of an upstream that misbehaves on demand.</summary>
public class McpFixture<TTests> : IAsyncLifetime
{
    internal TestApp App { get; private set; } = null!;

    internal TestUpstream Upstream { get; private set; } = null!;

    internal GatewayUsers Users { get; private set; } = null!;

    internal McpTestClient Client { get; private set; } = null!;

    /// <summary>What differs from the default settings.</summary>
    protected virtual IEnumerable<KeyValuePair<string, string?>> Settings => [];

    public async Task InitializeAsync()
    {
        Upstream = await TestUpstream.StartAsync();
        var settings = new Dictionary<string, string?>(Settings, StringComparer.Ordinal)
        {
            ["GATEWAY_CONFIG"] = McpRoutesFile.Write(Upstream.Url),
            ["CLIENT_ADDRESS_HEADER"] = "X-Real-IP",
        };
        App = await TestApp.StartAsync(TestDatabase.NameFor(typeof(TTests)), settings);
        Users = new GatewayUsers(App);
        Client = new McpTestClient(App.Http);
    }

    public async Task DisposeAsync()
    {
        await App.DisposeAsync();
        await Upstream.DisposeAsync();
    }
}

/// <summary>Routes and operations that tests call as tools.</summary>
internal static class McpRoutesFile
{
    public static string Write(string upstream)
    {
        var directory = Directory.CreateTempSubdirectory("mcp-").FullName;
        File.WriteAllText(Path.Combine(directory, "openapi.yaml"), OpenApi);
        var path = Path.Combine(directory, "routes.json");
        File.WriteAllText(path, Routes.Replace("\"UPSTREAM\"", $"\"{upstream}\"", StringComparison.Ordinal));
        return path;
    }

    private const string Routes = """
        {
          "openapi": "openapi.yaml",
          "mcp": { "path": "/gpt/mcp", "name": "tests", "title": "Tests", "instructions": "For tests.", "profileTool": true,
                   "allowedOrigins": ["https://app.example.com"] },
          "routes": [
            { "name": "echo", "methods": ["POST", "GET", "DELETE"], "path": "/gpt/echo/{id}", "upstream": "UPSTREAM", "upstreamPath": "/echo/{id}",
              "scope": "jobs:read", "tier": "read", "passHeaders": ["x-tenant"], "headers": { "x-key": "{secret:UPSTREAM_KEY}" } },
            { "name": "write", "methods": ["POST"], "path": "/gpt/write", "upstream": "UPSTREAM", "scope": "applications:write", "tier": "expensive",
              "audit": true },
            { "name": "answer", "methods": ["GET"], "path": "/gpt/answer/{what}", "upstream": "UPSTREAM", "upstreamPath": "/{what}",
              "scope": "jobs:read", "tier": "read", "timeoutSeconds": 2 },
            { "name": "open", "methods": ["GET"], "path": "/gpt/open/{what}", "upstream": "UPSTREAM", "upstreamPath": "/{what}",
              "scope": "jobs:read", "tier": "read", "timeoutSeconds": 30, "maxResponseCharacters": 0 },
            { "name": "strict", "methods": ["GET"], "path": "/gpt/strict/{what}", "upstream": "UPSTREAM", "upstreamPath": "/{what}/strict",
              "scope": "jobs:read", "tier": "read", "tool": { "name": "promises", "title": "Promises", "openWorld": true } },
            { "name": "special", "methods": ["GET"], "path": "/gpt/answer/special", "upstream": "UPSTREAM", "scope": "resume:read", "tier": "read" },
            { "name": "hidden", "methods": ["GET"], "path": "/gpt/hidden", "upstream": "UPSTREAM", "scope": "jobs:read", "tier": "read", "tool": false },
            { "name": "dead", "methods": ["GET"], "path": "/gpt/dead", "upstream": "http://127.0.0.1:1", "scope": "jobs:read", "tier": "read" }
          ]
        }
        """;

    private const string OpenApi = """
        openapi: 3.1.0
        info: { title: Tests, version: "1" }
        paths:
          /echo/{key}:
            parameters: [{ name: key, in: path, required: true, schema: { type: string, maxLength: 20 } }]
            post:
              summary: Echo
              parameters:
                - { name: limit, in: query, schema: { type: integer, minimum: 1, maximum: 100 } }
                - { name: tags, in: query, schema: { type: array, items: { type: string } } }
                - { name: filter, in: query, style: deepObject, explode: true, schema: { type: object } }
                - { name: x-tenant, in: header, schema: { type: string } }
                - { name: x-internal-id, in: header, required: true, schema: { type: string } }
                - { name: x-key, in: header, required: true, schema: { type: string } }
              requestBody:
                content:
                  application/json:
                    schema:
                      type: object
                      required: [text]
                      properties: { text: { type: string }, count: { type: [integer, "null"] } }
              responses: { 200: { description: ok } }
            delete: { summary: Delete it, responses: { 204: { description: gone } } }
          /gpt/write:
            post:
              summary: Write
              requestBody: { content: { application/json: { schema: { type: array, items: { type: string } } } } }
              responses: { 200: { description: ok } }
          /{what}:
            parameters: [{ name: what, in: path, required: true, schema: { type: string } }]
            get:
              parameters:
                - { name: code, in: query, schema: { type: integer } }
                - { name: count, in: query, schema: { type: integer } }
                - { name: text, in: query, schema: { type: string } }
                - { name: type, in: query, schema: { type: string } }
              responses:
                200: { description: ok, content: { application/json: { schema: { type: object, properties: { method: { type: string } } } } } }
                204: { description: nothing }
          /{what}/strict:
            parameters: [{ name: what, in: path, required: true, schema: { type: string } }]
            get:
              parameters:
                - { name: code, in: query, schema: { type: integer } }
                - { name: count, in: query, schema: { type: integer } }
                - { name: text, in: query, schema: { type: string } }
                - { name: type, in: query, schema: { type: string } }
              responses:
                200: { description: ok, content: { application/json: { schema: { type: object, properties: { method: { type: string } } } } } }
          /gpt/answer/special: { get: { responses: { 200: { description: ok } } } }
          /gpt/hidden: { get: { responses: { 200: { description: ok } } } }
          /gpt/dead: { get: { responses: { 200: { description: ok } } } }
        """;
}

/// <summary>Speaks MCP as plainly as possible, so that what the SDKs would never send can be sent.</summary>
internal sealed class McpTestClient(HttpClient http, string path = "/gpt/mcp")
{
    public const string Newest = "2026-07-28";

    /// <summary>One request of the newest version with all that it needs; members of <paramref name="parameters"/> stand beside <c>_meta</c>.</summary>
    public Task<McpAnswer> SendAsync(string? token, string method, JsonObject? parameters = null, params (string Name, string? Value)[] headers)
    {
        var given = parameters ?? [];
        given["_meta"] ??= new JsonObject
        {
            ["io.modelcontextprotocol/protocolVersion"] = Newest,
            ["io.modelcontextprotocol/clientInfo"] = new JsonObject { ["name"] = "test", ["version"] = "1" },
            ["io.modelcontextprotocol/clientCapabilities"] = new JsonObject(),
        };
        var all = new List<(string, string?)> { ("MCP-Protocol-Version", Newest), ("Mcp-Method", method) };
        if (method == "tools/call")
        {
            all.Add(("Mcp-Name", given["name"]?.ToString()));
        }

        var message = new JsonObject { ["jsonrpc"] = "2.0", ["id"] = 7, ["method"] = method, ["params"] = given };
        return PostAsync(
            token, message.ToJsonString(), [.. all.Where(one => !Array.Exists(headers, other => other.Name == one.Item1)), .. headers]);
    }

    public Task<McpAnswer> CallAsync(string? token, string tool, string arguments = "{}", params (string Name, string? Value)[] headers) =>
        SendAsync(token, "tools/call", new JsonObject { ["name"] = tool, ["arguments"] = JsonNode.Parse(arguments) }, headers);

    public async Task<McpAnswer> PostAsync(string? token, string body, params (string Name, string? Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative))
        {
            Content = new StringContent(body, Encoding.UTF8, "application/json"),
        };
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        foreach (var (name, value) in headers.Where(header => header.Value is not null))
        {
            Assert.True(request.Headers.TryAddWithoutValidation(name, value));
        }

        var response = await http.SendAsync(request);
        return new McpAnswer(response, await response.Content.ReadAsStringAsync());
    }
}

/// <summary>An answer over HTTP and what of JSON-RPC is in it.</summary>
internal sealed record McpAnswer(HttpResponseMessage Response, string Text)
{
    public int Status => (int)Response.StatusCode;

    public JsonElement Json => JsonElement.Parse(Text);

    public JsonElement Result => Json.TryGetProperty("result", out var result) ? result : throw new InvalidOperationException($"{Status} {Text}");

    public int ErrorCode => Json.GetProperty("error").GetProperty("code").GetInt32();

    public bool IsError => Result.TryGetProperty("isError", out var flag) && flag.GetBoolean();

    /// <summary>The first text of a tool's result.</summary>
    public string Sentence => Result.GetProperty("content")[0].GetProperty("text").GetString()!;

    public string Challenge => string.Join(", ", Response.Headers.GetValues("WWW-Authenticate"));

    /// <summary>What reached the upstream, when that echoes.</summary>
    public Echo Echo => Echo.Of(Sentence);
}
