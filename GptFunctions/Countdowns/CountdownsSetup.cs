using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Countdowns;

internal static class CountdownsSetup
{
    /// <summary>What happens later. The kinds belong to their features: <see cref="AddCountdown"/>.</summary>
    public static void AddCountdowns(this IHostApplicationBuilder builder) =>
        builder.Services.AddSingleton<CountdownStore>().AddSingleton<CountdownListStore>().AddSingleton<CountdownMetrics>().AddSingleton<CountdownService>()
            .AddSingleton<ICheck, CountdownCheck>();

    public static void AddCountdown<THandler>(this IHostApplicationBuilder builder)
        where THandler : class, ICountdownHandler => builder.Services.AddSingleton<ICountdownHandler, THandler>();
}
