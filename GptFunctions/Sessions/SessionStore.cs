using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Sessions;

/// <summary>A live session as its user sees it: one connected app.</summary>
internal sealed record Session(Guid Id, string ClientId, string ClientName, string[] Scopes, DateTimeOffset CreatedAt, DateTimeOffset LastActive, DateTimeOffset ExpiresAt);

/// <summary>Statements on sessions. Whatever ends a session ends its refresh token and writes the event in the same statement.</summary>
internal sealed class SessionStore(Database database, OutboxSignal outbox)
{
    // $1 now, $2 reason, $3 event type, $4 correlation id, $5 address; "ended" is what the caller's first part marked.
    private const string EndTokensAndTell = """
        tokens AS (
            UPDATE gpt_refresh_tokens token SET revoked_at = $1
            FROM ended WHERE token.session_id = ended.id AND token.rotated_at IS NULL AND token.revoked_at IS NULL
        ), events AS (
            INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
            SELECT event_id, $3, $1, event_envelope(event_id, $3, $1, $4, jsonb_build_object(
                'clerk_user_id', clerk_user_id, 'session_id', id, 'client_id', client_id, 'reason', $2, 'ip_address', $5))
            FROM (SELECT uuid_v7($1) AS event_id, ended.*, users.clerk_user_id FROM ended JOIN users ON users.id = ended.user_id OFFSET 0) told
        )
        """;

    private const string EndOne = $"""
        WITH ended AS (
            UPDATE gpt_sessions SET revoked_at = $1, revoke_reason = $2
            WHERE id = $6 AND revoked_at IS NULL
            RETURNING id, user_id, client_id
        ), {EndTokensAndTell}
        SELECT count(*) FROM ended
        """;

    // In the order of their ids, and few at a time: whoever changes one of them waits for a moment.
    private const string EndSome = $"""
        WITH ended AS (
            UPDATE gpt_sessions SET revoked_at = $1, revoke_reason = $2
            WHERE id IN (SELECT id FROM gpt_sessions WHERE revoked_at IS NULL ORDER BY id LIMIT 500 FOR NO KEY UPDATE)
            RETURNING id, user_id, client_id
        ), {EndTokensAndTell}
        SELECT count(*) FROM ended
        """;

    // Disconnecting the last session of a client takes the consent back as well: the next connection asks again.
    private const string Disconnect = $"""
        WITH ended AS (
            UPDATE gpt_sessions SET revoked_at = $1, revoke_reason = $2
            WHERE id = $6 AND revoked_at IS NULL AND expires_at > $1
              AND user_id = (SELECT id FROM users WHERE clerk_user_id = $7) AND ($8::text IS NULL OR client_id = $8)
            RETURNING id, user_id, client_id
        ), consent AS (
            UPDATE gpt_consents consent SET revoked_at = $1
            FROM ended
            WHERE consent.user_id = ended.user_id AND consent.client_id = ended.client_id AND consent.revoked_at IS NULL
              AND NOT EXISTS (SELECT FROM gpt_sessions other
                              WHERE other.user_id = ended.user_id AND other.client_id = ended.client_id AND other.id <> ended.id
                                AND other.revoked_at IS NULL AND other.expires_at > $1)
        ), {EndTokensAndTell}
        SELECT count(*) FROM ended
        """;

    // Taken first, in a statement of its own: the next one then sees every session of an exchange that was faster, and later ones wait.
    private const string LockUser = "SELECT FROM users WHERE clerk_user_id = $1 FOR NO KEY UPDATE";

