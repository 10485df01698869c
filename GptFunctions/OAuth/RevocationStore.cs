using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;

namespace GptFunctions.OAuth;

internal sealed class RevocationStore(Database database, OutboxSignal outbox)
{
    private const string Revoke = $"""
        WITH standing AS (
            SELECT {ClientStanding.Columns} FROM (VALUES (1)) one LEFT JOIN gpt_clients client ON client.client_id = $1
        ), ended AS (
            UPDATE gpt_sessions session SET revoked_at = $4, revoke_reason = 'client'
            FROM gpt_clients client, users
            WHERE session.id = coalesce($6, (SELECT session_id FROM gpt_refresh_tokens WHERE token_hash = $5))
              AND session.client_id = $1 AND session.revoked_at IS NULL AND users.id = session.user_id
              AND client.client_id = $1 AND client.disabled_at IS NULL AND $2 = ANY (client.auth_methods) AND ($2 = 'none' OR $3 = ANY (client.secret_hashes))
            RETURNING session.id, session.client_id, users.clerk_user_id
        ), tokens AS (
            UPDATE gpt_refresh_tokens token SET revoked_at = $4
            FROM ended WHERE token.session_id = ended.id AND token.rotated_at IS NULL AND token.revoked_at IS NULL
        ), event AS (
            INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
            SELECT $7, '{AuditEvents.SessionRevoked}', $4, event_envelope($7, '{AuditEvents.SessionRevoked}', $4, $8, jsonb_build_object(
                'clerk_user_id', clerk_user_id, 'session_id', id, 'client_id', client_id, 'reason', 'client', 'ip_address', $9)) FROM ended
        )
        SELECT * FROM standing
        """;

    /// <summary>Ends the session of a token if the credentials are right and the session is this client's; tells how the credentials stand. One statement.</summary>
    /// <param name="sessionId">The sid of an access token; null to look <paramref name="tokenHash"/> up as a refresh token.</param>
    public async Task<ClientStanding> RevokeAsync(ClientCredentials client, byte[] tokenHash, Guid? sessionId, RequestOrigin origin, DateTimeOffset now)
    {
        var command = database.Change(Revoke);
        command.Bind(client.ClientId);
        command.Bind(client.Method);
        command.Bind(client.SecretHash);
        command.Bind(now);
        command.Bind(tokenHash);
        command.Bind(sessionId);
        command.Bind(Guid.CreateVersion7(now));
        command.Bind(origin.CorrelationId);
        command.Bind(origin.Address);
        var standing = await command.FirstAsync(ClientStanding.Read);
        outbox.Raise();
        return standing!;
    }
}
