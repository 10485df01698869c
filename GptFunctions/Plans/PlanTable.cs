using System.Collections.Frozen;
using GptFunctions.Identity;

namespace GptFunctions.Plans;

/// <summary>What each plan of <c>gateway.json</c> gives of each quota in a calendar month, and the plan of people who have none.</summary>
internal sealed record PlanTable(FrozenDictionary<string, FrozenDictionary<string, int>> Plans, string? Default)
{
    /// <summary>An amount without limit.</summary>
    public const int Unlimited = -1;

    private const string PastDue = "past_due";

    public static PlanTable Empty { get; } = new(FrozenDictionary<string, FrozenDictionary<string, int>>.Empty, null);

    /// <summary>Every quota that some plan gives.</summary>
    public IReadOnlySet<string> Quotas { get; } = Plans.Values.SelectMany(amounts => amounts.Keys).ToFrozenSet(StringComparer.Ordinal);

    /// <summary>The plan that counts for somebody; null when there is none.</summary>
    public string? Of(InternalUser user) => user.Plan ?? Default;

    /// <summary>
    /// How much somebody may use in a month. 0, and not more, in doubt: without a plan, with an unknown one or one that is not paid for, and of what the
    /// plan does not name.
    /// </summary>
    /// <param name="grace">How long a plan stays after the first payment that failed.</param>
    public int AmountOf(InternalUser user, string quota, DateTimeOffset now, TimeSpan grace) =>
        Of(user) is { } plan && (user.Plan is null || IsLive(user, now, grace)) && Plans.TryGetValue(plan, out var amounts)
            ? amounts.GetValueOrDefault(quota)
            : 0;

    /// <summary>Whether the plan of somebody who has one counts.</summary>
    public static bool IsLive(InternalUser user, DateTimeOffset now, TimeSpan grace) =>
        user.PlanStatus is "active" or "trialing" || (user.PlanStatus == PastDue && !(user.PastDueSince + grace <= now));
}
