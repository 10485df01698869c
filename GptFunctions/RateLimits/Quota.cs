using System.Globalization;

namespace GptFunctions.RateLimits;

/// <summary>A limit that callers are told of: so many requests of each in such a time.</summary>
internal sealed record QuotaPolicy(string Name, int Limit, TimeSpan Period)
{
    /// <summary>draft-ietf-httpapi-ratelimit-headers: a structured field, a list of strings with parameters.</summary>
    public string Field { get; } = string.Create(CultureInfo.InvariantCulture, $"\"{Name}\";q={Limit};w={(int)Period.TotalSeconds}");
}

/// <summary>One of the limits that apply to a request, and what is left of it.</summary>
internal sealed record Quota(QuotaPolicy Policy, RateLimitDecision Decision)
{
    /// <summary>As <see cref="QuotaPolicy.Field"/>.</summary>
    public string StateField => string.Create(CultureInfo.InvariantCulture, $"\"{Policy.Name}\";r={Decision.Remaining};t={Decision.ResetSeconds}");
}
