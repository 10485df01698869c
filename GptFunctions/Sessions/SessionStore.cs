using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using Npgsql;

namespace GptFunctions.Sessions;

/// <summary>A live session as its user sees it: one connected app.</summary>
internal sealed record Session(
    Guid Id, string ClientId, string ClientName, string[] Scopes, DateTimeOffset CreatedAt, DateTimeOffset LastActive, DateTimeOffset ExpiresAt);

/// <summary>Statements on sessions. Whatever ends a session ends its refresh token and writes the event in the same statement.</summary>
internal sealed class SessionStore(Database database, OutboxSignal outbox)
{
    private const string One = "ARRAY[@session_id]";

    // In the order of their ids, and few at a time: whoever changes one of them waits for a moment.
    private const string Some = "ARRAY(SELECT id FROM gpt_sessions WHERE revoked_at IS NULL ORDER BY id LIMIT 500 FOR NO KEY UPDATE)";

    private static readonly Sql EndOne = new($"""
        {End(One, "@event_type")}
        SELECT count(*) FROM ended
        """);

    private static readonly Sql EndOneAsOperator = new($"""
        {End(One, AuditEvents.SessionRevoked)}, act AS (
            {OperatorAct.Tell(AuditEvents.SessionEnded, "ended", "'clerk_user_id', clerk_user_id, 'session_id', session_id, 'client_id', client_id")}
        )
        SELECT count(*) FROM ended
        """);

    // Locks are taken in one order: user, session, page.
    private const string AfterEnded = "(SELECT count(*) FROM ended) >= 0";

    private static readonly Sql EndSomeAsOperator = new($"""
        {End(Some, AuditEvents.SessionRevoked)}, pages AS (
            {PageSessionStore.End(AfterEnded)}
        ), act AS (
            {OperatorAct.Tell(AuditEvents.SessionsEnded, "(SELECT count(*) AS sessions FROM ended HAVING count(*) > 0)", "'sessions', sessions")}
        )
        SELECT count(*) FROM ended
        """);

    // Disconnecting the last session of a client takes the consent back as well: the next connection asks again.
    private static readonly Sql Disconnect = new($"""
        WITH session AS (
            SELECT session.id
            FROM gpt_sessions session
            JOIN users ON users.id = session.user_id
            WHERE session.id = @session_id AND session.expires_at > @now
              AND users.clerk_user_id = @subject AND (@client_id::text IS NULL OR session.client_id = @client_id)
        ), ended AS (
            SELECT * FROM gpt_end_sessions(ARRAY(SELECT id FROM session), @reason, @now)
        ), consent AS (
            UPDATE gpt_consents consent
            SET revoked_at = @now
            FROM ended
            WHERE consent.user_id = ended.user_id AND consent.client_id = ended.client_id AND consent.revoked_at IS NULL
              AND NOT EXISTS (SELECT FROM gpt_sessions other
                              WHERE other.user_id = ended.user_id AND other.client_id = ended.client_id AND other.id <> ended.session_id
                                AND other.revoked_at IS NULL AND other.expires_at > @now)
        ), event AS (
            {Outbox.Tell(AuditEvents.SessionRevoked, "ended", EndedMembers("@reason"))}
        )
        SELECT count(*) FROM ended
        """);

    // Taken first, in a statement of its own: the next one then sees every session of an exchange that was faster, and later ones wait.
    private static readonly Sql LockUser = new("SELECT FROM users WHERE clerk_user_id = @subject FOR NO KEY UPDATE");

