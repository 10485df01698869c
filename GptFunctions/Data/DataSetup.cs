using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace GptFunctions.Data;

internal static class DataSetup
{
    /// <summary>One <see cref="NpgsqlDataSource"/> for the process, the migrator that <c>setup</c> and <c>/ready</c> use, and the feed of changes.</summary>
    public static void AddData(this IHostApplicationBuilder builder)
    {
        builder.AddSettings<DatabaseSettings>();
        builder.Services.AddSingleton(services =>
        {
            var settings = services.GetRequiredService<IOptions<DatabaseSettings>>().Value;
            return new NpgsqlDataSourceBuilder(settings.ToConnectionString().ConnectionString).Build();
        });
        builder.Services.TryAddSingleton(new DatabaseClock(TimeProvider.System));
        builder.Services.TryAddSingleton<TimeProvider>(services => services.GetRequiredService<DatabaseClock>());
        builder.Services.AddSingleton<Database>();
        builder.Services.AddSingleton<ChangeFeed>();
        if (FunctionCatalog.IsEnabled(builder.Configuration, FunctionNames.Gateway)) // where requests are answered from memory
        {
            builder.Services.AddHostedService(services => services.GetRequiredService<ChangeFeed>());
        }

        builder.Services.AddSingleton(services => new Migrator(services.GetRequiredService<NpgsqlDataSource>(), Migrator.Embedded));
        // Npgsql would log statements that fail; what fails reaches the log once, through ErrorMapper.
        builder.Logging.AddFilter("Npgsql", LogLevel.None);
    }
}
