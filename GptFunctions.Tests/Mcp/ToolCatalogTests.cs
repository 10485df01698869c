using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Gateway;
using GptFunctions.Mcp;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tests.Mcp;

/// <summary>mcp.md 3: how routes and operations become tools.</summary>
public sealed class ToolCatalogTests
{
    private const string Route = """
        { "name": "note", "methods": ["METHOD"], "path": "/gpt/notes/{id}", "upstreamPath": "/notes/{id}", "upstream": "http://api:3000",
          "scope": "jobs:read", "tier": "read" EXTRA }
        """;

    /// <summary>What a host is told of the sample, as a whole: whoever changes it sees it here. WRITE_DOCS=true writes it anew.</summary>
    [Fact]
    public async Task Sample_document_gives_these_tools()
    {
        var snapshot = Path.Combine(TestServices.RepositoryRoot, "GptFunctions.Tests", "Mcp", "sample-tools.json");
        await using var app = await TestApp.StartAsync(TestDatabase.NameFor(typeof(ToolCatalogTests)));
        var user = await new GatewayUsers(app).AddAsync();

        var answer = await new McpTestClient(app.Http).SendAsync(user.Token, "tools/list");

        var tools = answer.Result.GetProperty("tools").GetRawText();
        var text = JsonNode.Parse(tools)!.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n";
        if (Environment.GetEnvironmentVariable("WRITE_DOCS") == "true")
        {
            await File.WriteAllTextAsync(snapshot, text);
        }

        Assert.Equal(await File.ReadAllTextAsync(snapshot), text);
    }

    [Theory]
    [InlineData("GET", "", true, false, false)]
    [InlineData("HEAD", "", true, true, false)]
    [InlineData("POST", "", false, true, false)]
    [InlineData("PUT", "", false, true, true)]
    [InlineData("DELETE", ", \"isConsequential\": false", false, true, true)]
    [InlineData("POST", ", \"isConsequential\": false", false, false, false)]
    [InlineData("POST", ", \"tool\": { \"readOnly\": true, \"destructive\": false, \"idempotent\": true, \"openWorld\": true }", true, false, true)]
    public void Annotations_follow_from_method_and_route(string method, string extra, bool isReading, bool isDestructive, bool isIdempotent)
    {
        ArgumentNullException.ThrowIfNull(extra);
        ArgumentNullException.ThrowIfNull(method);
        var tool = Assert.Single(Derive($"{method.ToLowerInvariant()}: {{ summary: A note, responses: {{}} }}", method, extra).All);

        var annotations = tool.Definition.Annotations!;
        Assert.Equal(
            (isReading, isDestructive, isIdempotent, extra.Contains("openWorld", StringComparison.Ordinal)),
            (annotations.ReadOnlyHint, annotations.DestructiveHint, annotations.IdempotentHint, annotations.OpenWorldHint));
    }

    [Fact]
    public void Name_title_and_description_come_from_operation_and_override()
    {
        var plain = Assert.Single(Derive("get: { summary: A note, description: Reads it, responses: {} }").All).Definition;
        var bare = Assert.Single(Derive("get: { responses: {} }").All).Definition;
        const string otherwise = """, "tool": { "name": "read_note", "title": "Read", "description": "Says it." }""";
        var named = Assert.Single(Derive("get: { summary: A note, responses: {} }", extra: otherwise).All).Definition;

        Assert.Equal(("note", "A note", "Reads it"), (plain.Name, plain.Title, plain.Description));
        Assert.Equal(("note", null, "note"), (bare.Name, bare.Title, bare.Description));
        Assert.Equal(("read_note", "Read", "Says it."), (named.Name, named.Title, named.Description));
    }

