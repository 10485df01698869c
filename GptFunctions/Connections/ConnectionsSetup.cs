using GptFunctions.Hosting;
using GptFunctions.Pages;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Connections;

internal static class ConnectionsSetup
{
    /// <summary>The pages on which people see and end what they have connected.</summary>
    public static void AddConnections(this IHostApplicationBuilder builder)
    {
        builder.Services.AddSingleton<ConnectionsStore>().AddSingleton<ConnectionsService>();
        foreach (var page in (string[])["/connections", "/connected-apps"])
        {
            builder.Services.AddSingleton(new ErrorFormat(page, PageResults.Error));
        }
    }
}
