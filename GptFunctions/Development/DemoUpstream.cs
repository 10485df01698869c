using System.Globalization;
using GptFunctions.Gateway;
using GptFunctions.Hosting;
using Microsoft.Extensions.Configuration;

namespace GptFunctions.Development;

/// <summary>
/// What stands behind the gateway in Development when GATEWAY_CONFIG is not set: the sample's routes, answered by <c>/dev/upstream</c> of this
/// program.
/// </summary>
internal static class DemoUpstream
{
    /// <summary>Null outside of a checkout.</summary>
    public static GatewayConfig? Load(IConfiguration configuration)
    {
        var sample = Path.Combine(DevelopmentDefaults.LocalDirectory(), "..", "infra", "config", "gateway.json");
        if (!File.Exists(sample))
        {
            return null;
        }

        var port = configuration["PORT"] ?? StandaloneSettings.DefaultPort.ToString(CultureInfo.InvariantCulture);
        var upstream = new Uri($"http://127.0.0.1:{port}/dev/upstream");
        var config = GatewayConfig.Load(sample);
        return config with { Routes = [.. config.Routes.Select(route => route with { Upstream = upstream })] };
    }
}
