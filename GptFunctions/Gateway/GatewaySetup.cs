using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Gateway;

internal static class GatewaySetup
{
    /// <summary>Routes, forwarder, OpenAPI document.</summary>
    public static void AddGateway(this IHostApplicationBuilder builder)
    {
        builder.AddSettings<GatewaySettings>();
        var services = builder.Services;
        services.AddSingleton<GatewayRoutes>().AddSingleton<OpenApiDocument>();
        services.AddSingleton(provider => provider.GetRequiredService<GatewayRoutes>().McpEndpoints);
        services.AddSingleton<OpenCalls>().AddSingleton<GatewayService>();
        services.AddSingleton<ActionStore>().AddSingleton<ActionLog>();
        services.AddSingleton<Assertions>().AddSingleton<UpstreamKeys>().AddSingleton<PublicLocation>().AddSingleton<Forwarder>()
            .AddSingleton<GatewayMetrics>();
        if (FunctionCatalog.IsEnabled(builder.Configuration, FunctionNames.Gateway))
        {
            services.AddHostedService(provider =>
            {
                // Routes that cannot work stop the start, not the first request.
                provider.GetRequiredService<OpenApiDocument>();
                provider.GetRequiredService<UpstreamKeys>();
                return provider.GetRequiredService<ActionLog>();
            });
        }
    }
}