    [Theory]
    [InlineData(
        "post: { requestBody: { content: { application/json: { schema: { type: object, required: [a], properties: { a: { type: string } } } } } } }",
        """{"type":"object","properties":{"id":{"type":"string"},"a":{"type":"string"}},"required":["id","a"],"additionalProperties":false}""")]
    [InlineData(
        "post: { requestBody: { content: { application/json: { schema: { type: object, properties: { id: { type: integer } } } } } } }",
        """
        {"type":"object","properties":{"id":{"type":"string"},"body":{"type":"object","properties":{"id":{"type":"integer"}}}},
        "required":["id"],"additionalProperties":false}
        """)]
    [InlineData(
        "post: { requestBody: { required: true, content: { application/json: { schema: { type: array } } } } }",
        """{"type":"object","properties":{"id":{"type":"string"},"body":{"type":"array"}},"required":["id","body"],"additionalProperties":false}""")]
    [InlineData(
        "post: { requestBody: { content: { application/json: { schema: { type: object, additionalProperties: { type: integer } } } } } }",
        """{"type":"object","properties":{"id":{"type":"string"}},"required":["id"],"additionalProperties":{"type":"integer"}}""")]
    [InlineData(
        "post: { requestBody: { content: { application/json: { schema: { $ref: '#/components/schemas/Job' } } } } }",
        """
        {"type":"object","properties":{"id":{"type":"string"},"title":{"type":"string","examples":["Baker"]}},"required":["id"],"additionalProperties":false}
        """)]
    [InlineData(
        "post: { requestBody: { content: { application/json: { schema: { $ref: '#/components/schemas/Tree' } } } } }",
        """
        {"type":"object","properties":{"id":{"type":"string"},"next":{"$ref":"#/$defs/Tree"},"all":{"type":"array","items":{"$ref":"#/$defs/Tree"}}},
        "required":["id"],"additionalProperties":false,
        "$defs":{"Tree":{"type":"object","properties":{"next":{"$ref":"#/$defs/Tree"},"all":{"type":"array","items":{"$ref":"#/$defs/Tree"}}}}}}
        """)]
    [InlineData(
        "post: { parameters: [{ name: id, in: query, schema: { type: integer, nullable: true, minimum: 1, exclusiveMinimum: true } }] }",
        """
        {"type":"object","properties":{"id":{"type":"string"},"query_id":{"type":["integer","null"],"exclusiveMinimum":1}},"required":["id"],
        "additionalProperties":false}
        """)]
    [InlineData(
        "post: { parameters: [{ name: s, in: cookie, schema: {} }, { name: X-User-Id, in: header, required: true, schema: {} }] }",
        """{"type":"object","properties":{"id":{"type":"string"}},"required":["id"],"additionalProperties":false}""")]
    public void Input_is_one_object_of_parameters_and_body(string operation, string expected)
    {
        ArgumentNullException.ThrowIfNull(expected);
        var tool = Assert.Single(Derive(operation, "POST").All);

        Assert.Equal(expected.ReplaceLineEndings(""), tool.Definition.InputSchema.GetRawText());
    }

    [Theory]
    [InlineData("{ 200: { content: { application/json: { schema: { $ref: '#/components/schemas/Job' } } } } }", true)]
    [InlineData("{ 200: { $ref: '#/components/responses/Job' } }", true)]
    [InlineData("{ 201: { content: { application/json: { schema: { type: object } } } }, 404: { description: no } }", true)]
    [InlineData("{ 200: { content: { application/json: { schema: { $ref: '#/components/schemas/Tree' } } } } }", true)]
    [InlineData("{ 200: { content: { application/json: { schema: { type: array } } } } }", false)]
    [InlineData("{ 200: { content: { application/json: { schema: { type: object, nullable: true } } } } }", false)]
    [InlineData("{ 200: { content: { application/json: { schema: { type: object } } } }, 204: { description: or nothing } }", false)]
    [InlineData("{ 200: { content: { application/json: { schema: { type: object } }, text/csv: {} } } }", false)]
    [InlineData("{ 204: { description: nothing } }", false)]
    [InlineData("{}", false)]
    public void Output_is_promised_where_nothing_but_an_object_may_come(string responses, bool isPromised)
    {
        var tool = Assert.Single(Derive($"get: {{ responses: {responses} }}").All);

        Assert.Equal(isPromised, tool.Definition.OutputSchema is not null);
        Assert.Equal(isPromised ? "object" : null, tool.Definition.OutputSchema?.GetProperty("type").GetString());
    }

    [Theory]
    [InlineData(
        "post: { requestBody: { required: true, content: { text/csv: {} } } }", "POST /notes/{noteId}: its body is text/csv, and a tool can send JSON only.")]
    [InlineData("post: { parameters: [{ name: s, in: cookie, required: true }] }", "POST /notes/{noteId}: the parameter s is a cookie, *")]
    [InlineData("post: { parameters: [{ name: q, in: query, schema: { $ref: '#/components/schemas/None' } }] }",
        "POST /notes/{noteId}: the reference #/components/schemas/None leads nowhere.")]
    [InlineData(
        "post: { parameters: [{ name: q, in: query, schema: { $ref: 'other.yaml#/A' } }] }", "POST /notes/{noteId}: the reference other.yaml#/A leads out *")]
    [InlineData("post: { parameters: [{ name: q, in: query, schema: { type: string, pattern: '(' } }] }", "POST /notes/{noteId}: Invalid pattern *")]
    [InlineData(
        "post: { parameters: [{ name: q, in: query, style: unheardOf, schema: {} }] }", "POST /notes/{noteId}: the parameter q has the style unheardOf, *")]
    public void Operation_that_cannot_be_a_tool_stops_the_start_with_its_place_unless_it_shall_be_none(string operation, string expected)
    {
        ArgumentNullException.ThrowIfNull(expected);
        var refusal = Assert.Throws<OptionsValidationException>(() => Derive(operation, "POST"));

        var problem = Assert.Single(refusal.Failures);
        Assert.Contains(expected.TrimEnd('*'), problem, StringComparison.Ordinal);
        Assert.EndsWith(" Correct it, or say \"tool\": false at the route note (line 3).", problem, StringComparison.Ordinal);
        Assert.Empty(Derive(operation, "POST", ", \"tool\": false").All);
    }

