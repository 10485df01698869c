using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Reflection;
using GptFunctions.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace GptFunctions.Telemetry;

internal static class TelemetrySetup
{
    /// <summary>
    /// Traces, metrics and logs to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names. Without one there is only a check of the settings: nobody
    /// listens to activities and meters, and no exporter is loaded.
    /// </summary>
    public static void AddTelemetry(this IHostApplicationBuilder builder)
    {
        builder.AddSettings<TelemetrySettings>();
        if (builder is not HostApplicationBuilder && Traces.AreExported(builder.Configuration)) // that is a command, over in a moment
        {
            Exporter.Add(builder);
        }
    }

    /// <summary>Apart, so that what it names is loaded only where it is used.</summary>
    private sealed class Exporter(IServiceCollection services) : IOpenTelemetryBuilder
    {
        // Bounds of the promises (infra/observability) are bounds of buckets: 20 ms, 300 ms, 5 s, 60 s.
        private static readonly ExplicitBucketHistogramConfiguration Seconds = new()
        {
            Boundaries = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
        };

        public IServiceCollection Services => services;

        public static void Add(IHostApplicationBuilder builder)
        {
            // Under the Functions host its spans take the place of ASP.NET Core's, which would be of the host's call to this process.
            var isStandalone = builder is WebApplicationBuilder;
            new Exporter(builder.Services)
                .ConfigureResource(resource => Describe(resource, builder.Environment))
                .WithTracing(traces => traces
                    .AddSource(Traces.Source.Name, "Npgsql", "System.Net.Http", isStandalone ? "Microsoft.AspNetCore" : "Microsoft.Azure.Functions.Worker")
                    .AddProcessor(new ClientSpans())
                    .SetSampler(services => new TraceSampler(
                        services.GetRequiredService<IOptions<TelemetrySettings>>().Value, !isStandalone, services.GetRequiredService<TimeProvider>())))
                .WithMetrics(metrics => metrics
                    .AddMeter(
                        "GptFunctions.*", "Npgsql", "System.Net.Http", "System.Runtime", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel")
                    .AddView(InSeconds))
                .WithLogging(null, logs => logs.IncludeFormattedMessage = true)
                .UseOtlpExporter();
            if (builder.Configuration[TelemetrySettings.LogsName] == "none")
            {
                builder.Logging.AddFilter<OpenTelemetryLoggerProvider>(null, LogLevel.None);
            }

            builder.Services.AddSingleton<IStartupFilter, ServerSpans>();
            builder.Services.AddHostedService<TelemetryService>();
        }

        private static ExplicitBucketHistogramConfiguration? InSeconds(Instrument instrument) =>
            instrument.Unit == "s" && instrument is Histogram<double> ? Seconds : null;

        private static void Describe(ResourceBuilder resource, IHostEnvironment environment) => resource
            .Clear()
            .AddService(TelemetrySettings.DefaultServiceName, serviceVersion: Version)
            .AddAttributes([new("deployment.environment.name", environment.EnvironmentName), new("host.name", Environment.MachineName)]) // the pod's name
            .AddTelemetrySdk()
            .AddEnvironmentVariableDetector(); // last, so that it wins

        private static string? Version =>
            typeof(TelemetrySetup).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;
    }
}
