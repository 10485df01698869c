using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.RateLimits;

internal static class RateLimitsSetup
{
    /// <summary>Limits that all replicas share.</summary>
    public static void AddRateLimits(this IHostApplicationBuilder builder) =>
        builder.Services.AddSingleton<RateLimitMetrics>().AddSingleton<RateLimitStore>().AddSingleton<RateLimiter>()
            .AddSingleton<ICheck, RateLimitCheck>();
}
