using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Health;

/// <summary>When the process started, as a timestamp of the clock.</summary>
internal sealed record ProcessStart(long Timestamp);

internal static class HealthSetup
{
    /// <summary>Whether the process lives, and whether it can serve requests.</summary>
    public static void AddHealth(this IHostApplicationBuilder builder) => builder.Services
        .AddSingleton<ReadinessService>()
        .AddSingleton(new ProcessStart(TimeProvider.System.GetTimestamp()));
}
