using System.Diagnostics;
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
            return DatabaseSettings.ToSource(settings.ToConnectionString()).ConfigureTracing(Describe).Build();
        });
        builder.Services.TryAddSingleton(new DatabaseClock(TimeProvider.System));
        builder.Services.TryAddSingleton<TimeProvider>(services => services.GetRequiredService<DatabaseClock>());
        builder.Services.AddSingleton<Database>();
        builder.Services.AddSingleton<ChangeFeed>().AddSingleton<CacheMetrics>();
        if (FunctionCatalog.IsEnabled(builder.Configuration, FunctionNames.Gateway)) // where requests are answered from memory
        {
            builder.Services.AddHostedService(services => services.GetRequiredService<ChangeFeed>());
        }

        builder.Services.AddSingleton(services => new Migrator(services.GetRequiredService<NpgsqlDataSource>(), Migrator.Embedded));
        builder.Services.AddSingleton<ICheck, DatabaseCheck>().AddSingleton<ICheck, ChangeFeedCheck>();
        // Npgsql would log statements that fail; what fails reaches the log once, through ErrorMapper.
        builder.Logging.AddFilter("Npgsql", LogLevel.None);
    }

    /// <summary>For a process in which one person waits, and no requests do: every statement may take as long as a report.</summary>
    public static void AddPatience(this IHostApplicationBuilder builder) =>
        builder.Services.AddSingleton(new Patience(Database.ReportLimit));

    /// <summary>
    /// A span is called by the statement's constant and has nothing of its values (which Npgsql never sends) nor of its text: that would be kilobytes
    /// a span, and stands where the name says.
    /// </summary>
    private static void Describe(NpgsqlTracingOptionsBuilder tracing) => tracing
        .EnableFirstResponseEvent(false)
        .EnablePhysicalOpenTracing(false)
        .ConfigureCommandSpanNameProvider(command => Sql.SummaryOf(command.CommandText))
        .ConfigureBatchSpanNameProvider(batch => batch.BatchCommands.Count > 0 ? Sql.SummaryOf(batch.BatchCommands[0].CommandText) : null)
        .ConfigureCommandEnrichmentCallback((span, command) => Summarise(span, Sql.SummaryOf(command.CommandText)))
        .ConfigureBatchEnrichmentCallback((span, batch) =>
        {
            Summarise(span, string.Join(' ', batch.BatchCommands.Cast<NpgsqlBatchCommand>().Select(command => Sql.SummaryOf(command.CommandText))));
            span.SetTag("db.operation.batch.size", batch.BatchCommands.Count > 1 ? batch.BatchCommands.Count : null);
        });

    private static void Summarise(Activity span, string? summary)
    {
        span.SetTag("db.query.summary", summary is { Length: > 0 } ? summary : null);
        span.SetTag("db.query.text", null);
    }
}
