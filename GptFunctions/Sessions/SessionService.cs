using GptFunctions.Audit;
using GptFunctions.Hosting;

namespace GptFunctions.Sessions;

/// <summary>One page of sessions; <see cref="Next"/> is the cursor of the following page, null on the last one.</summary>
internal sealed record SessionPage(IReadOnlyList<Session> Sessions, Guid? Next);

/// <summary>How many live sessions a person may have.</summary>
internal sealed record SessionLimits(int InOneClient, int InAll);

/// <summary>What one more session in a client would mean for those that a person has: the rule of gpt_make_room_within.</summary>
/// <param name="Sessions">All live ones, the least recently active first.</param>
/// <param name="Own">Those of the same app: of the client, and of others that are the same app registered anew.</param>
internal sealed record SessionRoom(IReadOnlyList<Session> Sessions, IReadOnlyList<Session> Own, SessionLimits Limits)
{
    /// <summary>Whether another app has to go: connecting one again takes the place of its own sessions, as long as it has any.</summary>
    public bool EndsOthers => Ending.Except(Own).Any();

    /// <summary>Those that end to make room, as people are told: the app's own, then any.</summary>
    public IReadOnlyList<Session> Ending
    {
        get
        {
            var surplus = Math.Max(Sessions.Count - (Limits.InAll - 1), Own.Count - (Limits.InOneClient - 1));
            return [.. Own.Concat(Sessions.Except(Own)).Take(surplus)];
        }
    }

    /// <summary>Whether there is room with what was announced and with the client's own sessions, which need no announcement.</summary>
    public bool IsEnough(IEnumerable<Guid> announced) =>
        Own.Select(session => session.Id).Union(Sessions.Select(session => session.Id).Intersect(announced)).Count() >= Sessions.Count - (Limits.InAll - 1);
}

/// <summary>Whose sessions are meant: all of a person's, or only those in one client.</summary>
/// <param name="Subject">The Clerk user id.</param>
/// <param name="ClientId">Null: in every client.</param>
internal sealed record SessionOwner(string Subject, string? ClientId);

/// <summary>Connected apps: list them, end them.</summary>
internal sealed class SessionService(SessionStore store, SessionSearchStore search)
{
    public const int MaximumPageSize = 100;

    public async Task<SessionPage> ListAsync(SessionOwner owner, Guid? after, int pageSize, DateTimeOffset now)
    {
        var sessions = await store.ListAsync(owner, after, pageSize + 1, now);
        return sessions.Count > pageSize ? new SessionPage([.. sessions.Take(pageSize)], sessions[pageSize - 1].Id) : new SessionPage(sessions, null);
    }

    /// <inheritdoc cref="SessionSearchStore.SearchAsync"/>
    public Task<IReadOnlyList<OpenSession>> SearchAsync(string? subject, string? clientId, Guid? after, int count) =>
        search.SearchAsync(subject, clientId, after, count);

    /// <summary>Whether there is room for one more session of a person in a client.</summary>
    public async Task<SessionRoom> ReadRoomAsync(string subject, string clientId, SessionLimits limits, DateTimeOffset now)
    {
        var sessions = await store.ListByActivityAsync(subject, clientId, now);
        return new([.. sessions.Select(session => session.Session)], [.. sessions.Where(session => session.IsOwn).Select(session => session.Session)], limits);
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

    /// <summary>An operator ends one session; false when it had ended before.</summary>
    public Task<bool> EndAsync(Guid sessionId, OperatorAct act, Occasion occasion) => store.EndAsync(sessionId, act, occasion);

    /// <summary>An operator ends all sessions, sign-ins in progress and unused codes of a user, and takes the consents back.</summary>
    /// <returns>How many live sessions ended.</returns>
    public Task<int> EndAllAsync(SessionOwner owner, OperatorAct act, Occasion occasion) => store.EndAllAsync(owner, act, occasion);

    /// <summary>An operator ends some of all the live sessions there are; zero when none is left.</summary>
    public Task<int> EndSomeAsync(OperatorAct act, Occasion occasion) => store.EndSomeAsync(act, occasion);
}
