using System.Collections.Frozen;
using GptFunctions.Plans;
using GptFunctions.Tokens;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace GptFunctions.Gateway;

/// <summary>One route of <c>gateway.json</c>; what the members mean stands in <c>infra/config/gateway.json</c>.</summary>
/// <param name="Tier">Which of a user's limits it counts against: one of <see cref="GatewaySettings.Tiers"/>.</param>
/// <param name="Line">Where it stands in the file.</param>
internal sealed record GatewayRoute(
    string Name, IReadOnlyList<string> Methods, PathTemplate Path, Uri Upstream, PathTemplate UpstreamPath, string Scope, string Tier, int Line)
{
    /// <summary>The type of its audit events; null when it has none.</summary>
    public string? EventType { get; init; }

    /// <summary>The quota of the user's plan that its calls count against, by calendar month; null: none.</summary>
    public string? Quota { get; init; }

    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(45);

    /// <summary>Null: no cap.</summary>
    public int? MaximumCharacters { get; init; } = 100_000;

    public bool AllowsClerkSession { get; init; }

    /// <summary>Leads to somebody's MCP server: its path is a resource of its own.</summary>
    public bool IsMcpServer { get; init; }

    /// <summary>The path of the resource (<see cref="ProtectedResource"/>) that its calls belong to.</summary>
    public string ResourcePath => IsMcpServer ? Path.Text : ProtectedResources.GatewayPath;

    /// <summary>What it is as an MCP tool; null: what follows from its operation.</summary>
    public ToolConfig? Tool { get; init; }

    public bool IsConsequential { get; init; } = Methods.Any(method => method != "GET");

    /// <summary>Whether a call changes something at the upstream: RFC 9110 9.2.1 for the method, and the route for itself.</summary>
    public bool HasEffect(string method) => IsConsequential && method is not ("GET" or "HEAD" or "OPTIONS");

    /// <summary>Headers of callers that reach the upstream beside the standard ones.</summary>
    public FrozenSet<string> PassHeaders { get; init; } = FrozenSet<string>.Empty;

    /// <summary>Headers that the upstream gets from us, such as the key that it wants.</summary>
    public IReadOnlyList<UpstreamHeader> Headers { get; init; } = [];

    /// <summary>Whether it is ours to set, so that no caller's passes.</summary>
    public bool Sets(string header)
    {
        foreach (var ours in Headers)
        {
            if (ours.Name.Equals(header, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The upstream's name in assertions (aud): its host and port, always both, because one host may have several.</summary>
    public string Audience { get; } = Upstream.GetComponents(UriComponents.HostAndPort, UriFormat.UriEscaped);

    /// <summary>The URL that a request goes to.</summary>
    /// <param name="values">What <see cref="Path"/> matched.</param>
    /// <param name="query">As it came, with its question mark; or empty.</param>
    public Uri Target(string[] values, string query) =>
        new(
            string.Concat(
                Upstream.AbsoluteUri.AsSpan().TrimEnd('/'), UpstreamPath.Fill(Path.Parameters, values),
                query.AsSpan(0, query.IndexOf('#') is >= 0 and var end ? end : query.Length)),
            AsItIs);

    // Nothing is left to straighten out: the path is built from the route, and the query is the upstream's to read.
    private static readonly UriCreationOptions AsItIs = new() { DangerousDisablePathAndQueryCanonicalization = true };
}

/// <summary>
/// The route of a request and what its path's parameters stand for; without a route, the methods that the path has (none: there is no such path).
/// </summary>
internal readonly record struct RouteMatch(GatewayRoute? Route, string[] Values, IReadOnlyList<string> AllowedMethods);

/// <summary>What stands in for the routes when GATEWAY_CONFIG names none; not registered in Production.</summary>
internal sealed record DefaultRoutes(Func<GatewayConfig?> Load);

/// <summary>The routes, the more specific of two first.</summary>
internal sealed partial class GatewayRoutes
{
    private readonly GatewayRoute[] routes;

    /// <summary>Throws <see cref="OptionsValidationException"/> when a route asks for a scope that does not exist.</summary>
    public GatewayRoutes(IOptions<GatewaySettings> settings, ScopeCatalog scopes, ILogger<GatewayRoutes> logger, DefaultRoutes? defaults = null)
    {
        var config = settings.Value.Config ?? defaults?.Load() ?? GatewayConfig.Empty;
        if (config.UnknownScopes(scopes).ToList() is { Count: > 0 } problems)
        {
            throw new OptionsValidationException(nameof(GatewayRoutes), typeof(GatewaySettings), problems);
        }

        AsListed = config.Routes;
        routes = [.. config.Routes.OrderBy(route => route.Path.Shape, StringComparer.Ordinal)]; // '~' sorts behind every literal
        OpenApiFile = config.OpenApiFile;
        Plans = config.Plans;
        Mcp = config.Mcp;
        foreach (var route in routes.Where(route => route.Quota is { } quota && !Plans.Quotas.Contains(quota)))
        {
            LogQuotaOfNoPlan(logger, route.Name, route.Line, route.Quota!);
        }
    }

    public IReadOnlyList<GatewayRoute> All => routes;

    /// <summary>In the order of the file.</summary>
    public IReadOnlyList<GatewayRoute> AsListed { get; }

    public McpEndpoints McpEndpoints => new(
        [.. routes.Where(route => route.IsMcpServer).Select(route => new McpEndpoint(route.Path.Text, route.Name, [route.Scope]))]);

    /// <summary>Null when the configuration names none.</summary>
    public string? OpenApiFile { get; }

    public PlanTable Plans { get; }

    /// <summary>Null: the routes are no MCP tools.</summary>
    public McpConfig? Mcp { get; }

    public RouteMatch Find(string method, string path)
    {
        List<string>? allowed = null;
        foreach (var route in routes)
        {
            if (route.Path.Match(path) is not { } values)
            {
                continue;
            }

            if (route.Methods.Contains(method))
            {
                return new RouteMatch(route, values, []);
            }

            (allowed ??= []).AddRange(route.Methods);
        }

        return new RouteMatch(null, [], allowed ?? []);
    }

    [LoggerMessage(6018, LogLevel.Warning,
        "Gateway route {Route} (line {Line}): no plan gives the quota {Quota}, so each of its calls is refused; name it in plans, or take it out")]
    private static partial void LogQuotaOfNoPlan(ILogger logger, string route, int line, string quota);
}
