using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Sessions;

namespace GptFunctions.Operations;

/// <summary>Whom a search named: people, and orders of people who are not known.</summary>
internal sealed record PersonSearch(IReadOnlyList<PersonProfile> People, IReadOnlyList<PersonOrder> Orders);

/// <summary>All that is known of one person; of each list the newest.</summary>
internal sealed record PersonFile
{
    public required PersonProfile Profile { get; init; }

    public required ListPage<SessionLine> Sessions { get; init; }

    public required IReadOnlyList<PersonConsent> Consents { get; init; }

    public required IReadOnlyList<PersonOrder> Orders { get; init; }

    public required IReadOnlyList<PersonWebhook> Webhooks { get; init; }

    public required IReadOnlyList<AuditLine> Audit { get; init; }
}

/// <summary>A session that nobody ended; <see cref="IsOver"/> when it ran out by itself.</summary>
public sealed record SessionLine(
    Guid Id, string Subject, string ClientId, string ClientName, string[] Scopes, DateTimeOffset CreatedAt, DateTimeOffset LastActive,
    DateTimeOffset ExpiresAt, bool IsOver)
{
    internal static SessionLine Of(OpenSession session, DateTimeOffset now) => new(
        session.Id, session.Subject, session.ClientId, session.ClientName, session.Scopes, session.CreatedAt, session.LastActive, session.ExpiresAt,
        session.ExpiresAt <= now);
}

/// <summary>People, for those on call: page and command say the same and do the same.</summary>
internal sealed class PersonService(PersonStore store, SessionService sessions, AuditSearchService audit)
{
    public const int MostFound = 50;
    private const int Shown = 20;

    /// <param name="text">A Clerk user id, an internal user id, an e-mail address, or the id of an order.</param>
    public async Task<PersonSearch> FindAsync(string text) =>
        new(await store.FindAsync(text, MostFound), await store.ListOrdersAsync(text, text, MostFound));

    /// <param name="after">The last session of the page before.</param>
    /// <returns>Null when nobody has this id.</returns>
    public async Task<PersonFile?> ReadAsync(string subject, Guid? after, DateTimeOffset now)
    {
        if ((await store.FindAsync(subject, MostFound)).FirstOrDefault(person => person.Subject == subject) is not { } profile)
        {
            return null;
        }

        var orders = await store.ListOrdersAsync(null, profile.Email, Shown);
        return new PersonFile
        {
            Profile = profile,
            Sessions = await ListSessionsAsync(subject, null, after, now),
            Consents = await store.ListConsentsAsync(profile.Id, ListPage<PersonConsent>.Size),
            Orders = orders,
            Webhooks = await store.ListWebhooksAsync(subject, [.. orders.Select(order => order.OrderId)], Shown),
            Audit = [.. (await audit.SearchAsync(new AuditFilter { Subject = subject }, null, Shown)).Select(AuditLine.Of)],
        };
    }

    /// <summary>A page of open sessions of a person, of a client, or of all, newest first.</summary>
    public async Task<ListPage<SessionLine>> ListSessionsAsync(string? subject, string? clientId, Guid? after, DateTimeOffset now) => ListPage<SessionLine>.Of(
        [.. (await sessions.SearchAsync(subject, clientId, after, ListPage<SessionLine>.Size + 1)).Select(session => SessionLine.Of(session, now))],
        session => session.Id.ToString());

    /// <summary>Ends one session of a person; false when it had ended before, null when it is none of this person.</summary>
    public async Task<bool?> EndAsync(string subject, Guid sessionId, OperatorAct act, Occasion occasion) =>
        await store.HasSessionAsync(subject, sessionId) ? await sessions.EndAsync(sessionId, act, occasion) : null;

    /// <summary>Ends everything of a person everywhere: sessions, sign-ins in progress, unused codes; and takes the consents back.</summary>
    /// <returns>How many live sessions there were; null when nobody has this id.</returns>
    public async Task<int?> EndAllAsync(string subject, OperatorAct act, Occasion occasion)
    {
        var ended = await sessions.EndAllAsync(new SessionOwner(subject, null), act, occasion);
        return ended == 0 && (await store.FindAsync(subject, 1)).All(person => person.Subject != subject) ? null : ended;
    }
}
