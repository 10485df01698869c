using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Gateway;

/// <summary>Gives an end to audited calls whose process is gone.</summary>
internal sealed class ActionFunctions(ActionLog actions)
{
    public const string Name = "CloseActions";

    // Without a storage account every process fires; two at once are harmless, because each row is closed by whoever deletes it.
    [Function(Name)]
    public Task CloseAsync([TimerTrigger("0 * * * * *", UseMonitor = false)] TimerInfo timer) => actions.CloseAbandonedAsync();
}
