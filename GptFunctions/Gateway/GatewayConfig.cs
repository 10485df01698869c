using System.Runtime.InteropServices;
using System.Text.Json;
using GptFunctions.Plans;
using GptFunctions.Tokens;

namespace GptFunctions.Gateway;

/// <summary>What a <c>gateway.json</c> says, and what is wrong with it: sentences that name the line.</summary>
internal sealed record GatewayConfig(IReadOnlyList<GatewayRoute> Routes, string? OpenApiFile, PlanTable Plans, McpConfig? Mcp, IReadOnlyList<string> Problems)
{
    private static readonly JsonDocumentOptions Options = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    public static GatewayConfig Empty { get; } = new([], null, PlanTable.Empty, null, []);

    public static GatewayConfig Load(string path)
    {
        try
        {
            return Parse(File.ReadAllBytes(path), Path.GetFileName(path), Path.GetDirectoryName(Path.GetFullPath(path))!);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return Empty with { Problems = [$"GATEWAY_CONFIG names a file that cannot be read: {error.Message}"] };
        }
    }

    /// <param name="name">The file's name, for the sentences.</param>
    /// <param name="directory">What other files are relative to.</param>
    public static GatewayConfig Parse(byte[] json, string name, string directory)
    {
        var problems = new List<string>();
        var routes = new List<GatewayRoute>();
        string? openApi = null;
        var plans = new PlansReader();
        McpConfig? mcp = null;
        try
        {
            using var document = JsonDocument.Parse(json, Options);
            foreach (var member in new ConfigObject(document.RootElement, json).Members)
            {
                switch (member)
                {
                    case { Name: "routes", Value.ValueKind: JsonValueKind.Array }:
                        foreach (var item in member.Value.EnumerateArray())
                        {
                            var parsed = new RouteReader(new ConfigObject(item, json));
                            problems.AddRange(parsed.Problems.Select(problem => $"{name} line {problem.Line}: {problem.Text}"));
                            routes.AddRange(parsed.Route is { } route ? [route] : []);
                        }

                        break;
                    case { Name: "openapi", Value.ValueKind: JsonValueKind.String }:
                        openApi = Path.Combine(directory, member.Value.GetString()!);
                        problems.AddRange(OpenApiReader.Read(openApi).Problem is { } problem ? [$"{name} line {member.Line}: openapi: {problem}"] : []);
                        break;
                    case { Name: "mcp", Value.ValueKind: JsonValueKind.Object }:
                        var read = new McpReader(new ConfigObject(member.Value, json));
                        problems.AddRange(read.Problems.Select(problem => $"{name} line {problem.Line}: {problem.Text}"));
                        mcp = read.Config;
                        break;
                    case { Name: "plans", Value.ValueKind: JsonValueKind.Object }:
                        plans.Read(new ConfigObject(member.Value, json), json);
                        break;
                    case { Name: "defaultPlan", Value.ValueKind: JsonValueKind.String or JsonValueKind.Null }:
                        plans.ReadDefault(member);
                        break;
                    default:
                        problems.Add($"{name} line {member.Line}: '{member.Name}' is not known here; "
                            + "there are routes (a list of objects), openapi (a file name), mcp (an object), plans (an object) and defaultPlan (a plan's "
                                + "name or null).");
                        break;
                }
            }

            problems.AddRange(plans.Problems.Select(problem => $"{name} line {problem.Line}: {problem.Text}"));
        }
        catch (JsonException error)
        {
            var problem = $"{name} line {error.LineNumber + 1}: this is not JSON as it should be: {error.Message.Split(" LineNumber:")[0]}";
            return Empty with { Problems = [problem] };
        }

        var conflicts = Conflicts(routes).Concat(Conflicts(routes, mcp, openApi)).Select(problem => $"{name} {problem}");
        return new GatewayConfig(routes, openApi, plans.Table, mcp, [.. problems, .. conflicts]);
    }

    /// <summary>Routes that ask for a scope which no token can hold.</summary>
    public IEnumerable<string> UnknownScopes(ScopeCatalog scopes) =>
        Routes.Where(route => !scopes.Names.Contains(route.Scope))
            .Select(route => $"Gateway route {route.Name} (line {route.Line}): the scope {route.Scope} is not in GPT_SCOPES.");

    private static IEnumerable<string> Conflicts(List<GatewayRoute> routes, McpConfig? mcp, string? openApi)
    {
        if (mcp is not null && openApi is null)
        {
            yield return $"line {mcp.Line}: mcp needs openapi: the tools are made from the operations of that document.";
        }

        if (routes.Find(route => route.Path.Text == mcp?.Path) is { } route)
        {
            yield return $"line {mcp!.Line}: mcp has the path of {route.Name} in line {route.Line}.";
        }
    }

    private static IEnumerable<string> Conflicts(List<GatewayRoute> routes)
    {
        for (var index = 1; index < routes.Count; index++)
        {
            var route = routes[index];
            if (routes.Take(index).FirstOrDefault(other => other.Name == route.Name) is { } namesake)
            {
                yield return $"line {route.Line}: there is a route {route.Name} in line {namesake.Line} already.";
            }

            if (routes.Take(index).FirstOrDefault(other => other.Path.Shape == route.Path.Shape && other.Methods.Intersect(route.Methods).Any()) is { } twin)
            {
                yield return $"line {route.Line}: {route.Name} answers the same method and path as {twin.Name} in line {twin.Line}.";
            }
        }
    }
}

/// <summary>A member of a JSON object with the line where it stands.</summary>
internal sealed record ConfigMember(string Name, int Line, JsonElement Value);

/// <summary>An object with the line where it begins.</summary>
internal sealed record ConfigObject(int Line, IReadOnlyList<ConfigMember> Members)
{
    /// <param name="json">The file that the element was parsed from.</param>
    public ConfigObject(JsonElement source, byte[] json)
        : this(LineOf(source, json), [.. Read(source, json)])
    {
    }

    private static IEnumerable<ConfigMember> Read(JsonElement source, byte[] json)
    {
        if (source.ValueKind != JsonValueKind.Object)
        {
            throw new JsonException("an object, { ... }, is expected.", null, LineOf(source, json) - 1, null);
        }

        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var member in source.EnumerateObject())
        {
            var line = LineOf(member.Value, json);
            yield return names.Add(member.Name)
                ? new ConfigMember(member.Name, line, member.Value)
                : throw new JsonException($"'{member.Name}' stands twice in one object.", null, line - 1, null);
        }
    }

    /// <summary>An element is a piece of the bytes that it was parsed from, which tells where it stands.</summary>
    private static int LineOf(JsonElement element, byte[] json)
    {
        json.AsSpan().Overlaps(JsonMarshal.GetRawUtf8Value(element), out var offset);
        return 1 + json.AsSpan(0, offset).Count((byte)'\n');
    }
}
