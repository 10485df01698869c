using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Health;

/// <summary>When the process started, as a timestamp of the clock.</summary>
internal sealed record ProcessStart(long Timestamp);

internal static class HealthSetup
{
    /// <summary>Whether the process lives, whether it can serve requests, and how each part of it does. The checks belong to their rooms.</summary>
    public static void AddHealth(this IHostApplicationBuilder builder)
    {
        builder.Services.AddSingleton<ReadinessService>().AddSingleton<SelfTestService>().AddSingleton<HealthMetrics>()
            .AddSingleton(new ProcessStart(TimeProvider.System.GetTimestamp()));
        builder.Services.AddHostedService<SafeModeNotice>();
        if (FunctionCatalog.IsEnabled(builder.Configuration, SelfTestFunctions.Name))
        {
            builder.Services.AddHostedService<SelfTestWatch>();
        }
    }
}
