using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Sessions;

namespace GptFunctions.Connections;

/// <summary>A part of a person's connected apps.</summary>
/// <param name="Page">From 1.</param>
internal sealed record ConnectionPage(IReadOnlyList<Connection> Connections, int Page, int Total)
{
    public bool HasMore => Page * ConnectionsService.PageSize < Total;
}

/// <summary>A person's connected apps, as they see and end them.</summary>
internal sealed class ConnectionsService(ConnectionsStore store, SessionService sessions)
{
    public const int PageSize = 50;

    /// <param name="page">From 1; one beyond the last is empty.</param>
    public async Task<ConnectionPage> ListAsync(PageSession session, int page, DateTimeOffset now)
    {
        var connections = await store.ListAsync(session.UserId, null, (page - 1) * PageSize, PageSize, now);
        return new ConnectionPage(connections, page, connections is [var first, ..] ? first.Total : 0);
    }

    /// <summary>One app; null when the person has not connected it.</summary>
    public async Task<Connection?> FindAsync(PageSession session, string clientId, DateTimeOffset now) =>
        await store.ListAsync(session.UserId, clientId, 0, 1, now) is [var connection] ? connection : null;

    /// <summary>
    /// Ends everything that an app (null: any app) has of the person: sessions, consents, sign-ins in progress and unused codes, in one transaction with
    /// its audit event. Nothing happens when there is nothing.
    /// </summary>
    public async Task DisconnectAsync(PageSession session, string? clientId, Occasion occasion)
    {
        if ((await store.ListAsync(session.UserId, clientId, 0, 1, occasion.Now)).Count > 0)
        {
            await sessions.EndAllAsync(new SessionOwner(session.Person.Subject, clientId), "user", occasion);
        }
    }
}
