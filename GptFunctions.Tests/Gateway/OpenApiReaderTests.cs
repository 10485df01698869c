using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Gateway;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>gateway.md 10, mcp.md 2: OpenAPI documents in JSON and in YAML, and routes and operations that do not find each other.</summary>
public sealed class OpenApiReaderTests : IDisposable
{
    private const string Yaml = """
        openapi: 3.1.0
        info: { title: Notes, version: 1.0 }
        paths:
          /notes/{noteId}:
            parameters:
              - $ref: '#/components/parameters/NoteId'
              - $ref: "#/components/parameters/User"
            get:
              summary: Read a note
              description: |
                Two
                lines
              parameters:
                - { name: limit, in: query, schema: &number { type: integer, maximum: 100, default: 0x10, multipleOf: 0.5 } }
                - { name: again, in: query, schema: *number }
              responses: { 200: { description: ok } }
          /never:
            $ref: '#/components/pathItems/Never'
        components:
          pathItems:
            Never: { post: { responses: { 202: { description: "yes" } } } }
          parameters:
            NoteId: { name: noteId, in: path, required: true, schema: { type: string, example: null } }
            User: { name: X-User-Id, in: header, required: yes, schema: { type: string } }
        """;

    private readonly string directory = Directory.CreateTempSubdirectory("openapi-").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    [Fact]
    public void Yaml_is_read_as_the_json_that_it_stands_for()
    {
        var (document, problem) = OpenApiReader.Read(Write("openapi.yaml", Yaml));

        Assert.Null(problem);
        Assert.Equal("\"3.1.0\"", document!["openapi"]!.ToJsonString());
        Assert.Equal("1.0", document["info"]!["version"]!.ToJsonString());
        var get = document["paths"]!["/notes/{noteId}"]!["get"]!;
        Assert.Equal("Two\nlines\n", get["description"]!.GetValue<string>());
        Assert.Equal("""{"type":"integer","maximum":100,"default":"0x10","multipleOf":0.5}""", get["parameters"]![1]!["schema"]!.ToJsonString());
        Assert.Equal("ok", get["responses"]!["200"]!["description"]!.GetValue<string>());
        Assert.Equal("""{"type":"string","example":null}""", document["components"]!["parameters"]!["NoteId"]!["schema"]!.ToJsonString());
    }

    [Theory]
    [InlineData("{", "cannot be read: *")]
    [InlineData("a: [", " is no YAML as it should be: *")]
    [InlineData("a: &a [*a]", "is no YAML as it should be: it is nested too deeply, or refers to itself.")]
    [InlineData("- 1", "is no OpenAPI document.")]
    [InlineData("", "is no OpenAPI document.")]
    [InlineData("swagger: '2.0'", "is a Swagger 2.0 document: convert it to OpenAPI 3, for example by 'npx swagger2openapi file.yaml'.")]
    [InlineData("paths: {}", "is no OpenAPI document: it lacks 'openapi', which says the version, 3.0 or 3.1.")]
    [InlineData("openapi: 3.0.3\npaths: []", "is no OpenAPI document: 'paths' must be an object of objects.")]
    [InlineData("openapi: 3.0.3\npaths: { /a: 7 }", "is no OpenAPI document: 'paths' must be an object of objects.")]
    public void File_that_is_no_document_is_refused_with_a_sentence(string text, string expected)
    {
        ArgumentNullException.ThrowIfNull(expected);
        var (document, problem) = OpenApiReader.Read(Write("file.yaml", text));

        Assert.Null(document);
        Assert.Contains("file.yaml", problem, StringComparison.Ordinal);
        Assert.Contains(expected.TrimEnd('*'), problem, StringComparison.Ordinal);
    }

    /// <summary>Other parameter names are the same path; what has no partner is said at the start.</summary>
    [Fact]
    public async Task Start_says_which_route_has_no_operation_and_which_operation_no_route_and_matches_paths_by_their_shape()
    {
        Write("openapi.yaml", Yaml);
        var routes = Write("routes.json", """
            {
              "openapi": "openapi.yaml",
              "routes": [
                { "name": "note", "methods": ["GET", "HEAD"], "path": "/gpt/n/{id}", "upstreamPath": "/notes/{id}", "upstream": "http://127.0.0.1:1",
                  "scope": "jobs:read", "tier": "read" },
                { "name": "other", "methods": ["GET"], "path": "/gpt/other", "upstream": "http://127.0.0.1:1", "scope": "jobs:read", "tier": "read" },
                { "name": "theirs", "methods": ["POST"], "path": "/gpt/theirs", "upstream": "http://127.0.0.1:1", "scope": "jobs:read", "tier": "read",
                  "mcpServer": true }
              ]
            }
            """);
        await using var app = await TestApp.StartAsync(TestDatabase.NameFor(typeof(OpenApiReaderTests)), new() { ["GATEWAY_CONFIG"] = routes });

        Assert.Equal(
            ["Warning 6025 The OpenAPI document has no operation GET /gpt/other for the gateway's route other (line 6): neither GPTs nor MCP hosts "
                + "will know it "],
            app.Log.Lines.Where(line => line.Contains(" 6025 ", StringComparison.Ordinal)));
        Assert.Equal(
            ["Information 6026 No route leads to these operations of the OpenAPI document, so they are left out: POST /never "],
            app.Log.Lines.Where(line => line.Contains(" 6026 ", StringComparison.Ordinal)));
        var paths = JsonElement.Parse(await app.Http.GetStringAsync(new Uri("/gpt/openapi.json", UriKind.Relative))).GetProperty("paths");
        Assert.Equal(["/gpt/n/{id}"], paths.EnumerateObject().Select(path => path.Name));
        var get = paths.GetProperty("/gpt/n/{id}").GetProperty("get");
        // The path's parameter by our name, the identity header gone although it came by reference.
        Assert.Equal(
            ["path id", "query limit", "query again"],
            get.GetProperty("parameters").EnumerateArray().Select(one => $"{one.GetProperty("in")} {one.GetProperty("name")}"));
        Assert.Equal("note", get.GetProperty("operationId").GetString());
    }

    private string Write(string name, string text)
    {
        var path = Path.Combine(directory, name);
        File.WriteAllText(path, text);
        return path;
    }
}
