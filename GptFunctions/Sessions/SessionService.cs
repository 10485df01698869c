using GptFunctions.Hosting;

namespace GptFunctions.Sessions;

/// <summary>One page of sessions; <see cref="Next"/> is the cursor of the following page, null on the last one.</summary>
internal sealed record SessionPage(IReadOnlyList<Session> Sessions, Guid? Next);

/// <summary>What one more session would mean for those that a person has.</summary>
/// <param name="Sessions">All live ones, the least recently active first.</param>
/// <param name="Surplus">How many have to end to make room; zero or less: none.</param>
internal sealed record SessionRoom(IReadOnlyList<Session> Sessions, int Surplus)
{
    /// <summary>Those that people are told of.</summary>
    public IReadOnlyList<Session> Ending => [.. Sessions.Take(Surplus)];

    /// <summary>Whether there is room with what was announced and with the client's own sessions: the rule of gpt_make_room_within.</summary>
    public bool IsEnough(IEnumerable<Guid> announced, string clientId) =>
        Sessions.Count(session => session.ClientId == clientId || announced.Contains(session.Id)) >= Surplus;
}

/// <summary>Whose sessions are meant: all of a person's, or only those in one client.</summary>
/// <param name="Subject">The Clerk user id.</param>
/// <param name="ClientId">Null: in every client.</param>
internal sealed record SessionOwner(string Subject, string? ClientId);

/// <summary>Connected apps: list them, end them.</summary>
internal sealed class SessionService(SessionStore store)
{
    public const int MaximumPageSize = 100;

    public async Task<SessionPage> ListAsync(SessionOwner owner, Guid? after, int pageSize, DateTimeOffset now)
    {
        var sessions = await store.ListAsync(owner, after, pageSize + 1, now);
        return sessions.Count > pageSize ? new SessionPage([.. sessions.Take(pageSize)], sessions[pageSize - 1].Id) : new SessionPage(sessions, null);
    }

    /// <param name="limit">How many sessions a user may have.</param>
    public async Task<SessionRoom> ReadRoomAsync(string subject, int limit, DateTimeOffset now)
    {
        var sessions = await store.ListByActivityAsync(subject, now);
        return new SessionRoom(sessions, sessions.Count - (limit - 1));
    }

    /// <summary>The user disconnects one app; false when the owner has no such live session.</summary>
    public Task<bool> DisconnectAsync(SessionOwner owner, Guid sessionId, Occasion occasion) =>
        store.DisconnectAsync(owner, sessionId, "user", occasion);

    /// <summary>Ends all sessions, sign-ins in progress and unused codes of a user, for example because Clerk deleted or banned the account.</summary>
    /// <returns>How many live sessions ended.</returns>
    public Task<int> EndAllAsync(string subject, string reason, Occasion occasion) =>
        EndAllAsync(new SessionOwner(subject, null), reason, occasion);

    /// <summary>The same, or only what the user has in one client.</summary>
    public Task<int> EndAllAsync(SessionOwner owner, string reason, Occasion occasion) =>
        store.EndAllAsync(owner, reason, occasion);

    /// <summary>Ends a session for a reason of our own, such as a replayed token; false when it had ended before.</summary>
    public Task<bool> EndAsync(Guid sessionId, string reason, string eventType, Occasion occasion) =>
        store.EndAsync(sessionId, reason, eventType, occasion);

    /// <summary>Ends some of all the live sessions there are; zero when none is left.</summary>
    public Task<int> EndSomeAsync(string reason, Occasion occasion) =>
        store.EndSomeAsync(reason, occasion);
}
