using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.Gateway;

/// <summary>
/// The route of a request and what its path's parameters stand for; without a route, the methods that the path has (none: there is no such path).
/// </summary>
internal readonly record struct RouteMatch(GatewayRoute? Route, string[] Values, IReadOnlyList<string> AllowedMethods);

/// <summary>What stands in for the routes when GATEWAY_CONFIG names none; not registered in Production.</summary>
internal sealed record DefaultRoutes(Func<GatewayConfig?> Load);

/// <summary>The routes, the more specific of two first.</summary>
internal sealed class GatewayRoutes
{
    private readonly GatewayRoute[] routes;

    /// <summary>Throws <see cref="OptionsValidationException"/> when a route asks for a scope that does not exist.</summary>
    public GatewayRoutes(IOptions<GatewaySettings> settings, ScopeCatalog scopes, DefaultRoutes? defaults = null)
    {
        var config = settings.Value.Config ?? defaults?.Load() ?? GatewayConfig.Empty;
        if (config.UnknownScopes(scopes).ToList() is { Count: > 0 } problems)
        {
            throw new OptionsValidationException(nameof(GatewayRoutes), typeof(GatewaySettings), problems);
        }

        routes = [.. config.Routes.OrderBy(route => route.Path.Shape, StringComparer.Ordinal)]; // '~' sorts behind every literal
        OpenApiFile = config.OpenApiFile;
    }

    public IReadOnlyList<GatewayRoute> All => routes;

    /// <summary>Null when the configuration names none.</summary>
    public string? OpenApiFile { get; }

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
}
