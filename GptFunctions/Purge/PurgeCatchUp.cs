using GptFunctions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace GptFunctions.Purge;

/// <summary>Makes up for a run that was missed while no process was there. Nothing else would: without a storage account timers remember nothing.</summary>
internal sealed partial class PurgeCatchUp(PurgeService purge, TimeProvider clock, ILogger<PurgeCatchUp> logger) : SteadyService(logger)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);
    private bool isWaiting;

    protected override async Task<bool> StepAsync(CancellationToken stoppingToken)
    {
        try
        {
            await purge.CatchUpAsync(stoppingToken);
            return false;
        }
        catch (PurgeFailedException error)
        {
            LogFailure(error);
            return false;
        }
        catch (NpgsqlException error) // the database is away or has no tables yet
        {
            if (!isWaiting)
            {
                LogWaiting(error.Message);
            }

            isWaiting = true;
        }

        await Task.Delay(Pause, clock, stoppingToken);
        return true;
    }

    [LoggerMessage(4005, LogLevel.Error, "The purge that made up for a missed run failed; it runs again on schedule")]
    private partial void LogFailure(Exception error);

    [LoggerMessage(4006, LogLevel.Information, "Purge: whether a run was missed is not known yet: {Reason}")]
    private partial void LogWaiting(string reason);
}
