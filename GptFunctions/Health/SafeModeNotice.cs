using GptFunctions.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Health;

/// <summary>Says at start that safe mode is on; the metrics show it in every process from then on.</summary>
internal sealed partial class SafeModeNotice(SafeMode safeMode, HealthMetrics metrics, ILogger<SafeModeNotice> logger) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        GC.KeepAlive(metrics); // made here, because nobody else asks for it in a process without the self-test
        if (safeMode.IsOn)
        {
            LogOn(string.Join(", ", safeMode.Reasons));
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(1061, LogLevel.Warning, "Safe mode is on ({Reasons}): what would be done outside of this program is recorded as skipped")]
    private partial void LogOn(string reasons);
}
