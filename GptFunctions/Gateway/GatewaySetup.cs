using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Gateway;

internal static class GatewaySetup
{
    public static void AddGateway(this IHostApplicationBuilder builder) => builder.Services.AddSingleton<RateLimits>();
}
