using System.Diagnostics;
using Microsoft.Extensions.Hosting;
using Npgsql;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace GptFunctions.Telemetry;

/// <summary>
/// Begins to listen before the first request, and sends what is left at the stop: registered first, so that it stops after all who have something to
/// tell. A collector that is away costs the stop no more than the limit.
/// </summary>
internal sealed class TelemetryService(TracerProvider traces, MeterProvider metrics, LoggerProvider logs) : IHostedService, IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    // What PostgreSQL says of a value that it refuses may repeat the value, and what an HTTP client says, an address: the type and the place are enough.
    private readonly ActivityListener exceptions = new()
    {
        ShouldListenTo = source => source.Name is "Npgsql" or "System.Net.Http",
        ExceptionRecorder = static (_, error, ref tags) =>
        {
            tags.Add("exception.message", error is PostgresException refusal ? refusal.SqlState : error.GetType().Name);
            tags.Add("exception.stacktrace", error.StackTrace);
        },
    };

    public Task StartAsync(CancellationToken cancellationToken)
    {
        ActivitySource.AddActivityListener(exceptions);
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        var limit = (int)Limit.TotalMilliseconds;
        await Task.WhenAll(
            Task.Run(() => traces.Shutdown(limit), cancellationToken), Task.Run(() => metrics.Shutdown(limit), cancellationToken),
            Task.Run(() => logs.ForceFlush(limit), cancellationToken));
    }

    public void Dispose() => exceptions.Dispose();
}
