using System.Text.Json.Nodes;
using GptFunctions.Gateway;

namespace GptFunctions.Connect;

/// <summary>The difference between the routes that are there and the operations of a document.</summary>
internal sealed class Draft
{
    private readonly ApiDocument document;
    private readonly OpenApiOperations? earlier;

    /// <param name="earlier">The document of the last run; null for the first.</param>
    public Draft(ApiDocument document, OpenApiOperations? earlier, IReadOnlyList<GatewayRoute> routes, RouteMaker maker)
    {
        (this.document, this.earlier) = (document, earlier);
        var now = document.Operations;
        Kept = [.. routes.Where(route => HasOperation(route, now))];
        // What people wrote by hand for something that no document has is theirs, and stays.
        Removed = [.. routes.Where(route => !HasOperation(route, now) && earlier is not null && HasOperation(route, earlier))];
        var (described, left) = (earlier?.All.Select(Place).ToHashSet() ?? [], new List<string>());
        foreach (var (method, path) in now.All.Where(one => one.Method is not ("HEAD" or "OPTIONS")))
        {
            if (Kept.Any(route => route.Methods.Contains(method) && OpenApiOperations.Shape(route.UpstreamPath.Text) == OpenApiOperations.Shape(path)))
            {
                continue;
            }

            if (described.Contains(Place((method, path))))
            {
                left.Add($"{method} {path}");
                continue;
            }

            var (route, problem) = maker.Make(method, path);
            if (route is not null)
            {
                Added.Add(route);
            }
            else
            {
                Notes.Add($"left out: {method} {path}: {problem}.");
            }
        }

        if (left.Count > 0)
        {
            Notes.Add($"without a route, as before: {string.Join(", ", left)}.");
        }
    }

    public List<NewRoute> Added { get; private set; } = [];

    public List<GatewayRoute> Kept { get; }

    public List<GatewayRoute> Removed { get; }

    public List<string> Notes { get; } = [];

    /// <summary>The routes that the API's new address is for: those that have the address of most. Another one was somebody's edit.</summary>
    public List<GatewayRoute> Moved(string upstream)
    {
        var usual = Kept.GroupBy(route => Address(route.Upstream)).MaxBy(group => group.Count())?.Key;
        return usual is null || usual == Address(new Uri(upstream)) ? [] : [.. Kept.Where(route => Address(route.Upstream) == usual)];
    }

    /// <summary>Makes no tools of the new routes that these sentences name; false when they name none.</summary>
    public bool TakeToolsOut(IReadOnlyList<string> problems)
    {
        var changed = false;
        Added = [.. Added.Select(route =>
        {
            if (route.NoTool is not null
                || problems.FirstOrDefault(problem => problem.Contains($"the route {route.Name} (line", StringComparison.Ordinal)) is not { } problem)
            {
                return route;
            }

            changed = true;
            var why = problem[(problem.IndexOf(": ", StringComparison.Ordinal) + 2)..problem.IndexOf(" Correct it,", StringComparison.Ordinal)];
            Notes.Add($"no MCP tool: {why} It is an action all the same (\"tool\": false).");
            return route with { NoTool = why };
        })];
        return changed;
    }

    public IEnumerable<string> Describe(List<GatewayRoute> moved, string upstream) =>
        [
            .. Added.Select(route => $"+ {route.Name,-24} {route.Place,-36} {route.Scope,-20} {route.Tier}{(route.IsAudited ? ", audited" : "")}"),
            .. Removed.Select(route => $"- {route.Name,-24} {string.Join(' ', route.Methods)} {route.UpstreamPath.Text}: no longer in the document"),
            .. moved.Count > 0 ? [$"~ upstream of {moved.Count} routes: {upstream}"] : (string[])[],
        ];

    public IEnumerable<string> DescribeDocument(string file)
    {
        var changed = Kept.SelectMany(route => route.Methods.Select(method => (route, method)))
            .Where(one => !JsonNode.DeepEquals(earlier?.Find(one.route, one.method)?.Operation, document.Operations.Find(one.route, one.method)?.Operation))
            .Select(one => one.route.Name).Distinct().ToList();
        return [$"~ {file}{(changed.Count > 0 ? $": {string.Join(", ", changed)} described anew" : ": its text")}"];
    }

    private static bool HasOperation(GatewayRoute route, OpenApiOperations operations) =>
        !route.IsMcpServer && route.Methods.Any(method => operations.Find(route, method) is not null);

    private static (string Method, string Shape) Place((string Method, string Path) one) => (one.Method, OpenApiOperations.Shape(one.Path));

    private static string Address(Uri upstream) => upstream.AbsoluteUri.TrimEnd('/');
}
