using GptFunctions.Audit;

namespace GptFunctions.Sessions;

/// <summary>One page of sessions; <see cref="Next"/> is the cursor of the following page, null on the last one.</summary>
internal sealed record SessionPage(IReadOnlyList<Session> Sessions, Guid? Next);

/// <summary>Connected apps: list them, end them, ask whether one is still good.</summary>
internal sealed class SessionService(SessionStore store, TimeProvider clock)
{
    public const int MaximumPageSize = 100;

    public async Task<SessionPage> ListAsync(string subject, Guid? after, int pageSize, CancellationToken cancellationToken)
    {
        var sessions = await store.ListAsync(subject, after, pageSize + 1, clock.GetUtcNow(), cancellationToken);
        return sessions.Count > pageSize ? new SessionPage([.. sessions.Take(pageSize)], sessions[pageSize - 1].Id) : new SessionPage(sessions, null);
    }

    /// <summary>The user disconnects one app; false when the user has no such live session.</summary>
    public Task<bool> DisconnectAsync(string subject, Guid sessionId, RequestOrigin origin, CancellationToken cancellationToken) =>
        store.DisconnectAsync(subject, sessionId, "user", origin, clock.GetUtcNow(), cancellationToken);

    /// <summary>Ends all sessions, sign-ins in progress and unused codes of a user, for example because Clerk deleted or banned the account.</summary>
    /// <returns>How many live sessions ended.</returns>
    public Task<int> EndAllAsync(string subject, string reason, RequestOrigin origin, CancellationToken cancellationToken) =>
        store.EndAllAsync(subject, reason, origin, clock.GetUtcNow(), cancellationToken);

    /// <summary>Ends a session for a reason of our own, such as a replayed token; false when it had ended before.</summary>
    public Task<bool> EndAsync(Guid sessionId, string reason, string eventType, RequestOrigin origin, CancellationToken cancellationToken) =>
        store.EndAsync(sessionId, reason, eventType, origin, clock.GetUtcNow(), cancellationToken);

    public Task<bool> IsLiveAsync(Guid sessionId, CancellationToken cancellationToken) => store.IsLiveAsync(sessionId, clock.GetUtcNow(), cancellationToken);
}
