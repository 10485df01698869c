using GptFunctions.Hosting;

namespace GptFunctions.RateLimits;

/// <summary>All processes share the limits.</summary>
internal sealed class RateLimitCheck(RateLimiter limits) : ICheck
{
    public const string Local = "they count in this process only, because the database does not take them";

    public string Name => "rate_limits";

    public Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        finding.Details["shared"] = !limits.IsLocal;
        if (limits.IsLocal)
        {
            finding.Say(CheckState.Degraded, $"Rate limits are kept, but {Local}.");
        }

        return Task.CompletedTask;
    }
}
