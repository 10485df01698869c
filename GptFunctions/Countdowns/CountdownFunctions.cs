using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Countdowns;

/// <summary>Looks every ten seconds what is due.</summary>
internal sealed class CountdownFunctions(CountdownService countdowns)
{
    public const string Name = "DispatchCountdowns";

    // Without a storage account every process fires; each claims its own.
    [Function(Name)]
    public Task RunAsync([TimerTrigger("*/10 * * * * *", UseMonitor = false)] TimerInfo timer, CancellationToken cancellationToken) =>
        countdowns.RunAsync(cancellationToken);
}
