using System.Globalization;
using GptFunctions.Hosting;
using GptFunctions.OAuth;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Gateway;

/// <summary>What stands behind the gateway in Development when GATEWAY_CONFIG is not set: the sample's routes, answered by <c>/dev/upstream</c> of this program.</summary>
internal sealed class DemoUpstream(IHostEnvironment environment, IConfiguration configuration)
{
    public bool IsOn => environment.IsDevelopment();

    /// <summary>Null outside of Development, and outside of a checkout.</summary>
    public GatewayConfig? Config
    {
        get
        {
            var sample = Path.Combine(DevelopmentDefaults.LocalDirectory(), "..", "infra", "config", "gateway.json");
            if (!IsOn || !File.Exists(sample))
            {
                return null;
            }

            var port = configuration["PORT"] ?? StandaloneSettings.DefaultPort.ToString(CultureInfo.InvariantCulture);
            var upstream = new Uri($"http://127.0.0.1:{port}/dev/upstream");
            var config = GatewayConfig.Load(sample);
            return config with { Routes = [.. config.Routes.Select(route => route with { Upstream = upstream })] };
        }
    }
}
