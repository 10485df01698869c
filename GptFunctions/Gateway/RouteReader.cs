using System.Collections.Frozen;
using System.Text.Json;
using GptFunctions.Tokens;

namespace GptFunctions.Gateway;

/// <summary>Turns one object of <c>routes</c> into a route, or into sentences that say what is wrong in which line.</summary>
internal sealed class RouteReader
{
    private const int LongestTimeout = 600; // the functions' own: see host.json
    private static readonly string[] AllMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    private static readonly string[] Required = ["name", "methods", "path", "upstream", "scope", "tier"];
    private static readonly string[] Optional =
        [
            "upstreamPath", "audit", "timeoutSeconds", "maxResponseCharacters", "passHeaders", "headers", "allowClerkSession", "isConsequential",
            "mcpServer", "tool", "quota",
        ];

    private readonly ConfigObject source;
    private readonly List<(int Line, string Text)> problems = [];

    public RouteReader(ConfigObject source)
    {
        this.source = source;
        foreach (var unknown in source.Members.Where(member => !Required.Contains(member.Name) && !Optional.Contains(member.Name)))
        {
            problems.Add((unknown.Line, $"a route has no '{unknown.Name}'; there are {string.Join(", ", Required)} and {string.Join(", ", Optional)}."));
        }

        foreach (var missing in Required.Where(name => Find(name) is null))
        {
            problems.Add((source.Line, $"this route lacks '{missing}'."));
        }

        var route = Read();
        Route = problems.Count == 0 ? route : null;
    }

    /// <summary>Null when something is wrong.</summary>
    public GatewayRoute? Route { get; }

    public IReadOnlyList<(int Line, string Text)> Problems => problems;

    private GatewayRoute Read()
    {
        var name = Text("name", IsName, "1 to 64 letters, digits, '_' or '-', beginning with a letter") ?? "";
        var path = Template("path", "a path below /gpt/ such as /gpt/jobs/{id}", text =>
            text.StartsWith("/gpt/", StringComparison.Ordinal)
                && text is not (GatewayFunctions.OpenApiPath or GatewayFunctions.UsagePath)) ?? PathTemplate.Parse("/")!;
        var isMcpServer = Flag("mcpServer") == true;
        if (isMcpServer && path.Parameters.Count > 0)
        {
            problems.Add((Find("mcpServer")!.Line, "mcpServer: the path of an MCP server has no parameters, because hosts know it by one URL."));
        }

        var upstreamPath = Template("upstreamPath", "a path such as /jobs/{id}", _ => true) ?? path;
        if (upstreamPath.Parameters.Except(path.Parameters, StringComparer.Ordinal).FirstOrDefault() is { } stranger)
        {
            problems.Add((Find("upstreamPath")!.Line, $"upstreamPath has the parameter {{{stranger}}}, which path has not."));
        }

        var methods = List("methods", names => names.Length > 0 && names.All(AllMethods.Contains) && names.Distinct().Count() == names.Length,
            $"a list of some of {string.Join(", ", AllMethods)}");
        var upstream = Text("upstream", IsBase, "an http:// or https:// URL without user, query and fragment") ?? "http://none";
        var scope = Text("scope", ScopeCatalog.IsScopeToken, "the name of one scope") ?? "";
        var tier = Text("tier", GatewaySettings.Tiers.ContainsKey, string.Join(" or ", GatewaySettings.Tiers.Keys)) ?? "";
        var route = new GatewayRoute(name, methods, path, new Uri(upstream), upstreamPath, scope, tier, source.Line);
        return route with
        {
            IsMcpServer = isMcpServer,
            EventType = Flag("audit") == true ? "gpt.action." + name : null,
            Quota = Text("quota", IsName, "the name of a quota of plans"),
            Timeout = Number("timeoutSeconds", 1, LongestTimeout) is { } seconds ? TimeSpan.FromSeconds(seconds) : route.Timeout,
            MaximumCharacters = Number("maxResponseCharacters", 0, 100_000_000) switch
            {
                null => isMcpServer ? null : route.MaximumCharacters,
                0 => null,
                var cap => cap,
            },
            PassHeaders = PassHeaders(),
            Headers = Headers(),
            Tool = Find("tool") is { } tool ? ToolConfig.Read(tool, problems) : null,
            AllowsClerkSession = Flag("allowClerkSession") == true,
            IsConsequential = Flag("isConsequential") ?? route.IsConsequential,
        };
    }

