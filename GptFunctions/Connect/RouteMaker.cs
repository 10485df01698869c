using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using GptFunctions.Gateway;

namespace GptFunctions.Connect;

/// <summary>What is made of operations that say nothing of it themselves.</summary>
/// <param name="Scopes">tag or access; null: by tag where every operation has one of two to eight tags, else by access.</param>
/// <param name="Tiers">method (GET and HEAD read, the rest expensive), read or expensive.</param>
/// <param name="Audit">writes, all or none.</param>
internal sealed record RouteDefaults(string? Scopes, string Tiers, string Audit);

/// <summary>Turns operations of a document into routes, or says why one cannot be.</summary>
/// <param name="taken">The routes that are there.</param>
/// <param name="mcpPath">Where the MCP server is; null for none.</param>
internal sealed partial class RouteMaker(ApiDocument document, RouteDefaults defaults, IReadOnlyList<GatewayRoute> taken, string? mcpPath)
{
    private const int LongestName = 64;
    private readonly HashSet<string> names = new(taken.Select(route => route.Name).Append("get_profile"), StringComparer.Ordinal);
    private readonly HashSet<(string Shape, string Method)> places =
        [.. taken.SelectMany(route => route.Methods.Select(method => (route.Path.Shape, method)))];

    private readonly bool isByTag = defaults.Scopes == "tag" || (defaults.Scopes is null && IsByTag(document));

    /// <summary>Sentences for people, by scope, of the routes that were made.</summary>
    public Dictionary<string, string> Sentences { get; } = new(StringComparer.Ordinal);

    public (NewRoute? Route, string? Problem) Make(string method, string path)
    {
        var operation = OperationAt(document, method, path);
        var ours = Parameter().Replace(path, match => "{" + Clean(match.Groups["name"].Value) + "}");
        var inside = ours.StartsWith("/gpt/", StringComparison.Ordinal) ? ours : "/gpt" + ours;
        if (inside is GatewayFunctions.OpenApiPath or GatewayFunctions.UsagePath || inside == mcpPath)
        {
            inside = "/gpt/api" + ours;
        }

        if (PathTemplate.Parse(inside) is not { } template || PathTemplate.Parse(ours) is null)
        {
            return (null, "a path is made of letters, digits, '.', '_' and '-', and of parameters that are a whole segment each, without a slash at its end; "
                + "give the operation such a path at the API");
        }

        if (!places.Add((template.Shape, method)))
        {
            return (null, $"{method} {inside} has a route already; take one of the two out of the document, or write its route by hand with another path");
        }

        var isReading = method == "GET";
        var scope = Scope(operation, isReading, out var subject);
        Sentences[scope] = Sentence(subject, scope, isReading);
        return (
            new NewRoute(
                $"{method} {path}", Name(operation, method, path), method, inside, ours, scope,
                defaults.Tiers == "method" ? isReading ? "read" : "expensive" : defaults.Tiers,
                defaults.Audit == "all" || (defaults.Audit == "writes" && !isReading))
            {
                IsConsequential = operation["x-openai-isConsequential"] is JsonValue flag && flag.TryGetValue(out bool is_) && is_ == isReading ? is_ : null,
            },
            null);
    }

    /// <summary>Whether scopes are made of tags where nobody says of what: every operation has one of two to eight.</summary>
    public static bool IsByTag(ApiDocument document)
    {
        var tags = document.Operations.All.Select(one => TagOf(OperationAt(document, one.Method, one.Path))).ToList();
        return tags.TrueForAll(tag => tag is not null) && tags.Distinct().Count() is >= 2 and <= 8;
    }

    /// <summary>Letters, digits and hyphens.</summary>
    public static string Slug(string text)
    {
        var slug = Other().Replace(text.ToLowerInvariant(), "-").Trim('-');
        return slug.Length == 0 || !char.IsAsciiLetter(slug[0]) ? ("api-" + slug).TrimEnd('-') : slug.Length > 40 ? slug[..40].TrimEnd('-') : slug;
    }

    private string Scope(JsonObject operation, bool isReading, out string? tag)
    {
        tag = isByTag ? TagOf(operation) : null;
        return $"{Slug(tag ?? document.Title)}:{(isReading ? "read" : "write")}";
    }

    /// <summary>What the operations of a scope do, all of them: "Create, change and delete books".</summary>
    private string Sentence(string? tag, string scope, bool isReading)
    {
        var verbs = isReading ? ["Read"] : document.Operations.All.Where(one => one.Method is not ("GET" or "HEAD" or "OPTIONS"))
            .Where(one => Scope(OperationAt(document, one.Method, one.Path), false, out _) == scope)
            .Select(one => one.Method switch { "POST" => "create", "DELETE" => "delete", _ => "change" }).Distinct()
            .OrderBy(verb => Array.IndexOf(["create", "change", "delete"], verb)).ToArray();
        var verb = string.Join(" and ", verbs).Replace("create and change and", "create, change and", StringComparison.Ordinal);
        var text = $"{verb} {(tag is null ? "data in " + document.Title : Lower(tag))}";
        return char.ToUpperInvariant(text[0]) + Reserved().Replace(text[1..], " ");
    }

    // Books -> books; but FAQ stays.
    private static string Lower(string tag) => tag.Length > 1 && char.IsLower(tag[1]) ? char.ToLowerInvariant(tag[0]) + tag[1..] : tag;

    private string Name(JsonObject operation, string method, string path)
    {
        var name = operation["operationId"]?.ToString() is { Length: > 0 } id ? Clean(id) : FromPath(method, path);
        var stem = char.IsAsciiLetter(name[0]) ? name : "op_" + name;
        stem = stem[..Math.Min(stem.Length, LongestName - 4)];
        name = stem;
        for (var number = 2; !names.Add(name); number++)
        {
            name = stem + number.ToString(CultureInfo.InvariantCulture);
        }

        return name;
    }

    // GET /books/{id}/copies -> getBooksByIdCopies
    private static string FromPath(string method, string path)
    {
        var name = new StringBuilder(method.ToLowerInvariant());
        foreach (var segment in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            var words = Other().Split(segment.ToLowerInvariant()).Where(word => word.Length > 0).Select(word => char.ToUpperInvariant(word[0]) + word[1..]);
            name.Append(segment.StartsWith('{') ? "By" : "").AppendJoin("", words);
        }

        return name.ToString();
    }

    private static string Clean(string text) => Unnamable().Replace(text, "_");

    private static string? TagOf(JsonObject operation) =>
        operation["tags"] is JsonArray { Count: > 0 } tags && tags[0]?.ToString() is { Length: > 0 } tag ? tag : null;

    public static JsonObject OperationAt(ApiDocument document, string method, string path) =>
        document.Operations.Resolve(document.Json["paths"]![path])![OpenApiOperations.Key(method)]!.AsObject();

    [GeneratedRegex(@"\{(?<name>[^{}/]*)\}", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Parameter();

    [GeneratedRegex("[^A-Za-z0-9_-]", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Unnamable();

    [GeneratedRegex("[^a-z0-9]+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Other();

    /// <summary>What GPT_SCOPES is made of.</summary>
    [GeneratedRegex(@"[;=\p{C}]+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Reserved();
}