    // Of one client, or of all. One event for all sessions. Sign-ins in progress and unused codes end too, or they would open new sessions.
    private static readonly string EndEverything = $"""
        WITH subject AS (
            SELECT id, clerk_user_id FROM users WHERE clerk_user_id = @subject
        ), ended AS (
            SELECT * FROM gpt_end_sessions(
                ARRAY(SELECT session.id
                      FROM gpt_sessions session
                      JOIN subject ON subject.id = session.user_id
                      WHERE session.revoked_at IS NULL AND (@client_id::text IS NULL OR session.client_id = @client_id)
                      ORDER BY session.id),
                @reason, @now)
        ), consents AS (
            UPDATE gpt_consents
            SET revoked_at = @now
            FROM subject
            WHERE user_id = subject.id AND gpt_consents.revoked_at IS NULL AND (@client_id::text IS NULL OR client_id = @client_id)
        ), requests AS (
            DELETE FROM gpt_authorization_requests
            USING subject
            WHERE user_id = subject.id AND (@client_id::text IS NULL OR client_id = @client_id)
        ), codes AS (
            DELETE FROM gpt_authorization_codes
            USING subject
            WHERE user_id = subject.id AND used_at IS NULL AND (@client_id::text IS NULL OR client_id = @client_id)
        ), event AS (
            {Outbox.Tell(AuditEvents.AllSessionsRevoked, "subject",
                "'clerk_user_id', clerk_user_id, 'client_id', @client_id::text, 'sessions', (SELECT count(*) FROM ended), 'reason', @reason")}
        )
        """;

    private static readonly Sql EndAll = new($"""
        {EndEverything}
        SELECT count(*) FROM ended WHERE was_live
        """);

    // A person's own button leaves them signed in to the page that it is on; whoever is thrown out is out there, too.
    private static readonly Sql EndAllAsOperator = new($"""
        {EndEverything}, pages AS (
            {PageSessionStore.End($"user_id IN (SELECT id FROM subject) AND @client_id::text IS NULL AND {AfterEnded}")}
        ), act AS (
            {OperatorAct.Tell(AuditEvents.UserSessionsEnded, "subject",
                "'clerk_user_id', clerk_user_id, 'client_id', @client_id::text, 'sessions', (SELECT count(*) FROM ended WHERE was_live)")}
        )
        SELECT count(*) FROM ended WHERE was_live
        """);

    private const string Live = """
        SELECT session.id, session.client_id, client.name, session.granted_scopes, session.created_at, session.last_active, session.expires_at
        FROM gpt_sessions session
        JOIN users ON users.id = session.user_id
        JOIN gpt_clients client ON client.client_id = session.client_id
        WHERE users.clerk_user_id = @subject AND session.revoked_at IS NULL AND session.expires_at > @now
        """;

    private static readonly Sql List = new($"""
        {Live}
          AND (@after::uuid IS NULL OR session.id < @after) AND (@client_id::text IS NULL OR session.client_id = @client_id)
        ORDER BY session.id DESC
        LIMIT @count
        """);

    // In the order in which gpt_make_room_within takes them. All of them: there are at most as many as GPT_MAX_SESSIONS_IN_ALL says.
    private static readonly Sql ListByActivity = new("""
        SELECT session.id, session.client_id, client.name, session.granted_scopes, session.created_at, session.last_active, session.expires_at,
               coalesce(gpt_is_same_app(client, connecting), false)
        FROM gpt_sessions session
        JOIN users ON users.id = session.user_id
        JOIN gpt_clients client ON client.client_id = session.client_id
        LEFT JOIN gpt_clients connecting ON connecting.client_id = @client_id
        WHERE users.clerk_user_id = @subject AND session.revoked_at IS NULL AND session.expires_at > @now
        ORDER BY session.last_active, session.id
        """);

    private static readonly Sql ReadEnd = new("""
        SELECT session.expires_at
        FROM gpt_sessions session JOIN gpt_clients client ON client.client_id = session.client_id
        WHERE session.id = @session_id AND session.revoked_at IS NULL AND client.disabled_at IS NULL
        """);

    private static readonly Sql IsUsable = new("""
        SELECT EXISTS (
            SELECT FROM gpt_sessions session
            JOIN gpt_clients client ON client.client_id = session.client_id AND client.disabled_at IS NULL
            JOIN users ON users.id = session.user_id AND user_may_act(users, @now)
            WHERE session.id = @session_id AND session.revoked_at IS NULL AND session.expires_at > @now)
        """);