    private ConfigMember? Find(string name) => source.Members.FirstOrDefault(member => member.Name == name);

    /// <summary>Null when it is absent or wrong.</summary>
    private JsonElement? Find(string name, Func<JsonElement, bool> isRight, string wanted)
    {
        var member = Find(name);
        if (member is null || isRight(member.Value))
        {
            return member?.Value;
        }

        var found = wanted.StartsWith("a list ", StringComparison.Ordinal) ? "" : ", not " + member.Value.GetRawText();
        problems.Add((member.Line, $"{name} must be {wanted}{found}."));
        return null;
    }

    private string? Text(string name, Func<string, bool> isRight, string wanted) =>
        Find(name, value => value.ValueKind == JsonValueKind.String && isRight(value.GetString()!), wanted)?.GetString();

    private PathTemplate? Template(string name, string wanted, Func<string, bool> isRight) =>
        Text(name, text => PathTemplate.Parse(text) is not null && isRight(text), wanted) is { } right ? PathTemplate.Parse(right) : null;

    private int? Number(string name, int least, int most) =>
        Find(name, value => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= least && number <= most,
            $"a whole number from {least} to {most}")?.GetInt32();

    private bool? Flag(string name) => Find(name, value => value.ValueKind is JsonValueKind.True or JsonValueKind.False, "true or false")?.GetBoolean();

    private string[] List(string name, Func<string[], bool> isRight, string wanted) =>
        Find(name, value => Texts(value) is { } texts && isRight(texts), wanted) is { } right ? Texts(right)! : [];

    private static string[]? Texts(JsonElement value) =>
        value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String)
            ? [.. value.EnumerateArray().Select(item => item.GetString()!)]
            : null;

    private FrozenSet<string> PassHeaders()
    {
        var names = List("passHeaders", _ => true, "a list of header names such as [\"x-tenant\"]");
        foreach (var name in names.Where(name => !HeaderRules.MayPass(name)))
        {
            problems.Add((Find("passHeaders")!.Line, $"passHeaders: '{name}' is never passed on; "
                + "give names of letters, digits and hyphens, but none for credentials, cookies, identity, forwarding or the connection."));
        }

        return names.ToFrozenSet(StringComparer.OrdinalIgnoreCase);
    }

    private List<UpstreamHeader> Headers()
    {
        var headers = new List<UpstreamHeader>();
        var given = Find("headers", value => value.ValueKind == JsonValueKind.Object, "an object such as { \"x-functions-key\": \"{secret:FUNCTIONS_KEY}\" }");
        foreach (var member in given?.EnumerateObject().ToArray() ?? [])
        {
            var value = member.Value.ValueKind == JsonValueKind.String ? UpstreamHeader.Parse(member.Name, member.Value.GetString()!) : null;
            var problem = !HeaderRules.MaySet(member.Name)
                    ? "is not for a route to set; give names of letters, digits and hyphens, but none about identity, forwarding, content or the connection."
                : value is null ? "must be printable ASCII text, in which {secret:NAME} (capitals, digits and '_') stands for a secret."
                : headers.Exists(other => other.Name.Equals(member.Name, StringComparison.OrdinalIgnoreCase)) ? "stands twice."
                : null;
            if (problem is not null)
            {
                problems.Add((Find("headers")!.Line, $"headers: '{member.Name}' {problem}"));
            }
            else
            {
                headers.Add(value!);
            }
        }

        return headers;
    }

    public static bool IsName(string text) =>
        text.Length is > 0 and <= 64 && char.IsAsciiLetter(text[0]) && text.All(character => char.IsAsciiLetterOrDigit(character) || character is '_' or '-');

    private static bool IsBase(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https"
        && url.UserInfo.Length == 0 && url.Query.Length == 0 && url.Fragment.Length == 0;
}
