using System.Globalization;

namespace GptFunctions.RateLimits;

/// <summary>One of the limits that apply to a request, and what is left of it.</summary>
internal sealed record Quota(string Policy, int Limit, TimeSpan Period, RateLimitDecision Decision)
{
    // draft-ietf-httpapi-ratelimit-headers: structured fields, lists of strings with parameters
    public string PolicyField => string.Create(CultureInfo.InvariantCulture, $"\"{Policy}\";q={Limit};w={(int)Period.TotalSeconds}");

    public string StateField => string.Create(CultureInfo.InvariantCulture, $"\"{Policy}\";r={Decision.Remaining};t={Decision.ResetSeconds}");
}
