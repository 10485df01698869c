using GptFunctions.Maintenance;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Purge;

/// <summary>Deletes what nobody needs any more, four times a day.</summary>
internal sealed class PurgeFunctions(PurgeService purge, MaintenanceService maintenance)
{
    public const string Name = "Purge";
    public const string Schedule = "0 0 */6 * * *";

    // Without a storage account every process fires: the run itself sees to it that one works and the others go home.
    [Function(Name)]
    public Task RunAsync([TimerTrigger(Schedule, UseMonitor = false)] TimerInfo timer, CancellationToken cancellationToken) =>
        purge.RunAsync(retention: null, report: null, cancellationToken);

    /// <summary>Looks every five seconds whether an operator has asked for a run or a dry run.</summary>
    [Function("PurgeOnDemand")]
    public Task RunOnDemandAsync([TimerTrigger("4/5 * * * * *", UseMonitor = false)] TimerInfo timer, CancellationToken cancellationToken) =>
        maintenance.RunAsync([PurgeStore.Job, PurgeDryRunJob.JobName], cancellationToken);
}
