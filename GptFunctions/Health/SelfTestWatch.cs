using GptFunctions.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Health;

/// <summary>
/// Runs the self-test twice a minute where its function is, as long as somebody reads its figures: alerts need nobody who calls /__selftest, and without
/// telemetry it costs nothing.
/// </summary>
internal sealed class SelfTestWatch(
    SelfTestService selfTest, HealthMetrics metrics, IHostApplicationLifetime lifetime, ILogger<SelfTestWatch> logger) : SteadyService(logger)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    protected override async Task<bool> StepAsync(CancellationToken stoppingToken)
    {
        // A process that is just starting is not well yet, and has answered nobody.
        await Task.Delay(Timeout.Infinite, lifetime.ApplicationStarted).WaitAsync(stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        metrics.Last = metrics.IsRead ? await selfTest.RunAsync() : null;
        await Task.Delay(Interval, stoppingToken);
        return true;
    }
}
