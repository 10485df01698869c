using GptFunctions.Audit;
using Npgsql;

namespace GptFunctions.Sessions;

/// <summary>One page of sessions; <see cref="Next"/> is the cursor of the following page, null on the last one.</summary>
internal sealed record SessionPage(IReadOnlyList<Session> Sessions, Guid? Next);

/// <summary>Connected apps: list them, end them, ask whether one is still good.</summary>
internal sealed class SessionService(SessionStore store, TimeProvider clock)
{
    public const int MaximumPageSize = 100;

    public async Task<SessionPage> ListAsync(string subject, Guid? after, int pageSize)
    {
        var sessions = await store.ListAsync(subject, after, pageSize + 1, clock.GetUtcNow());
        return sessions.Count > pageSize ? new SessionPage([.. sessions.Take(pageSize)], sessions[pageSize - 1].Id) : new SessionPage(sessions, null);
    }

    /// <summary>The user disconnects one app; false when the user has no such live session.</summary>
    public Task<bool> DisconnectAsync(string subject, Guid sessionId, RequestOrigin origin) =>
        store.DisconnectAsync(subject, sessionId, "user", origin, clock.GetUtcNow());

    /// <summary>Ends all sessions, sign-ins in progress and unused codes of a user, for example because Clerk deleted or banned the account.</summary>
    /// <returns>How many live sessions ended.</returns>
    public Task<int> EndAllAsync(string subject, string reason, RequestOrigin origin) =>
        store.EndAllAsync(subject, reason, origin, clock.GetUtcNow());

    /// <summary>The same as part of a change that the caller is making: adds the statements to its batch. The caller raises the outbox signal after its commit.</summary>
    public void EndAll(NpgsqlBatch batch, string subject, string reason, RequestOrigin origin) => SessionStore.AddEndAll(batch, subject, reason, origin, clock.GetUtcNow());

    /// <summary>Ends a session for a reason of our own, such as a replayed token; false when it had ended before.</summary>
    public Task<bool> EndAsync(Guid sessionId, string reason, string eventType, RequestOrigin origin) =>
        store.EndAsync(sessionId, reason, eventType, origin, clock.GetUtcNow());

    /// <summary>Ends some of all the live sessions there are; zero when none is left.</summary>
    public Task<int> EndSomeAsync(string reason, RequestOrigin origin) =>
        store.EndSomeAsync(reason, origin, clock.GetUtcNow());

    /// <summary>Asks the database; what must not cost a query asks <see cref="SessionLiveness"/>.</summary>
    public Task<bool> IsLiveAsync(Guid sessionId) => store.IsUsableAsync(sessionId, clock.GetUtcNow());
}
