using GptFunctions.Gateway;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Mcp;

internal static class McpSetup
{
    /// <summary>The same routes as MCP tools.</summary>
    public static void AddMcp(this IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<ToolCatalog>().AddSingleton<McpProfile>().AddSingleton<McpService>().AddSingleton<McpDispatch>();
        services.AddSingleton<IGatewayEndpoint, McpHttp>();
        services.AddSingleton(provider => provider.GetRequiredService<ToolCatalog>().Endpoints);
    }
}
