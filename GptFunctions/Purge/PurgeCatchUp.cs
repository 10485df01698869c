using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace GptFunctions.Purge;

/// <summary>Makes up for a run that was missed while no process was there. Nothing else would: without a storage account timers remember nothing.</summary>
internal sealed partial class PurgeCatchUp(PurgeService purge, TimeProvider clock, ILogger<PurgeCatchUp> logger) : BackgroundService
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);
    private bool isWaiting;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (!await TryAsync(stoppingToken))
            {
                await Task.Delay(Pause, clock, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            return;
        }
    }

    /// <summary>False while the database is away or has no tables yet.</summary>
    private async Task<bool> TryAsync(CancellationToken stoppingToken)
    {
        try
        {
            await purge.CatchUpAsync(stoppingToken);
        }
        catch (PurgeFailedException error)
        {
            LogFailure(error);
        }
        catch (NpgsqlException error)
        {
            if (!isWaiting)
            {
                LogWaiting(error.Message);
            }

            isWaiting = true;
            return false;
        }

        return true;
    }

    [LoggerMessage(4005, LogLevel.Error, "The purge that made up for a missed run failed; it runs again on schedule")]
    private partial void LogFailure(Exception error);

    [LoggerMessage(4006, LogLevel.Information, "Purge: whether a run was missed is not known yet: {Reason}")]
    private partial void LogWaiting(string reason);
}
