using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.Gateway;

/// <summary>
/// The upstream's OpenAPI document as a GPT sees it: only what has a route, at our paths, behind our server URL and OAuth; names and
/// whether ChatGPT has to ask come from the routes. What identifies the user is no parameter any more.
/// </summary>
internal sealed class OpenApiDocument
{
    private const string SchemeName = "oauth2";
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public OpenApiDocument(GatewayRoutes routes, IOptions<TokenSettings> settings, ScopeCatalog scopes)
    {
        if (routes.OpenApiFile is { } file)
        {
            var document = JsonNode.Parse(File.ReadAllText(file))!.AsObject();
            Rewrite(document, routes.All, settings.Value.PublicBaseUrl!, scopes);
            Text = JsonSerializer.SerializeToUtf8Bytes(document, Indented);
        }
    }

    /// <summary>Null when the configuration names no document.</summary>
    public byte[]? Text { get; }

    /// <summary>Why a file is no OpenAPI document; null when it is one.</summary>
    public static string? ProblemWith(string file)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllText(file)) is JsonObject document && document["openapi"] is JsonValue && document["paths"] is JsonObject paths
                && paths.All(path => path.Value is JsonObject)
                ? null
                : $"{file} is no OpenAPI document in JSON.";
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException)
        {
            return $"{file} cannot be read: {error.Message}";
        }
    }

    private static void Rewrite(JsonObject document, IReadOnlyList<GatewayRoute> routes, string baseUrl, ScopeCatalog scopes)
    {
        document["servers"] = new JsonArray(new JsonObject { ["url"] = baseUrl });
        document.Remove("security"); // each operation has its own
        var theirs = document["paths"]!.AsObject();
        var ours = new JsonObject();
        foreach (var route in routes)
        {
            foreach (var method in route.Methods)
            {
                var path = theirs[route.UpstreamPath.Text]?.AsObject();
                if (path?[Key(method)] is JsonObject operation)
                {
                    var target = ours[route.Path.Text] as JsonObject ?? Shared(path, [.. routes.Where(other => other.Path.Text == route.Path.Text)]);
                    target[Key(method)] = Operation(operation, route, method);
                    ours[route.Path.Text] = target;
                }
            }
        }

        document["paths"] = ours;
        var components = document["components"] as JsonObject ?? [];
        document["components"] = components;
        components["securitySchemes"] = new JsonObject { [SchemeName] = Scheme(baseUrl, scopes) };
    }

    /// <summary>What a path says for all its operations.</summary>
    private static JsonObject Shared(JsonObject path, GatewayRoute[] routes)
    {
        var shared = new JsonObject(
            path.Where(member => member.Key is "parameters" or "summary" or "description")
                .Select(member => KeyValuePair.Create(member.Key, member.Value?.DeepClone())));
        RemoveHeaders(shared, routes);
        return shared;
    }

    private static JsonObject Operation(JsonObject theirs, GatewayRoute route, string method)
    {
        var operation = theirs.DeepClone().AsObject();
        operation["operationId"] = method == route.Methods[0] ? route.Name : $"{route.Name}_{Key(method)}"; // must be unique
        operation["x-openai-isConsequential"] = route.IsConsequential;
        operation["security"] = new JsonArray(new JsonObject { [SchemeName] = new JsonArray(route.Scope) });
        operation.Remove("servers");
        RemoveHeaders(operation, [route]);
        return operation;
    }

    /// <summary>Leaves only the header parameters that reach the upstream.</summary>
    private static void RemoveHeaders(JsonObject owner, GatewayRoute[] routes)
    {
        if (owner["parameters"] is JsonArray parameters)
        {
            parameters.RemoveAll(parameter => parameter?["in"]?.ToString() == "header"
                && !Array.Exists(routes, route => HeaderRules.OfRequest(parameter["name"]?.ToString() ?? "", route.PassHeaders) == HeaderRule.Pass));
        }
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
                ["scopes"] = new JsonObject(scopes.Names.Select(name => KeyValuePair.Create(name, (JsonNode?)scopes.Sentence(name)))),
            },
        },
    };

    private static string Key(string method) => method switch
    {
        "GET" => "get",
        "HEAD" => "head",
        "POST" => "post",
        "PUT" => "put",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "options",
    };
}
