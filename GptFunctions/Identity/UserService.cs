namespace GptFunctions.Identity;

internal sealed class UserService(UserStore store, TimeProvider clock)
{
    /// <summary>The internal id of a Clerk user, who is created when unknown; null when the account was deleted.</summary>
    public Task<Guid?> EnsureAsync(string subject, CancellationToken cancellationToken) => store.EnsureAsync(subject, clock.GetUtcNow(), cancellationToken);
}
