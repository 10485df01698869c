using System.Text.Json;

namespace GptFunctions.Gateway;

/// <summary>What <c>mcp</c> says: the routes are served as MCP tools, too.</summary>
/// <param name="Path">Where: a path below /gpt/, which is a resource of its own.</param>
/// <param name="Name">For programs; <paramref name="Title"/> is for people.</param>
/// <param name="Instructions">For models: what the tools are good for.</param>
/// <param name="ProfileTool">Whether there is a tool that says who the person is.</param>
/// <param name="AllowedOrigins">Origins of web pages that may call it, beside our own.</param>
internal sealed record McpConfig(
    string Path, string Name, string? Title, string? Instructions, bool ProfileTool, IReadOnlyList<string> AllowedOrigins, int Line);

/// <summary>What <c>tool</c> says of a route; null where it says nothing, so that it follows from the operation.</summary>
/// <param name="IsTool">False: the route is none.</param>
internal sealed record ToolConfig(
    bool IsTool, string? Name, string? Title, string? Description, bool? ReadOnly, bool? Destructive, bool? Idempotent, bool? OpenWorld, int Line)
{
    private static readonly string[] Texts = ["name", "title", "description"];
    private static readonly string[] Flags = ["readOnly", "destructive", "idempotent", "openWorld"];

    /// <summary>Reads <c>false</c>, or an object that overrides what follows from the operation.</summary>
    public static ToolConfig? Read(ConfigMember member, List<(int Line, string Text)> problems)
    {
        if (member.Value.ValueKind == JsonValueKind.False)
        {
            return new ToolConfig(false, null, null, null, null, null, null, null, member.Line);
        }

        if (member.Value.ValueKind != JsonValueKind.Object)
        {
            problems.Add((member.Line, $"tool must be false, or an object with some of {string.Join(", ", Texts.Concat(Flags))}."));
            return null;
        }

        foreach (var part in member.Value.EnumerateObject())
        {
            var problem = Texts.Contains(part.Name) ? part.Value.ValueKind == JsonValueKind.String && part.Value.GetString()!.Length > 0 ? null : "a text"
                : Flags.Contains(part.Name) ? part.Value.ValueKind is JsonValueKind.True or JsonValueKind.False ? null : "true or false"
                : $"left out; a tool has {string.Join(", ", Texts.Concat(Flags))}";
            if (problem is not null)
            {
                problems.Add((member.Line, $"tool: {part.Name} must be {problem}."));
            }
        }

        if (Text("name") is { } name && !IsName(name))
        {
            problems.Add((member.Line, $"tool: name must be 1 to 64 letters, digits, '_' or '-', not \"{name}\"."));
        }

        return new ToolConfig(
            true, Text("name"), Text("title"), Text("description"), Flag("readOnly"), Flag("destructive"), Flag("idempotent"), Flag("openWorld"), member.Line);

        string? Text(string part) =>
            member.Value.TryGetProperty(part, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

        bool? Flag(string part) =>
            member.Value.TryGetProperty(part, out var value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : null;
    }

    // What every host takes; the standard allows some more.
    private static bool IsName(string text) =>
        text.Length <= 64 && text.All(character => char.IsAsciiLetterOrDigit(character) || character is '_' or '-');
}

/// <summary>Turns <c>mcp</c> into an <see cref="McpConfig"/>, or into sentences that say what is wrong in which line.</summary>
internal sealed class McpReader
{
    private static readonly string[] Known = ["path", "name", "title", "instructions", "profileTool", "allowedOrigins"];
    private readonly ConfigObject source;
    private readonly List<(int Line, string Text)> problems = [];

    public McpReader(ConfigObject source)
    {
        this.source = source;
        foreach (var unknown in source.Members.Where(member => !Known.Contains(member.Name)))
        {
            problems.Add((unknown.Line, $"mcp has no '{unknown.Name}'; there are {string.Join(", ", Known)}."));
        }

        Config = new McpConfig(
            Text("path", IsPath, "a path below /gpt/ without parameters, such as /gpt/mcp", isRequired: true) ?? "",
            Text("name", RouteReader.IsName, "1 to 64 letters, digits, '_' or '-', beginning with a letter", isRequired: true) ?? "",
            Text("title", IsText, "a text"), Text("instructions", IsText, "a text"), Flag("profileTool") == true, Origins(), source.Line);
    }

    public McpConfig Config { get; }

    public IReadOnlyList<(int Line, string Text)> Problems => problems;

    private string? Text(string name, Func<string, bool> isRight, string wanted, bool isRequired = false)
    {
        var member = source.Members.FirstOrDefault(member => member.Name == name);
        if (member is null && isRequired)
        {
            problems.Add((source.Line, $"mcp lacks '{name}'."));
        }
        else if (member is not null && !(member.Value.ValueKind == JsonValueKind.String && isRight(member.Value.GetString()!)))
        {
            problems.Add((member.Line, $"mcp: {name} must be {wanted}, not {member.Value.GetRawText()}."));
        }

        return member?.Value.ValueKind == JsonValueKind.String ? member.Value.GetString() : null;
    }

    private bool? Flag(string name)
    {
        var member = source.Members.FirstOrDefault(member => member.Name == name);
        if (member is not null && member.Value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
        {
            problems.Add((member.Line, $"mcp: {name} must be true or false, not {member.Value.GetRawText()}."));
        }

        return member?.Value.ValueKind == JsonValueKind.True;
    }

    private string[] Origins()
    {
        var member = source.Members.FirstOrDefault(member => member.Name == "allowedOrigins");
        if (member is null)
        {
            return [];
        }

        string[]? origins = member.Value.ValueKind == JsonValueKind.Array
            ? [.. member.Value.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.String ? item.GetString()! : "")]
            : null;
        if (origins?.All(IsOrigin) != true)
        {
            problems.Add((member.Line, "mcp: allowedOrigins must be a list of origins, each such as \"https://app.example.com\"."));
        }

        return origins ?? [];
    }

    private static bool IsText(string text) => text.Length > 0;

    private static bool IsPath(string text) =>
        text.StartsWith("/gpt/", StringComparison.Ordinal) && text is not (GatewayFunctions.OpenApiPath or GatewayFunctions.UsagePath)
        && PathTemplate.Parse(text) is { Parameters.Count: 0 };

    // RFC 6454 6.2: a scheme, a host, and a port where it is not the scheme's own.
    private static bool IsOrigin(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && text == url.GetLeftPart(UriPartial.Authority);
}
