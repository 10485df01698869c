using System.Text.Json;
using GptFunctions.OAuth;

namespace GptFunctions.Gateway;

/// <summary>What a <c>gateway.json</c> says, and what is wrong with it: sentences that name the line.</summary>
internal sealed record GatewayConfig(IReadOnlyList<GatewayRoute> Routes, string? OpenApiFile, IReadOnlyList<string> Problems)
{
    private static readonly JsonReaderOptions Options = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    public static GatewayConfig Empty { get; } = new([], null, []);

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
    public static GatewayConfig Parse(ReadOnlySpan<byte> json, string name, string directory)
    {
        var problems = new List<string>();
        var routes = new List<GatewayRoute>();
        string? openApi = null;
        try
        {
            var reader = new Utf8JsonReader(json, Options);
            reader.Read();
            foreach (var member in ConfigMember.ReadObject(ref reader, json, readsArrays: "routes"))
            {
                switch (member.Name)
                {
                    case "routes" when member.Items is { } items:
                        foreach (var item in items)
                        {
                            var parsed = new RouteReader(item);
                            problems.AddRange(parsed.Problems.Select(problem => $"{name} line {problem.Line}: {problem.Text}"));
                            routes.AddRange(parsed.Route is { } route ? [route] : []);
                        }

                        break;
                    case "openapi" when member.Value.ValueKind == JsonValueKind.String:
                        openApi = Path.Combine(directory, member.Value.GetString()!);
                        problems.AddRange(OpenApiDocument.ProblemWith(openApi) is { } problem ? [$"{name} line {member.Line}: openapi: {problem}"] : []);
                        break;
                    default:
                        problems.Add($"{name} line {member.Line}: '{member.Name}' is not known here; there are routes (a list of objects) and openapi (a file name).");
                        break;
                }
            }
        }
        catch (JsonException error)
        {
            return Empty with { Problems = [$"{name} line {error.LineNumber + 1}: this is not JSON as it should be: {error.Message.Split(" LineNumber:")[0]}"] };
        }

        return new GatewayConfig(routes, openApi, [.. problems, .. Conflicts(routes).Select(problem => $"{name} {problem}")]);
    }

    /// <summary>Routes that ask for a scope which no token can hold.</summary>
    public IEnumerable<string> UnknownScopes(ScopeCatalog scopes) =>
        Routes.Where(route => !scopes.Names.Contains(route.Scope)).Select(route => $"Gateway route {route.Name} (line {route.Line}): the scope {route.Scope} is not in GPT_SCOPES.");

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
/// <param name="Items">The objects of an array whose members are wanted with their lines, too.</param>
internal sealed record ConfigMember(string Name, int Line, JsonElement Value, IReadOnlyList<ConfigObject>? Items = null)
{
    /// <summary>Reads the object that the reader stands on.</summary>
    public static List<ConfigMember> ReadObject(ref Utf8JsonReader reader, ReadOnlySpan<byte> json, string? readsArrays = null)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException("an object, { ... }, is expected.", null, LineAt(reader, json) - 1, null);
        }

        var members = new List<ConfigMember>();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (name, line) = (reader.GetString()!, LineAt(reader, json));
            if (members.Exists(member => member.Name == name))
            {
                throw new JsonException($"'{name}' stands twice in one object.", null, line - 1, null);
            }

            reader.Read();
            members.Add(name == readsArrays && reader.TokenType == JsonTokenType.StartArray
                ? new ConfigMember(name, line, default, ReadArray(ref reader, json))
                : new ConfigMember(name, line, JsonElement.ParseValue(ref reader)));
        }

        return members;
    }

    private static List<ConfigObject> ReadArray(ref Utf8JsonReader reader, ReadOnlySpan<byte> json)
    {
        var items = new List<ConfigObject>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var line = LineAt(reader, json);
            items.Add(new ConfigObject(line, ReadObject(ref reader, json)));
        }

        return items;
    }

    private static int LineAt(in Utf8JsonReader reader, ReadOnlySpan<byte> json) => 1 + json[..(int)reader.TokenStartIndex].Count((byte)'\n');
}

/// <summary>An object in an array, with the line where it begins.</summary>
internal sealed record ConfigObject(int Line, IReadOnlyList<ConfigMember> Members);
