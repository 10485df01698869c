using GptFunctions.Gateway;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.Extensions.Configuration;

namespace GptFunctions.Development;

/// <summary>
/// What stands behind the gateway in Development when GATEWAY_CONFIG is not set: the sample's routes, answered by <c>/dev/upstream</c> of this
/// program.
/// </summary>
internal static class DemoUpstream
{
    /// <summary>Null outside of a checkout. Who has scopes of their own (GPT_SCOPES) gets those of the sample's routes whose scopes are among them.</summary>
    public static GatewayConfig? Load(IConfiguration configuration, ScopeCatalog scopes)
    {
        var sample = Path.Combine(DevelopmentDefaults.LocalDirectory(), "..", "infra", "config", "gateway.json");
        if (!File.Exists(sample))
        {
            return null;
        }

        var upstream = new Uri($"http://{StandaloneSettings.AddressOf(configuration)}/dev/upstream");
        var config = GatewayConfig.Load(sample);
        var routes = config.Routes.Where(route => scopes.Names.Contains(route.Scope)).Select(route => route with { Upstream = upstream }).ToList();
        return config with { Routes = routes, Mcp = routes.Count > 0 ? config.Mcp : null };
    }
}
