using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Sessions;

namespace GptFunctions.OAuth;

internal sealed class RevocationStore(Database database, OutboxSignal outbox)
{
    private static readonly Sql Revoke = new($"""
        WITH standing AS (
            SELECT {ClientStanding.Columns} FROM (VALUES (1)) one LEFT JOIN gpt_clients client ON client.client_id = @client_id
        ), {TokenStore.AuthenticatedClient}, session AS (
            SELECT session.id
            FROM client
            JOIN gpt_sessions session ON session.client_id = client.client_id
            WHERE session.id = coalesce(@session_id, (SELECT session_id FROM gpt_refresh_tokens WHERE token_hash = @token_hash))
        ), ended AS (
            SELECT * FROM gpt_end_sessions(ARRAY(SELECT id FROM session), 'client', @now)
        ), event AS (
            {Outbox.Tell(AuditEvents.SessionRevoked, "ended", SessionStore.EndedMembers("'client'"))}
        )
        SELECT * FROM standing
        """);

    /// <summary>
    /// Ends the session of a token if the credentials are right and the session is this client's; tells how the credentials stand. One statement.
    /// </summary>
    /// <param name="sessionId">The sid of an access token; null to look <paramref name="tokenHash"/> up as a refresh token.</param>
    public async Task<ClientStanding> RevokeAsync(ClientCredentials client, byte[] tokenHash, Guid? sessionId, Occasion occasion)
    {
        var command = database.Change(Revoke)
            .Bind(client).Bind("token_hash", tokenHash)
            .Bind("session_id", sessionId).Bind(occasion);
        var standing = await command.FirstAsync(ClientStanding.Read);
        outbox.Raise();
        return standing!;
    }
}
