using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Statistics;

internal static class StatisticsSetup
{
    /// <summary>
    /// Who runs, who uses what, what is refused, how far sign-ins come: added up in memory, written behind the answers, for operators' pages.
    /// </summary>
    public static void AddStatistics(this IHostApplicationBuilder builder)
    {
        builder.AddSettings<StatisticsSettings>();
        builder.Services.AddSingleton<HourlyCounts>().AddSingleton<ClientUsage>().AddSingleton<SignIns>().AddSingleton<ThisReplica>();
        builder.Services.AddSingleton<StatisticsStore>().AddSingleton<StatisticsReportStore>().AddSingleton<SignInStore>().AddSingleton<StatisticsService>()
            .AddSingleton<StatisticsMetrics>();
        builder.Services.AddHostedService<StatisticsWriter>();
    }
}
