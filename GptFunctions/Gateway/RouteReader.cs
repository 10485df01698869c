using System.Collections.Frozen;
using System.Text.Json;
using GptFunctions.OAuth;

namespace GptFunctions.Gateway;

/// <summary>Turns one object of <c>routes</c> into a route, or into sentences that say what is wrong in which line.</summary>
internal sealed class RouteReader
{
    private const int LongestTimeout = 600; // the functions' own: see host.json
    private static readonly string[] AllMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    private static readonly string[] Required = ["name", "methods", "path", "upstream", "scope", "tier"];
    private static readonly string[] Optional =
        ["upstreamPath", "audit", "timeoutSeconds", "maxResponseCharacters", "passHeaders", "allowClerkSession", "isConsequential"];

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
        var methods = Methods();
        var path = Template("path", text => text.StartsWith("/gpt/", StringComparison.Ordinal) && text != GatewayFunctions.OpenApiPath, "a path below /gpt/ such as /gpt/jobs/{id}");
        var upstreamPath = Find("upstreamPath") is null ? path : Template("upstreamPath", _ => true, "a path such as /jobs/{id}");
        if (upstreamPath.Parameters.Except(path.Parameters, StringComparer.Ordinal).FirstOrDefault() is { } stranger)
        {
            problems.Add((Find("upstreamPath")!.Line, $"upstreamPath has the parameter {{{stranger}}}, which path has not."));
        }

        var upstream = Text("upstream", IsBase, "an http:// or https:// URL without user, query and fragment") ?? "http://none";
        var scope = Text("scope", ScopeCatalog.IsScopeToken, "the name of one scope") ?? "";
        var tier = Text("tier", text => text is "read" or "expensive", "read or expensive") == "expensive" ? Tier.Expensive : Tier.Read;
        var route = new GatewayRoute(name, methods, path, new Uri(upstream), upstreamPath, scope, tier, source.Line);
        return route with
        {
            EventType = Flag("audit", false) ? "gpt.action." + name : null,
            Timeout = Number("timeoutSeconds", 1, LongestTimeout) is { } seconds ? TimeSpan.FromSeconds(seconds) : route.Timeout,
            MaximumCharacters = Number("maxResponseCharacters", 0, 100_000_000) switch { null => route.MaximumCharacters, 0 => null, var cap => cap },
            PassHeaders = PassHeaders(),
            AllowsClerkSession = Flag("allowClerkSession", false),
            IsConsequential = Flag("isConsequential", route.IsConsequential),
        };
    }

    private ConfigMember? Find(string name) => source.Members.FirstOrDefault(member => member.Name == name);

    private string[] Methods()
    {
        if (Find("methods") is not { } member)
        {
            return [];
        }

        string[] methods = member.Value.ValueKind == JsonValueKind.Array ? [.. member.Value.EnumerateArray().Select(item => item.ToString())] : [];
        if (methods.Length == 0 || !methods.All(AllMethods.Contains) || methods.Distinct().Count() != methods.Length)
        {
            problems.Add((member.Line, $"methods must be a list of some of {string.Join(", ", AllMethods)}."));
        }

        return methods;
    }

    private FrozenSet<string> PassHeaders()
    {
        if (Find("passHeaders") is not { } member)
        {
            return [];
        }

        if (member.Value.ValueKind != JsonValueKind.Array || member.Value.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.String))
        {
            problems.Add((member.Line, "passHeaders must be a list of header names such as [\"x-tenant\"]."));
            return [];
        }

        var names = member.Value.EnumerateArray().Select(item => item.GetString()!).ToList();
        foreach (var name in names.Where(name => !HeaderRules.MayPass(name)))
        {
            problems.Add((member.Line, $"passHeaders: '{name}' is never passed on; "
                + "give names of letters, digits and hyphens, but none for credentials, cookies, identity, forwarding or the connection."));
        }

        return names.ToFrozenSet(StringComparer.OrdinalIgnoreCase);
    }

    private PathTemplate Template(string name, Func<string, bool> isRight, string wanted) =>
        PathTemplate.Parse(Text(name, text => PathTemplate.Parse(text) is not null && isRight(text), wanted) ?? "/")!;

    /// <summary>Null when it is absent or wrong.</summary>
    private string? Text(string name, Func<string, bool> isRight, string wanted)
    {
        if (Find(name) is not { } member)
        {
            return null;
        }

        if (member.Value.ValueKind == JsonValueKind.String && member.Value.GetString() is { } text && isRight(text))
        {
            return text;
        }

        problems.Add((member.Line, $"{name} must be {wanted}, not {member.Value.GetRawText()}."));
        return null;
    }

    private int? Number(string name, int least, int most)
    {
        if (Find(name) is not { } member)
        {
            return null;
        }

        if (member.Value.ValueKind == JsonValueKind.Number && member.Value.TryGetInt32(out var number) && number >= least && number <= most)
        {
            return number;
        }

        problems.Add((member.Line, $"{name} must be a whole number from {least} to {most}, not {member.Value.GetRawText()}."));
        return null;
    }

    private bool Flag(string name, bool otherwise)
    {
        if (Find(name) is not { } member)
        {
            return otherwise;
        }

        if (member.Value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
        {
            problems.Add((member.Line, $"{name} must be true or false, not {member.Value.GetRawText()}."));
        }

        return member.Value.ValueKind == JsonValueKind.True;
    }

    private static bool IsName(string text) =>
        text.Length is > 0 and <= 64 && char.IsAsciiLetter(text[0]) && text.All(character => char.IsAsciiLetterOrDigit(character) || character is '_' or '-');

    private static bool IsBase(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url.UserInfo.Length == 0 && url.Query.Length == 0 && url.Fragment.Length == 0;
}