    [Theory]
    [InlineData("\"path\": \"/gpt/mcp\", ", "", "mcp lacks 'path'.")]
    [InlineData("/gpt/mcp", "/gpt/{a}", "mcp: path must be a path below /gpt/ *")]
    [InlineData("/gpt/mcp", "/gpt/openapi.json", "mcp: path must be *")]
    [InlineData("\"name\": \"t\"", "\"name\": \"a b\"", "mcp: name must be *")]
    [InlineData("\"name\": \"t\"", "\"name\": \"t\", \"profileTool\": 1", "mcp: profileTool must be true or false, not 1.")]
    [InlineData("\"name\": \"t\"", "\"name\": \"t\", \"allowedOrigins\": [\"https://a/b\"]", "mcp: allowedOrigins must be a list of origins, *")]
    [InlineData("\"name\": \"t\"", "\"name\": \"t\", \"tools\": []", "mcp has no 'tools'; there are *")]
    [InlineData("\"tier\": \"read\"", "\"tier\": \"read\", \"tool\": true", "tool must be false, or an object with some of *")]
    [InlineData("\"tier\": \"read\"", "\"tier\": \"read\", \"tool\": { \"readonly\": true }", "tool: readonly must be left out; *")]
    [InlineData("\"tier\": \"read\"", "\"tier\": \"read\", \"tool\": { \"name\": \"a b\" }", "tool: name must be *")]
    [InlineData("/gpt/notes/{id}\"", "/gpt/mcp\", \"upstreamPath\": \"/a\"", "mcp has the path of note in line 3.")]
    [InlineData("\"openapi\": \"openapi.yaml\",", "", "mcp needs openapi: *")]
    public void Mistake_in_the_file_is_named_with_its_line(string right, string wrong, string expected)
    {
        var path = Write("get: { responses: {} }", "GET", "");
        var text = File.ReadAllText(path).Replace(", \"upstreamPath\": \"/notes/{id}\"", "", StringComparison.Ordinal);
        File.WriteAllText(path, text.Replace(right, wrong, StringComparison.Ordinal));

        var problem = Assert.Single(GatewayConfig.Load(path).Problems);

        Assert.Matches(
            $"^routes.json line [2-4]: {System.Text.RegularExpressions.Regex.Escape(expected).Replace("\\*", ".*", StringComparison.Ordinal)}$", problem);
    }

    private static ToolCatalog Derive(string operation, string method = "GET", string extra = "")
    {
        var tokens = Options.Create(new TokenSettings { PublicBaseUrl = "https://api.example.com" });
        var scopes = new ScopeCatalog(tokens);
        var gateway = Options.Create(new GatewaySettings { ConfigPath = Write(operation, method, extra) });
        var routes = new GatewayRoutes(gateway, scopes, NullLogger<GatewayRoutes>.Instance);
        return new ToolCatalog(routes, new OpenApiDocument(routes, tokens, scopes, NullLogger<OpenApiDocument>.Instance), scopes);
    }

    private static string Write(string operation, string method, string extra)
    {
        var directory = Directory.CreateTempSubdirectory("tools-").FullName;
        File.WriteAllText(Path.Combine(directory, "openapi.yaml"), $$"""
            openapi: 3.0.3
            info: { title: Notes, version: "1" }
            paths:
              /notes/{noteId}:
                parameters: [{ name: noteId, in: path, required: true, schema: { type: string } }]
                {{operation}}
            components:
              responses:
                Job: { content: { application/json: { schema: { $ref: '#/components/schemas/Job' } } } }
              schemas:
                Job:
                  type: object
                  required: [secret]
                  properties: { title: { type: string, example: Baker }, secret: { type: string, readOnly: true } }
                Tree:
                  type: object
                  properties: { next: { $ref: '#/components/schemas/Tree' }, all: { type: array, items: { $ref: '#/components/schemas/Tree' } } }
            """);
        var path = Path.Combine(directory, "routes.json");
        var route = Route.Replace("METHOD", method, StringComparison.Ordinal).Replace("EXTRA", extra, StringComparison.Ordinal).ReplaceLineEndings(" ");
        File.WriteAllText(path, $$"""
            { "openapi": "openapi.yaml",
              "mcp": { "path": "/gpt/mcp", "name": "t" },
              "routes": [{{route}}]
            }
            """);
        return path;
    }
}
