using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace GptFunctions.Gateway;

/// <summary>What an OpenAPI document says of one method of one route.</summary>
/// <param name="Place">Where it stands there: <c>GET /jobs/{id}</c>.</param>
/// <param name="Parameters">
/// The operation's and its path's, references resolved: those of the path by the names that the route gives them, and no header that callers
/// cannot send.
/// </param>
internal sealed record OpenApiOperation(
    GatewayRoute Route, string Method, string Place, JsonObject Item, JsonObject Operation, IReadOnlyList<JsonObject> Parameters)
{
    /// <summary>Unique in the document: the route's name, for further methods with the method behind it.</summary>
    public string Id => Method == Route.Methods[0] ? Route.Name : $"{Route.Name}_{Method.ToLowerInvariant()}";
}

/// <summary>
/// Finds the operations of routes in the upstream's OpenAPI document. A path is the same whatever its parameters are called:
/// <c>/notes/{noteId}</c> is <c>/notes/{id}</c>.
/// </summary>
internal sealed partial class OpenApiOperations
{
    private const int LongestChain = 20;
    private static readonly string[] Methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    private readonly JsonObject document;
    private readonly Dictionary<string, string> pathsByShape = new(StringComparer.Ordinal);

    public OpenApiOperations(JsonObject document)
    {
        this.document = document;
        foreach (var (path, _) in document["paths"]!.AsObject())
        {
            pathsByShape.TryAdd(Shape(path), path);
        }
    }

    /// <summary>Every operation of the document: method and path.</summary>
    public IEnumerable<(string Method, string Path)> All => document["paths"]!.AsObject().SelectMany(
        path => Methods.Where(method => Resolve(path.Value)?[Key(method)] is JsonObject).Select(method => (method, path.Key)));

    /// <summary>Null when the document has none for it.</summary>
    public OpenApiOperation? Find(GatewayRoute route, string method)
    {
        var paths = document["paths"]!.AsObject();
        var path = paths.ContainsKey(route.UpstreamPath.Text) ? route.UpstreamPath.Text : pathsByShape.GetValueOrDefault(Shape(route.UpstreamPath.Text));
        return path is not null && Resolve(paths[path]) is { } item && item[Key(method)] is JsonObject operation
            ? new OpenApiOperation(route, method, $"{method} {path}", item, operation, Parameters(route, path, item, operation))
            : null;
    }

    /// <summary>The object itself, or what its <c>$ref</c> leads to within the document; null for what is no object or leads nowhere.</summary>
    public JsonObject? Resolve(JsonNode? node)
    {
        for (var step = 0; step < LongestChain && node is JsonObject found; step++)
        {
            if (found["$ref"] is not JsonValue reference)
            {
                return found;
            }

            node = Follow(reference.ToString());
        }

        return null;
    }

    /// <summary>What a JSON pointer (RFC 6901) leads to within the document, <c>#/components/schemas/Job</c>; null for nothing.</summary>
    public JsonNode? Follow(string reference)
    {
        if (!reference.StartsWith("#/", StringComparison.Ordinal))
        {
            return null;
        }

        JsonNode? node = document;
        foreach (var part in Uri.UnescapeDataString(reference[2..]).Split('/'))
        {
            var key = part.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            node = node switch
            {
                JsonObject found => found[key],
                JsonArray list when int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index >= 0 && index < list.Count =>
                    list[index],
                _ => null,
            };
        }

        return node;
    }

    public static string Key(string method) => method.ToLowerInvariant();

    /// <summary>The same for paths that differ in the names of their parameters only.</summary>
    public static string Shape(string path) => Parameter().Replace(path, "{}");

    private List<JsonObject> Parameters(GatewayRoute route, string path, JsonObject item, JsonObject operation)
    {
        var theirNames = Parameter().Matches(path).Select(match => match.Value[1..^1]).ToArray();
        var parameters = new Dictionary<(string Place, string Name), JsonObject>();
        foreach (var parameter in (item["parameters"] as JsonArray ?? []).Concat(operation["parameters"] as JsonArray ?? [])) // the operation's word counts
        {
            if (Resolve(parameter) is { } found && found["in"]?.ToString() is { } place && found["name"]?.ToString() is { } name)
            {
                parameters[(place, name)] = found;
            }
        }

        var ours = new List<JsonObject>();
        foreach (var ((place, name), found) in parameters)
        {
            var copy = found.DeepClone().AsObject();
            if (place == "path" && Array.IndexOf(theirNames, name) is >= 0 and var index)
            {
                copy["name"] = route.UpstreamPath.Parameters[index];
            }

            if (place != "header" || HeaderRules.OfRequest(name, route.PassHeaders) == HeaderRule.Pass && !route.Sets(name))
            {
                ours.Add(copy);
            }
        }

        // What the document does not know of, because only our path has it, or because nobody wrote it down.
        var named = ours.Where(parameter => parameter["in"]!.ToString() == "path").Select(parameter => parameter["name"]!.ToString()).ToHashSet();
        ours.AddRange(route.Path.Parameters.Where(name => !named.Contains(name)).Select(name => new JsonObject
        {
            ["name"] = name,
            ["in"] = "path",
            ["required"] = true,
            ["schema"] = new JsonObject { ["type"] = "string" },
        }));
        return ours;
    }

    [GeneratedRegex(@"\{[^{}/]*\}", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Parameter();
}
