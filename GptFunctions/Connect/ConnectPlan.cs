using System.Text.Json.Nodes;
using GptFunctions.Gateway;
using GptFunctions.Hosting;
using GptFunctions.Mcp;
using GptFunctions.Tokens;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace GptFunctions.Connect;

/// <summary>What is to be connected.</summary>
/// <param name="Source">The OpenAPI document: a file or a URL.</param>
/// <param name="Upstream">Where the API answers.</param>
/// <param name="Directory">Where gateway.json, the document and settings.env are, or will be.</param>
/// <param name="Headers">What the API gets with each call: <c>x-api-key: {secret:API_KEY}</c>.</param>
internal sealed record ConnectRequest(
    string Source, string Upstream, string Directory, RouteDefaults Defaults, IReadOnlyList<KeyValuePair<string, string>> Headers);

/// <summary>
/// What connecting an API changes, worked out before anything is written, and checked by what reads it at the start: a plan that exists loads.
/// </summary>
/// <param name="Files">All files with their texts, changed or not, by their names in the directory.</param>
/// <param name="Changes">A line each; empty: nothing changes.</param>
/// <param name="Notes">What is left out and why, and what a person should know.</param>
/// <param name="AddedScopes">Scopes that there were not before.</param>
/// <param name="AddedRoutes">How many routes there were not before.</param>
internal sealed record ConnectPlan(
    ApiDocument Document, IReadOnlyDictionary<string, string> Files, IReadOnlyList<string> Changes, IReadOnlyList<string> Notes, string Scopes,
    IReadOnlyList<string> AddedScopes, int AddedRoutes)
{
    public const string RoutesFile = "gateway.json";
    public const string SettingsFile = "settings.env";
    private const int LongestInstructions = 500;

    /// <returns>The plan, or sentences that say what to do.</returns>
    public static (ConnectPlan? Plan, IReadOnlyList<string> Problems) Make(ConnectRequest request, ApiDocument document)
    {
        var path = Path.Combine(request.Directory, RoutesFile);
        var before = File.Exists(path) ? GatewayConfig.Load(path) : null;
        if (before?.Problems is { Count: > 0 } mistakes)
        {
            return (null, [.. mistakes, $"Correct {path}, or remove it to begin anew."]);
        }

        var openApiFile = before?.OpenApiFile is { } known ? Path.GetFileName(known)
            : document.Text.AsSpan().TrimStart().StartsWith('{') ? "openapi.json" : "openapi.yaml";
        var earlier = before?.OpenApiFile is { } file ? OpenApiReader.Read(file).Document : null;
        var maker = new RouteMaker(document, request.Defaults, before?.Routes ?? [], before is null ? "/gpt/mcp" : before.Mcp?.Path);
        var made = new Draft(document, earlier is null ? null : new OpenApiOperations(earlier), before?.Routes ?? [], maker);
        if (made.Added.Count == 0 && made.Kept.Count == 0)
        {
            return (null, [$"{request.Source} has no operation that can be an action.", .. made.Notes]);
        }

        var upstream = request.Upstream.TrimEnd('/');
        var basePath = new Uri(upstream).AbsolutePath == "/" ? document.BasePath : "";
        var scopes = new ScopesText(Path.Combine(request.Directory, SettingsFile));
        made.Notes.AddRange(scopes.Add(made.Added.Select(route => route.Scope).Concat(made.Kept.Select(route => route.Scope)), maker.Sentences));
        while (true)
        {
            var text = before is null
                ? GatewayText.Begin(openApiFile, RouteMaker.Slug(document.Title), document.Title, Shorten(document.Description))
                : File.ReadAllText(path);
            var moved = made.Moved(upstream + basePath);
            text = GatewayText.Move(text, [.. moved.Select(route => route.Name)], upstream + basePath);
            text = GatewayText.Remove(text, [.. made.Removed.Select(route => route.Name)]);
            text = GatewayText.Append(text, [.. made.Added.Select(route => route.Write(upstream + basePath, request.Headers))]);
            var files = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                [RoutesFile] = text,
                [openApiFile] = document.Text,
                [SettingsFile] = scopes.Write(),
            };
            var problems = Check(files, scopes.Text);
            if (problems.Count > 0 && made.TakeToolsOut(problems))
            {
                continue; // those operations are actions, and no tools
            }

            var plan = new ConnectPlan(
                document, files,
                [
                    .. made.Describe(moved, upstream + basePath),
                    .. scopes.Added.Select(scope => $"+ scope  {scope.Key,-24} {scope.Value}"),
                    .. before?.OpenApiFile is { } old && File.ReadAllText(old) != document.Text ? made.DescribeDocument(openApiFile) : [],
                ],
                [
                    .. basePath.Length > 0 ? [$"The document's server puts {basePath} before each path: calls go to {upstream + basePath}."] : (string[])[],
                    .. made.Notes, .. NotesOf(document, request),
                ],
                scopes.Text, [.. scopes.Added.Select(scope => scope.Key)], made.Added.Count);
            return problems.Count > 0 ? (null, problems) : (plan, []);
        }
    }

    /// <summary>Reads the files as the program does at its start.</summary>
    private static List<string> Check(Dictionary<string, string> files, string scopes)
    {
        var directory = Directory.CreateTempSubdirectory("gpt-connect-").FullName;
        try
        {
            foreach (var (name, text) in files)
            {
                File.WriteAllText(Path.Combine(directory, name), text);
            }

            if (ScopeList.Read(scopes).Problem is { } problem)
            {
                return [problem];
            }

            var gateway = new GatewaySettings { ConfigPath = Path.Combine(directory, RoutesFile) };
            if (gateway.Problems(isProduction: false).ToList() is { Count: > 0 } mistakes)
            {
                return mistakes;
            }

            var tokens = Options.Create(new TokenSettings { Scopes = scopes, PublicBaseUrl = "http://127.0.0.1" });
            var catalog = new ScopeCatalog(tokens);
            var routes = new GatewayRoutes(Options.Create(gateway), catalog, NullLogger<GatewayRoutes>.Instance);
            _ = new ToolCatalog(routes, new OpenApiDocument(routes, tokens, catalog, NullLogger<OpenApiDocument>.Instance), catalog);
            return [];
        }
        catch (Exception error) when (Startup.Problems(error) is { Count: > 0 } problems)
        {
            return [.. problems.Select(problem => problem.Replace(directory + Path.DirectorySeparatorChar, "", StringComparison.Ordinal))];
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>What the document says the API wants of a caller, and nobody gives it.</summary>
    private static IEnumerable<string> NotesOf(ApiDocument document, ConnectRequest request)
    {
        foreach (var (_, scheme) in document.Json["components"]?["securitySchemes"] as JsonObject ?? [])
        {
            if (scheme?["type"]?.ToString() == "apiKey" && scheme["in"]?.ToString() == "header" && scheme["name"]?.ToString() is { } name
                && !request.Headers.Any(header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase)))
            {
                yield return $"The document says that the API wants a key in {name}. Where it does: --header '{name}: {{secret:API_KEY}}' on the first run, "
                    + "or \"headers\" of the routes, and API_KEY in the environment of make run.";
            }
        }
    }

    private static string? Shorten(string? text)
    {
        var first = text?.Split("\n\n")[0].ReplaceLineEndings(" ").Trim();
        return string.IsNullOrEmpty(first) ? null : first.Length > LongestInstructions ? first[..LongestInstructions] : first;
    }
}
