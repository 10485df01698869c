using GptFunctions.Maintenance;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Webhooks;

/// <summary>Looks every five seconds whether an operator has asked for a replay; goes on with one whose process died.</summary>
internal sealed class WebhookReplayFunctions(MaintenanceService maintenance)
{
    // Without a storage account every process fires; one of them has the run.
    [Function("ReplayWebhooks")]
    public Task RunAsync([TimerTrigger("2/5 * * * * *", UseMonitor = false)] TimerInfo timer, CancellationToken cancellationToken) =>
        maintenance.RunAsync([WebhookReplayJob.JobName], cancellationToken);
}