    // $8: only what the user has in this client.
    // One event for all of them: $3 is not told per session. Sign-ins in progress and unused codes end too, or they would open new sessions.
    private const string EndAll = """
        WITH subject AS (
            SELECT id, clerk_user_id FROM users WHERE clerk_user_id = $6
        ), ended AS (
            UPDATE gpt_sessions SET revoked_at = $1, revoke_reason = $2
            FROM subject WHERE gpt_sessions.user_id = subject.id AND revoked_at IS NULL AND ($8::text IS NULL OR client_id = $8)
            RETURNING gpt_sessions.id, expires_at
        ), tokens AS (
            UPDATE gpt_refresh_tokens token SET revoked_at = $1
            FROM ended WHERE token.session_id = ended.id AND token.rotated_at IS NULL AND token.revoked_at IS NULL
        ), consents AS (
            UPDATE gpt_consents SET revoked_at = $1 FROM subject
            WHERE user_id = subject.id AND gpt_consents.revoked_at IS NULL AND ($8::text IS NULL OR client_id = $8)
        ), requests AS (
            DELETE FROM gpt_authorization_requests USING subject WHERE user_id = subject.id AND ($8::text IS NULL OR client_id = $8)
        ), codes AS (
            DELETE FROM gpt_authorization_codes USING subject WHERE user_id = subject.id AND used_at IS NULL AND ($8::text IS NULL OR client_id = $8)
        ), told AS (
            INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
            SELECT $7, $3, $1, event_envelope($7, $3, $1, $4, jsonb_build_object(
                'clerk_user_id', clerk_user_id, 'client_id', $8::text, 'sessions', (SELECT count(*) FROM ended), 'reason', $2, 'ip_address', $5))
            FROM subject
        )
        SELECT count(*) FROM ended WHERE expires_at > $1
        """;

    private const string Live = """
        SELECT session.id, session.client_id, client.name, session.granted_scopes, session.created_at, session.last_active, session.expires_at
        FROM gpt_sessions session
        JOIN users ON users.id = session.user_id
        JOIN gpt_clients client ON client.client_id = session.client_id
        WHERE users.clerk_user_id = $1 AND session.revoked_at IS NULL AND session.expires_at > $2
        """;

    private const string List = $"""
        {Live}
          AND ($3::uuid IS NULL OR session.id < $3) AND ($5::text IS NULL OR session.client_id = $5)
        ORDER BY session.id DESC LIMIT $4
        """;

    // In the order in which gpt_make_room_within takes them. All of them: there are at most as many as GPT_MAX_SESSIONS_PER_USER says.
    private const string ListByActivity = $"{Live} ORDER BY session.last_active, session.id";

    private const string ReadEnd = """
        SELECT session.expires_at
        FROM gpt_sessions session JOIN gpt_clients client ON client.client_id = session.client_id
        WHERE session.id = $1 AND session.revoked_at IS NULL AND client.disabled_at IS NULL
        """;

    private const string IsUsable = """
        SELECT EXISTS (
            SELECT FROM gpt_sessions session
            JOIN gpt_clients client ON client.client_id = session.client_id AND client.disabled_at IS NULL
            JOIN users ON users.id = session.user_id AND user_may_act(users, $2)
            WHERE session.id = $1 AND session.revoked_at IS NULL AND session.expires_at > $2)
        """;

    /// <summary>Ends a session whoever it belongs to; false when it had ended before.</summary>
    public async Task<bool> EndAsync(Guid sessionId, string reason, string eventType, RequestOrigin origin, DateTimeOffset now)
    {
        var command = Command(EndOne, reason, eventType, origin, now);
        command.Bind(sessionId);
        return await EndedAsync(command);
    }

    /// <summary>Ends some sessions, whoever they belong to; returns how many.</summary>
    public async Task<int> EndSomeAsync(string reason, RequestOrigin origin, DateTimeOffset now)
    {
        var command = Command(EndSome, reason, AuditEvents.SessionRevoked, origin, now);
        return (int)await command.FirstAsync(reader => reader.GetInt64(0));
    }

    /// <summary>Ends a session of this owner; false when there is no such live session.</summary>
    public async Task<bool> DisconnectAsync(SessionOwner owner, Guid sessionId, string reason, RequestOrigin origin, DateTimeOffset now)
    {
        var command = Command(Disconnect, reason, AuditEvents.SessionRevoked, origin, now);
        command.Bind(sessionId);
        command.Bind(owner.Subject);
        command.Bind(owner.ClientId);
        return await EndedAsync(command);
    }