    // Waits for nobody: a session that is locked right now is left for the next time. So it can stand in nobody's way, and never deadlocks.
    private static readonly Sql MarkUsed = new("""
        WITH seen AS (
            SELECT session.id,
                   least(noted.generation, (SELECT max(token.generation) FROM gpt_refresh_tokens token WHERE token.session_id = session.id)) AS generation
            FROM unnest(@session_ids, @generations) AS noted (session_id, generation)
            JOIN gpt_sessions session ON session.id = noted.session_id
        ), free AS (
            SELECT session.id, seen.generation
            FROM seen
            JOIN gpt_sessions session ON session.id = seen.id
            WHERE session.used_generation < seen.generation
            FOR NO KEY UPDATE OF session SKIP LOCKED
        ), marked AS (
            UPDATE gpt_sessions session
            SET used_generation = free.generation
            FROM free
            WHERE session.id = free.id
        )
        SELECT seen.id
        FROM seen
        JOIN gpt_sessions session ON session.id = seen.id
        WHERE session.used_generation < seen.generation AND NOT EXISTS (SELECT FROM free WHERE free.id = seen.id)
        """);

    /// <summary>The beginning of a statement that ends sessions, with an event each.</summary>
    private static string End(string sessionIds, string eventType) => $"""
        WITH ended AS (
            SELECT * FROM gpt_end_sessions({sessionIds}, @reason, @now)
        ), event AS (
            {Outbox.Tell(eventType, "ended", EndedMembers("@reason"))}
        )
        """;

    /// <summary>The payload of an event of a session that gpt_end_sessions returned.</summary>
    /// <param name="reason">A literal or a parameter.</param>
    public static string EndedMembers(string reason) =>
        $"'clerk_user_id', clerk_user_id, 'session_id', session_id, 'client_id', client_id, 'reason', {reason}";

    /// <summary>Ends a session whoever it belongs to; false when it had ended before.</summary>
    public async Task<bool> EndAsync(Guid sessionId, string reason, string eventType, Occasion occasion) =>
        await EndAsync(database.Change(EndOne).Bind("session_id", sessionId).Bind("event_type", eventType), reason, occasion) > 0;

    /// <summary>The same as an operator, in one transaction with what says who did it and why.</summary>
    public async Task<bool> EndAsync(Guid sessionId, OperatorAct act, Occasion occasion) =>
        await EndAsync(database.Change(EndOneAsOperator).Bind("session_id", sessionId).Bind(act), act.EndReason, occasion) > 0;

    /// <summary>Ends some sessions, whoever they belong to, as an operator; returns how many.</summary>
    public Task<int> EndSomeAsync(OperatorAct act, Occasion occasion) =>
        EndAsync(database.Change(EndSomeAsOperator).Bind(act), act.EndReason, occasion);

    /// <summary>Ends a session of this owner; false when there is no such live session.</summary>
    public async Task<bool> DisconnectAsync(SessionOwner owner, Guid sessionId, string reason, Occasion occasion)
    {
        var disconnect = database.Change(Disconnect).Bind("session_id", sessionId).Bind("subject", owner.Subject).Bind("client_id", owner.ClientId);
        return await EndAsync(disconnect, reason, occasion) > 0;
    }

    /// <summary>Ends all sessions, sign-ins in progress and unused codes of an owner; returns how many live sessions there were.</summary>
    public Task<int> EndAllAsync(SessionOwner owner, string reason, Occasion occasion) => EndAllAsync(batch => AddEndAll(batch, owner, reason, occasion));

    /// <summary>The same as an operator.</summary>
    public Task<int> EndAllAsync(SessionOwner owner, OperatorAct act, Occasion occasion) =>
        EndAllAsync(batch => AddEndAll(batch, new Statement(EndAllAsOperator).Bind(act), owner, act.EndReason, occasion));

