using GptFunctions.Hosting;
using GptFunctions.Maintenance;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Purge;

internal static class PurgeSetup
{
    /// <summary>The six-hourly purge; a missed run is caught up by processes that run the function.</summary>
    public static void AddPurge(this IHostApplicationBuilder builder)
    {
        builder.AddSettings<PurgeSettings>();
        builder.Services.AddSingleton<PurgeStore>().AddSingleton<PurgeService>().AddSingleton<PurgeMetrics>().AddSingleton<PurgeRequests>()
            .AddSingleton<ICheck, PurgeCheck>();
        builder.AddJob<PurgeJob>();
        builder.AddJob<PurgeDryRunJob>();
        if (FunctionCatalog.IsEnabled(builder.Configuration, PurgeFunctions.Name))
        {
            builder.Services.AddHostedService<PurgeCatchUp>();
        }
    }
}
