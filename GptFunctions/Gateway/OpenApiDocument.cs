using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Tokens;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace GptFunctions.Gateway;

/// <summary>
/// The upstream's OpenAPI document as a GPT sees it: only what has a route, at our paths, behind our server URL and OAuth; names and
/// whether ChatGPT has to ask come from the routes. What identifies the user is no parameter any more. What has no partner is said when this is made.
/// </summary>
internal sealed partial class OpenApiDocument
{
    private const string SchemeName = "oauth2";
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Throws <see cref="OptionsValidationException"/> when the file is none any more.</summary>
    public OpenApiDocument(GatewayRoutes routes, IOptions<TokenSettings> settings, ScopeCatalog scopes, ILogger<OpenApiDocument> logger)
    {
        if (routes.OpenApiFile is not { } file)
        {
            return;
        }

        var (document, problem) = OpenApiReader.Read(file);
        if (document is null)
        {
            throw new OptionsValidationException(nameof(OpenApiDocument), typeof(GatewaySettings), [problem!]);
        }

        Source = new OpenApiOperations(document);
        IsVersion30 = document["openapi"]!.ToString().StartsWith("3.0", StringComparison.Ordinal);
        var calls = routes.AsListed.Where(route => !route.IsMcpServer).SelectMany(route => route.Methods.Select(method => (Route: route, Method: method)))
            .ToList();
        Operations = [.. calls.Select(call => Source.Find(call.Route, call.Method)).OfType<OpenApiOperation>()];
        var rewritten = document.DeepClone().AsObject();
        Rewrite(rewritten, settings.Value.PublicBaseUrl!, scopes);
        Text = JsonSerializer.SerializeToUtf8Bytes(rewritten, Indented);
        Tell(calls, logger);
    }

    /// <summary>Null when the configuration names no document.</summary>
    public byte[]? Text { get; }

    /// <summary>The upstream's document; null likewise.</summary>
    public OpenApiOperations? Source { get; }

    /// <summary>Whether its schemas are of OpenAPI 3.0, which are not quite JSON Schema.</summary>
    public bool IsVersion30 { get; }

    /// <summary>What has both a route and an operation, in the order of the routes.</summary>
    public IReadOnlyList<OpenApiOperation> Operations { get; } = [];

    private void Rewrite(JsonObject document, string baseUrl, ScopeCatalog scopes)
    {
        document["servers"] = new JsonArray(new JsonObject { ["url"] = baseUrl });
        document.Remove("security"); // each operation has its own
        var paths = new JsonObject();
        foreach (var found in Operations)
        {
            var target = paths[found.Route.Path.Text] as JsonObject ?? Shared(found.Item);
            target[OpenApiOperations.Key(found.Method)] = Operation(found);
            paths[found.Route.Path.Text] = target;
        }

        document["paths"] = paths;
        var components = document["components"] as JsonObject ?? [];
        document["components"] = components;
        components["securitySchemes"] = new JsonObject { [SchemeName] = Scheme(baseUrl, scopes) };
    }

    /// <summary>What a path says for all its operations. Parameters stand with each operation, because their names are the route's.</summary>
    private static JsonObject Shared(JsonObject item) => new(
        item.Where(member => member.Key is "summary" or "description").Select(member => KeyValuePair.Create(member.Key, member.Value?.DeepClone())));

    private static JsonObject Operation(OpenApiOperation found)
    {
        var operation = found.Operation.DeepClone().AsObject();
        operation["operationId"] = found.Id;
        operation["x-openai-isConsequential"] = found.Route.IsConsequential;
        operation["security"] = new JsonArray(new JsonObject { [SchemeName] = new JsonArray(found.Route.Scope) });
        operation.Remove("servers");
        operation.Remove("parameters");
        if (found.Parameters.Count > 0)
        {
            operation["parameters"] = new JsonArray([.. found.Parameters.Select(parameter => parameter.DeepClone())]);
        }

        return operation;
    }

    private static JsonObject Scheme(string baseUrl, ScopeCatalog scopes) => new()
    {
        ["type"] = "oauth2",
        ["flows"] = new JsonObject
        {
            ["authorizationCode"] = new JsonObject
            {
                ["authorizationUrl"] = baseUrl + "/oauth/authorize",
                ["tokenUrl"] = baseUrl + "/oauth/token",
                ["refreshUrl"] = baseUrl + "/oauth/token",
                ["scopes"] = new JsonObject(scopes.Names.Select(name => KeyValuePair.Create(name, (JsonNode?)scopes.Sentence(name, "en").Text))),
            },
        },
    };

    private void Tell(List<(GatewayRoute Route, string Method)> calls, ILogger logger)
    {
        var described = Operations.Select(found => (found.Route.Name, found.Method)).ToHashSet();
        var routed = Operations.Select(found => found.Place).ToHashSet(StringComparer.Ordinal);
        foreach (var (route, method) in calls.Where(
            call => !described.Contains((call.Route.Name, call.Method)) && call.Method is not ("HEAD" or "OPTIONS")))
        {
            LogNoOperation(logger, route.Name, route.Line, $"{method} {route.UpstreamPath.Text}");
        }

        var left = Source!.All.Select(one => $"{one.Method} {one.Path}").Where(place => !routed.Contains(place)).ToList();
        if (left.Count > 0)
        {
            LogNoRoute(logger, string.Join(", ", left));
        }
    }

    [LoggerMessage(6025, LogLevel.Warning,
        "The OpenAPI document has no operation {Operation} for the gateway's route {Route} (line {Line}): neither GPTs nor MCP hosts will know it")]
    private static partial void LogNoOperation(ILogger logger, string route, int line, string operation);

    [LoggerMessage(6026, LogLevel.Information, "No route leads to these operations of the OpenAPI document, so they are left out: {Operations}")]
    private static partial void LogNoRoute(ILogger logger, string operations);
}
