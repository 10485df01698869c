using GptFunctions.Data;
using Npgsql;

namespace GptFunctions.OAuth;

/// <summary>What one statement tells of a token: the session is null unless token and session live and are this client's.</summary>
internal sealed record IntrospectedState(ClientStanding Client, GrantedSession? Session, DateTimeOffset? IssuedAt, DateTimeOffset? ExpiresAt);

internal sealed class IntrospectionStore(Database database)
{
    private static readonly Sql Read = new($"""
        SELECT {ClientStanding.Columns},
               session.id, users.clerk_user_id, {TokenStore.AllowedOfSession}, session.resource, token.created_at, token.expires_at, token.generation
        FROM (VALUES (1)) one
        LEFT JOIN gpt_clients client ON client.client_id = @client_id
        LEFT JOIN gpt_refresh_tokens token
            ON token.token_hash = @token_hash AND token.rotated_at IS NULL AND token.revoked_at IS NULL AND token.expires_at > @now
        LEFT JOIN (gpt_sessions session JOIN users ON users.id = session.user_id AND user_may_act(users, @now))
            ON session.id = coalesce(@session_id, token.session_id) AND session.client_id = @client_id
            AND session.revoked_at IS NULL AND session.expires_at > @now
        """);

    public Task<IntrospectedState> ReadAsync(ClientCredentials client, byte[] tokenHash, Guid? sessionId, DateTimeOffset now)
    {
        var command = database.LookUp(Read)
            .Bind(client).Bind("token_hash", tokenHash)
            .Bind("session_id", sessionId).Bind("now", now);
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