    /// <summary>Ends all sessions, sign-ins in progress and unused codes of an owner; returns how many live sessions there were.</summary>
    public async Task<int> EndAllAsync(SessionOwner owner, string reason, RequestOrigin origin, DateTimeOffset now)
    {
        var ended = await database.RunAsync(Database.ChangeLimit, async (connection, cancellationToken) =>
        {
            await using var batch = new NpgsqlBatch(connection); // one round trip and one transaction
            AddEndAll(batch, owner, reason, origin, now);
            await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
            await reader.NextResultAsync(cancellationToken);
            await reader.ReadAsync(cancellationToken);
            return (int)reader.GetInt64(0);
        });
        outbox.Raise();
        return ended;
    }

    /// <summary>Adds the two statements that end everything of an owner to a batch, and so to its transaction.</summary>
    public static void AddEndAll(NpgsqlBatch batch, SessionOwner owner, string reason, RequestOrigin origin, DateTimeOffset now)
    {
        batch.Add(LockUser).Bind(owner.Subject);
        var parameters = batch.Add(EndAll);
        BindCommon(parameters, reason, AuditEvents.AllSessionsRevoked, origin, now);
        parameters.Bind(owner.Subject);
        parameters.Bind(Guid.CreateVersion7(now));
        parameters.Bind(owner.ClientId);
    }

    /// <summary>Live sessions, newest first (session ids are ordered by time), at most <paramref name="count"/> after <paramref name="after"/>.</summary>
    public async Task<IReadOnlyList<Session>> ListAsync(SessionOwner owner, Guid? after, int count, DateTimeOffset now)
    {
        var command = database.LookUp(List);
        command.Bind(owner.Subject);
        command.Bind(now);
        command.Bind(after);
        command.Bind(count);
        command.Bind(owner.ClientId);
        return await command.AllAsync(ReadSession);
    }

    /// <summary>All live sessions, the least recently active first.</summary>
    public async Task<IReadOnlyList<Session>> ListByActivityAsync(string subject, DateTimeOffset now)
    {
        var command = database.LookUp(ListByActivity);
        command.Bind(subject);
        command.Bind(now);
        return await command.AllAsync(ReadSession);
    }

    /// <summary>When a session ends if nobody ends it before; null when it has been ended, its client is disabled, or it never was.</summary>
    public async Task<DateTimeOffset?> ReadEndAsync(Guid sessionId)
    {
        var command = database.LookUp(ReadEnd);
        command.Bind(sessionId);
        return await command.FirstAsync(reader => reader.GetFieldValue<DateTimeOffset?>(0));
    }

    /// <summary>Whether a session lives, and its client and its user are let in.</summary>
    public async Task<bool> IsUsableAsync(Guid sessionId, DateTimeOffset now)
    {
        var command = database.LookUp(IsUsable);
        command.Bind(sessionId);
        command.Bind(now);
        return await command.FirstAsync(reader => reader.GetBoolean(0));
    }

    private static Session ReadSession(NpgsqlDataReader reader) => new(
        reader.GetGuid(0), reader.GetString(1), reader.GetString(2), reader.GetFieldValue<string[]>(3),
        reader.GetFieldValue<DateTimeOffset>(4), reader.GetFieldValue<DateTimeOffset>(5), reader.GetFieldValue<DateTimeOffset>(6));

    private async Task<bool> EndedAsync(Statement command)
    {
        var ended = await command.FirstAsync(reader => reader.GetInt64(0)) > 0;
        outbox.Raise();
        return ended;
    }

    private Statement Command(string sql, string reason, string eventType, RequestOrigin origin, DateTimeOffset now)
    {
        var command = database.Change(sql);
        BindCommon(command.Parameters, reason, eventType, origin, now);
        return command;
    }

    private static void BindCommon(NpgsqlParameterCollection parameters, string reason, string eventType, RequestOrigin origin, DateTimeOffset now)
    {
        parameters.Bind(now);
        parameters.Bind(reason);
        parameters.Bind(eventType);
        parameters.Bind(origin.CorrelationId);
        parameters.Bind(origin.Address);
    }
}
