using GptFunctions.Data;

namespace GptFunctions.Identity;

/// <summary>A person as the company's APIs know them.</summary>
/// <param name="Plan">Null: has not paid for any.</param>
/// <param name="PlanStatus">As the payment provider calls it, for example <c>past_due</c>.</param>
/// <param name="PastDueSince">The first payment that failed, while the status is <c>past_due</c>.</param>
/// <param name="IsBlocked">Banned or locked: nothing is done for them.</param>
internal sealed record InternalUser(Guid Id, string? Plan, string? PlanStatus, DateTimeOffset? PastDueSince, bool IsBlocked)
{
    /// <summary>As APIs are told it.</summary>
    public string IdText { get; } = Id.ToString();
}

/// <summary>Turns the subject of a token into the internal user, from memory whenever possible.</summary>
internal sealed class InternalUsers
{
    private const int Capacity = 100_000;
    private static readonly TimeSpan Known = TimeSpan.FromHours(1);
    private static readonly TimeSpan Unknown = TimeSpan.FromSeconds(30); // a lock ends by itself, too
    private readonly LiveCache<string, InternalUser?> users;

    public InternalUsers(UserStore store, ChangeFeed feed, CacheMetrics metrics, TimeProvider clock)
    {
        users = new(
            "users", metrics, feed, clock, Capacity, user =>
                user is null or { IsBlocked: true } ? Unknown : Known, subject => store.FindAsync(subject, clock.GetUtcNow()));
        feed.Subscribe("user", subject =>
        {
            if (subject is null)
            {
                users.DropAll();
            }
            else
            {
                users.Drop(subject);
            }
        });
    }

    /// <summary>Null when the user is unknown or was deleted.</summary>
    public ValueTask<InternalUser?> FindAsync(string subject) => users.GetAsync(subject);
}