    private async Task<int> EndAllAsync(Action<NpgsqlBatch> add)
    {
        var ended = await database.RunAsync(Database.ChangeLimit, async (connection, cancellationToken) =>
        {
            await using var batch = new NpgsqlBatch(connection); // one round trip and one transaction
            add(batch);
            await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
            await reader.NextResultAsync(cancellationToken);
            await reader.ReadAsync(cancellationToken);
            return (int)reader.GetInt64(0);
        });
        outbox.Raise();
        return ended;
    }

    /// <summary>
    /// Adds the two statements that end everything of an owner to a batch, and so to its transaction. Whoever commits it raises the outbox signal.
    /// </summary>
    public static void AddEndAll(NpgsqlBatch batch, SessionOwner owner, string reason, Occasion occasion) =>
        AddEndAll(batch, new Statement(EndAll), owner, reason, occasion);

    private static void AddEndAll(NpgsqlBatch batch, Statement endAll, SessionOwner owner, string reason, Occasion occasion)
    {
        batch.Add(new Statement(LockUser).Bind("subject", owner.Subject));
        batch.Add(endAll.Bind("subject", owner.Subject).Bind("client_id", owner.ClientId).Bind("reason", reason).Bind(occasion));
    }

    /// <summary>Live sessions, newest first (session ids are ordered by time), at most <paramref name="count"/> after <paramref name="after"/>.</summary>
    public async Task<IReadOnlyList<Session>> ListAsync(SessionOwner owner, Guid? after, int count, DateTimeOffset now)
    {
        var command = database.LookUp(List)
            .Bind("subject", owner.Subject).Bind("now", now).Bind("after", after).Bind("count", count).Bind("client_id", owner.ClientId);
        return await command.AllAsync(ReadSession);
    }

    /// <summary>All live sessions, the least recently active first, and whether they are of the same app as a client.</summary>
    public async Task<IReadOnlyList<(Session Session, bool IsOwn)>> ListByActivityAsync(string subject, string clientId, DateTimeOffset now)
    {
        var command = database.LookUp(ListByActivity).Bind("subject", subject).Bind("client_id", clientId).Bind("now", now);
        return await command.AllAsync(reader => (ReadSession(reader), reader.GetBoolean(7)));
    }

    /// <summary>When a session ends if nobody ends it before; null when it has been ended, its client is disabled, or it never was.</summary>
    public async Task<DateTimeOffset?> ReadEndAsync(Guid sessionId)
    {
        var command = database.LookUp(ReadEnd).Bind("session_id", sessionId);
        return await command.FirstAsync(reader => reader.GetFieldValue<DateTimeOffset?>(0));
    }

    /// <summary>Whether a session lives, and its client and its user are let in.</summary>
    public async Task<bool> IsUsableAsync(Guid sessionId, DateTimeOffset now)
    {
        var command = database.LookUp(IsUsable).Bind("session_id", sessionId).Bind("now", now);
        return await command.FirstAsync(reader => reader.GetBoolean(0));
    }

    /// <summary>Writes down up to which generation each session was used; returns the sessions that somebody else held, which are for another time.</summary>
    public async Task<IReadOnlyList<Guid>> MarkUsedAsync(Guid[] sessionIds, int[] generations)
    {
        var command = database.Change(MarkUsed).Bind("session_ids", sessionIds).Bind("generations", generations);
        return await command.AllAsync(reader => reader.GetGuid(0));
    }

    private static Session ReadSession(NpgsqlDataReader reader) => new(
        reader.GetGuid(0), reader.GetString(1), DisplayText.Clean(reader.GetString(2), DisplayText.MaximumName), reader.GetFieldValue<string[]>(3),
        reader.GetFieldValue<DateTimeOffset>(4), reader.GetFieldValue<DateTimeOffset>(5), reader.GetFieldValue<DateTimeOffset>(6));

    private async Task<int> EndAsync(LimitedStatement end, string reason, Occasion occasion)
    {
        var ended = (int)await end.Bind("reason", reason).Bind(occasion).FirstAsync(reader => reader.GetInt64(0));
        if (ended > 0)
        {
            outbox.Raise();
        }

        return ended;
    }
}
