using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Gateway;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;
using ModelContextProtocol.Protocol;

namespace GptFunctions.Mcp;

/// <summary>A route as a tool.</summary>
/// <param name="Operation">Null for the tool that says who the person is.</param>
/// <param name="Definition">What hosts are told.</param>
/// <param name="Scope">Null: any token will do.</param>
/// <param name="Output">What its upstream's objects must be; null: anything.</param>
internal sealed record McpTool(OpenApiOperation? Operation, ToolInput? Input, Tool Definition, string? Scope, SchemaCheck Arguments, SchemaCheck? Output)
{
    public const string SecuritySchemes = "securitySchemes";

    public string Name => Definition.Name;
}

/// <summary>The tools, derived once from routes and operations, in the order of the routes.</summary>
internal sealed class ToolCatalog
{
    public const string ProfileTool = "get_profile";
    private readonly Dictionary<string, McpTool> byName = new(StringComparer.Ordinal);
    private readonly OpenApiDocument document;

    /// <summary>Throws <see cref="OptionsValidationException"/> with each operation that cannot become a tool, and its place in the document.</summary>
    public ToolCatalog(GatewayRoutes routes, OpenApiDocument document, ScopeCatalog scopes)
    {
        this.document = document;
        if (routes.Mcp is not { } config)
        {
            return;
        }

        Config = config;
        var problems = new List<string>();
        foreach (var operation in document.Operations.Where(operation => operation.Route.Tool?.IsTool != false))
        {
            Add(operation, problems);
        }

        problems.AddRange(routes.AsListed.Where(route => route.Tool?.IsTool == true && !byName.Values.Any(tool => tool.Operation?.Route == route))
            .Where(route => !document.Operations.Any(operation => operation.Route == route))
            .Select(route => $"the route {route.Name} (line {route.Line}) shall be a tool, but the document has no operation for it."));
        if (config.ProfileTool && !byName.TryAdd(ProfileTool, McpProfile.Tool))
        {
            problems.Add($"two tools are called {ProfileTool}; name the route's otherwise ('tool': {{ 'name' }}), or leave profileTool out.");
        }

        if (problems.Count > 0)
        {
            throw new OptionsValidationException(
                nameof(ToolCatalog), typeof(GatewaySettings), problems.Select(problem => $"MCP tools of {routes.OpenApiFile}: {problem}"));
        }

        All = [.. byName.Values];
        var reading = All.Where(tool => tool.Scope is not null && tool.Definition.Annotations!.ReadOnlyHint == true).Select(tool => tool.Scope!).ToHashSet();
        var least = scopes.Names.Where(reading.Contains).ToArray();
        Endpoint = new GatewayRoute(
            config.Name, ["POST"], PathTemplate.Parse(config.Path)!, new Uri("http://none"), PathTemplate.Parse(config.Path)!,
            string.Join(' ', least.Length > 0 ? least : scopes.Names.Intersect(All.Select(tool => tool.Scope ?? ""))), "", config.Line)
        {
            IsMcpServer = true,
        };
    }

    /// <summary>Null: there is no built-in server.</summary>
    public McpConfig? Config { get; }

    /// <summary>The endpoint as the gateway knows its own: the resource, and the scopes that a challenge names (the least that makes it useful).</summary>
    public GatewayRoute? Endpoint { get; }

    public IReadOnlyList<McpTool> All { get; } = [];

    public McpEndpoints Endpoints => new(
        Config is null ? []
            : [
                new McpEndpoint(
                    Config.Path, Config.Title ?? Config.Name, [.. All.Select(tool => tool.Scope).OfType<string>().Distinct(StringComparer.Ordinal)])]);

    public McpTool? Find(string? name) => name is null ? null : byName.GetValueOrDefault(name);

    private void Add(OpenApiOperation operation, List<string> problems)
    {
        try
        {
            var tool = Derive(operation);
            if (!byName.TryAdd(tool.Name, tool))
            {
                problems.Add($"{operation.Place}: two tools are called {tool.Name}.");
            }
        }
        catch (Exception error) when (error is ToolProblemException or ArgumentException or JsonException)
        {
            var problem = error is ToolProblemException ? error.Message : $"{operation.Place}: {error.Message}";
            problems.Add($"{problem} Correct it, or say \"tool\": false at the route {operation.Route.Name} (line {operation.Route.Line}).");
        }
    }

    private McpTool Derive(OpenApiOperation operation)
    {
        var (route, given) = (operation.Route, operation.Route.Tool);
        var input = ToolInput.Of(operation, document.Source!, document.IsVersion30);
        var output = ToolOutput.Of(operation, document.Source!, document.IsVersion30);
        var summary = operation.Operation["summary"]?.ToString();
        var isReading = operation.Method is "GET" or "HEAD";
        var definition = new Tool
        {
            Name = operation.Method == route.Methods[0] ? given?.Name ?? operation.Id : operation.Id,
            Title = given?.Title ?? summary,
            Description = given?.Description ?? operation.Operation["description"]?.ToString() ?? summary ?? route.Name,
            InputSchema = input.Schema,
            OutputSchema = output,
            Annotations = new ToolAnnotations
            {
                Title = given?.Title ?? summary,
                ReadOnlyHint = given?.ReadOnly ?? isReading,
                DestructiveHint = given?.Destructive ?? (operation.Method == "DELETE" || route.IsConsequential),
                IdempotentHint = given?.Idempotent ?? operation.Method is "PUT" or "DELETE",
                OpenWorldHint = given?.OpenWorld ?? false,
            },
            Meta = new JsonObject { [McpTool.SecuritySchemes] = SecuritySchemes(route.Scope) },
        };
        return new McpTool(operation, input, definition, route.Scope, new SchemaCheck(input.Schema), output is { } schema ? new SchemaCheck(schema) : null);
    }

    public static JsonArray SecuritySchemes(params string[] scopes) =>
        [new JsonObject { ["type"] = "oauth2", ["scopes"] = new JsonArray([.. scopes.Select(scope => JsonValue.Create(scope))]) }];
}
