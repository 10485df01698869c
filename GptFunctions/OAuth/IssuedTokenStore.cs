using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Sessions;
using Npgsql;

namespace GptFunctions.OAuth;

/// <summary>What one statement tells of a token: the session is null unless token and session live and are this client's.</summary>
internal sealed record IntrospectedState(ClientStanding Client, GrantedSession? Session, DateTimeOffset? IssuedAt, DateTimeOffset? ExpiresAt);

internal sealed class IssuedTokenStore(Database database, OutboxSignal outbox)
{
    private static readonly ClientSql Revoke = new(by => $"""
        WITH {by.Authenticated}, standing AS (
            SELECT {by.Standing} FROM (VALUES (1)) one LEFT JOIN gpt_clients client ON client.client_id = @client_id
        ), session AS (
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

    private static readonly ClientSql Read = new(by => $"""
        {by.UsesUp}
        SELECT {by.Standing},
               session.id, users.clerk_user_id, {TokenStore.AllowedOfSession}, session.resource, token.created_at, token.expires_at, token.generation
        FROM (VALUES (1)) one
        LEFT JOIN gpt_clients client ON client.client_id = @client_id
        LEFT JOIN gpt_refresh_tokens token
            ON token.token_hash = @token_hash AND token.rotated_at IS NULL AND token.revoked_at IS NULL AND token.expires_at > @now
        LEFT JOIN (gpt_sessions session JOIN users ON users.id = session.user_id AND user_may_act(users, @now))
            ON session.id = coalesce(@session_id, token.session_id) AND session.client_id = @client_id
            AND session.revoked_at IS NULL AND session.expires_at > @now
        """);

    /// <summary>
    /// Ends the session of a token if the credentials are right and the session is this client's; tells how the credentials stand. One statement.
    /// </summary>
    /// <param name="sessionId">The sid of an access token; null to look <paramref name="tokenHash"/> up as a refresh token.</param>
    public async Task<ClientStanding> RevokeAsync(ClientCredentials client, byte[] tokenHash, Guid? sessionId, Occasion occasion)
    {
        var command = database.Change(Revoke.For(client)).Bind(client).Bind("token_hash", tokenHash).Bind("session_id", sessionId).Bind(occasion);
        var standing = await command.FirstAsync(ClientStanding.Read);
        outbox.Raise();
        return standing!;
    }

    /// <summary>Reads how a token and the credentials stand. One statement.</summary>
    public Task<IntrospectedState> ReadAsync(ClientCredentials client, byte[] tokenHash, Guid? sessionId, DateTimeOffset now)
    {
        var command = database.Change(Read.For(client)).Bind(client).Bind("token_hash", tokenHash).Bind("session_id", sessionId).Bind("now", now);
        return command.FirstAsync(ReadState)!;
    }

    private static IntrospectedState ReadState(NpgsqlDataReader reader)
    {
        var session = reader.Get<Guid?>(4) is { } id
            ? new GrantedSession(id, reader.GetString(5), reader.GetFieldValue<string[]>(6), reader.GetString(7), reader.Get<int>(10))
            : null;
        return new IntrospectedState(ClientStanding.Read(reader), session, reader.Get<DateTimeOffset?>(8), reader.Get<DateTimeOffset?>(9));
    }
}
