using GptFunctions.Hosting;
using GptFunctions.Plans;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Gateway;

internal static class GatewaySetup
{
    /// <summary>Routes, plans, forwarder, OpenAPI document.</summary>
    public static void AddGateway(this IHostApplicationBuilder builder)
    {
        builder.AddSettings<GatewaySettings>();
        builder.AddSettings<PlanSettings>();
        var services = builder.Services;
        services.AddSingleton<GatewayRoutes>().AddSingleton<OpenApiDocument>();
        services.AddSingleton(provider => provider.GetRequiredService<GatewayRoutes>().McpEndpoints);
        services.AddSingleton<OpenCalls>().AddSingleton<GatewayService>().AddSingleton<GatewayCalls>();
        services.AddSingleton(provider => provider.GetRequiredService<GatewayRoutes>().Plans).AddSingleton<UsageStore>().AddSingleton<UsageService>();
        services.AddSingleton<ActionStore>().AddSingleton<ActionLog>();
        services.AddSingleton<Assertions>().AddSingleton<UpstreamKeys>().AddSingleton<PublicLocation>().AddSingleton<Forwarder>()
            .AddSingleton<GatewayMetrics>();
        services.AddSingleton<ICheck, UpstreamCheck>();
        if (FunctionCatalog.IsEnabled(builder.Configuration, FunctionNames.Gateway))
        {
            services.AddHostedService(provider =>
            {
                // Routes that cannot work stop the start, not the first request.
                provider.GetRequiredService<OpenApiDocument>();
                provider.GetRequiredService<UpstreamKeys>();
                provider.GetServices<IGatewayEndpoint>();
                return provider.GetRequiredService<ActionLog>();
            });
            services.AddHostedService(provider => provider.GetRequiredService<UsageService>());
        }
    }
}
