using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Hosting;

/// <summary>
/// A background service that ends only with the program. An exception that left a <see cref="BackgroundService"/> would stop the whole
/// host; here it is logged once, waited out with growing pauses, and the work goes on.
/// </summary>
internal abstract partial class SteadyService(ILogger logger) : BackgroundService
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    /// <summary>One piece of the work; called again as soon as it has ended.</summary>
    /// <returns>False when there is nothing left to do, ever.</returns>
    protected abstract Task<bool> StepAsync(CancellationToken stoppingToken);

    protected sealed override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var pause = TimeSpan.Zero;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (!await StepAsync(stoppingToken))
                {
                    return;
                }

                if (pause > TimeSpan.Zero)
                {
                    pause = TimeSpan.Zero;
                    LogGoingOn(logger, GetType().Name);
                }
            }
            catch (Exception error) when (error is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
            {
                if (pause == TimeSpan.Zero)
                {
                    LogFailed(logger, GetType().Name, error);
                }

                pause = pause == TimeSpan.Zero ? FirstPause : pause >= LongestPause / 2 ? LongestPause : pause * 2;
                await Task.Delay(pause, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    [LoggerMessage(1040, LogLevel.Error, "{Service} failed unexpectedly; it is tried again until it works")]
    private static partial void LogFailed(ILogger logger, string service, Exception error);

    [LoggerMessage(1041, LogLevel.Information, "{Service} works again")]
    private static partial void LogGoingOn(ILogger logger, string service);
}
