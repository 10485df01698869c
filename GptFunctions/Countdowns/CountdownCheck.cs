using System.Globalization;
using GptFunctions.Hosting;

namespace GptFunctions.Countdowns;

/// <summary>What is due happens in time, and nothing was given up.</summary>
internal sealed class CountdownCheck(CountdownService countdowns) : ICheck
{
    public string Name => "countdowns";

    public async Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        var state = await countdowns.ReadStateAsync();
        finding.Details["late"] = state.Late;
        finding.Details["dead"] = state.Dead;
        if (state.Late > 0)
        {
            finding.Say(CheckState.Degraded, string.Create(
                CultureInfo.InvariantCulture, $"{state.Late} countdowns are late, the oldest by {state.Oldest:0} s: does a process run "
                    + $"{CountdownFunctions.Name}?"));
        }

        if (state.Dead > 0)
        {
            finding.Say(CheckState.Degraded, string.Create(
                CultureInfo.InvariantCulture, $"{state.Dead} countdowns were given up: GptFunctions countdowns list --status dead."));
        }
    }
}
