using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Maintenance;

internal static class MaintenanceSetup
{
    /// <summary>Work that operators ask for and that takes its time. The jobs belong to their features: <see cref="AddJob"/>.</summary>
    public static void AddMaintenance(this IHostApplicationBuilder builder) =>
        builder.Services.AddSingleton<MaintenanceStore>().AddSingleton<MaintenanceService>();

    public static void AddJob<TJob>(this IHostApplicationBuilder builder)
        where TJob : class, IMaintenanceJob => builder.Services.AddSingleton<IMaintenanceJob, TJob>();
}
