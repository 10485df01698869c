using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.OAuth;

/// <summary>A session that a grant opened or continued, as the answer needs it.</summary>
/// <param name="Generation">Of its newest refresh token.</param>
internal sealed record GrantedSession(Guid Id, string Subject, string[] Scopes, string Resource, int Generation)
{
    /// <summary>The authorization request of the code that opened it just now.</summary>
    public Guid? RequestId { get; init; }
}

/// <summary>What a client wants in exchange for a code.</summary>
/// <param name="Resources">One of which its resource has to be; null: any.</param>
internal sealed record CodeExchange(byte[] CodeHash, string? RedirectUri, string? CodeChallenge, string[]? Resources);

/// <summary>Why an exchange took no effect. <see cref="Client"/> is judged first.</summary>
internal sealed record ExchangeRefusal
{
    public required ClientStanding Client { get; init; }
    public required bool IsOwnCode { get; init; }
    public Guid? UsedForSession { get; init; }
    public DateTimeOffset? ExpiresAt { get; init; }
    public string? RedirectUri { get; init; }
    public string? CodeChallenge { get; init; }
    public string? Resource { get; init; }

    /// <summary>Whether the client may still have any of the scopes that the person granted.</summary>
    public required bool HasScopes { get; init; }

    /// <summary>The authorization request that the code answered.</summary>
    public Guid? RequestId { get; init; }
}

/// <summary>Where a refresh token stands when it could not be rotated.</summary>
internal sealed record RefreshRefusal
{
    public required ClientStanding Client { get; init; }
    public required bool IsOwnToken { get; init; }
    public GrantedSession? Session { get; init; }
    public required bool IsSessionLive { get; init; }
    public required bool IsRevoked { get; init; }

    /// <summary>Why its session was ended; null for one that nobody ended.</summary>
    public string? RevokeReason { get; init; }
    public DateTimeOffset? SessionExpiresAt { get; init; }
    public DateTimeOffset? ExpiresAt { get; init; }
    public DateTimeOffset? RotatedAt { get; init; }
    public required int Generation { get; init; }

    /// <summary>The newest generation of the session of which something was used.</summary>
    public required int UsedGeneration { get; init; }

    /// <summary>What came after it: its whole lineage within the grace, else its successor only.</summary>
    public required byte[][] LaterHashes { get; init; }

    /// <summary>Which repeats have been told already.</summary>
    public required string[] RepeatedFrom { get; init; }

    /// <summary>Why a token cannot be answered, whatever it was used for before; null when that is not decided by this.</summary>
    /// <param name="presented">The token.</param>
    public RefusalReason? Reason(string presented, DateTimeOffset now) =>
        Session is null ? (RefreshTokens.IsToken(presented) ? RefusalReason.RefreshUnknown : RefusalReason.RefreshMalformed)
        : !IsOwnToken ? RefusalReason.ClientMismatch
        : RevokeReason is { } reason ? OfEnded(reason)
        : SessionExpiresAt <= now ? RefusalReason.SessionExpired
        : !IsSessionLive ? RefusalReason.AccountClosed
        : IsRevoked ? RefusalReason.SessionRevoked
        : ExpiresAt <= now ? RefusalReason.RefreshExpired
        : null;

    private static RefusalReason OfEnded(string reason) => reason switch
    {
        "session_limit" => RefusalReason.SessionReplaced,
        "refresh_token_replay" or "code_replay" => RefusalReason.SessionReplayed,
        _ => RefusalReason.SessionRevoked,
    };
}

/// <summary>The token endpoint's statements: one for a grant that succeeds, a second one to find out why it did not.</summary>
internal sealed class TokenStore(Database database, OutboxSignal outbox)
{
    /// <summary>
    /// What the person granted in a session, as far as the operator still allows it to the client. For statements with gpt_sessions as session and
    /// its client's row as client.
    /// </summary>
    public const string AllowedOfSession =
        "ARRAY(SELECT name FROM unnest(session.granted_scopes) WITH ORDINALITY AS granted (name, place) WHERE name = ANY (client.scopes) ORDER BY place)";

    private const string NoRoom = "GF001"; // raised by gpt_make_room_within

    // What the person granted, in that order, as far as the operator still allows it to the client.
    private const string AllowedOfCode =
        "ARRAY(SELECT name FROM unnest(code.scopes) WITH ORDINALITY AS granted (name, place) WHERE name = ANY (owner.allowed) ORDER BY place)";

    private static readonly ClientSql Exchange = new(by => $"""
        WITH {by.Authenticated}, owner AS (
            -- The user's row is locked before anything else of the user, so that ending all of a user's sessions happens before or after this,
            -- never beside it.
            SELECT users.id, users.clerk_user_id, client.scopes AS allowed
            FROM client
            JOIN gpt_authorization_codes code ON code.client_id = client.client_id
            JOIN users ON users.id = code.user_id
            WHERE code.code_hash = @code_hash AND user_may_act(users, @now)
            FOR NO KEY UPDATE OF users
        ), code AS (
            UPDATE gpt_authorization_codes code
            SET used_at = @now, session_id = @session_id
            FROM owner
            WHERE code.code_hash = @code_hash AND code.used_at IS NULL AND code.expires_at > @now
              AND code.redirect_uri IS NOT DISTINCT FROM @redirect_uri
              AND code.code_challenge IS NOT DISTINCT FROM @code_challenge
              AND (@resources::text[] IS NULL OR code.resource = ANY (@resources))
              AND code.scopes && owner.allowed
            RETURNING code.user_id, owner.clerk_user_id, code.client_id, code.may_end, {AllowedOfCode} AS scopes, code.resource, code.request_id
        ), ended AS (
            SELECT room.*, code.clerk_user_id
            FROM code, gpt_make_room_within(code.user_id, code.client_id, code.may_end, @client_limit, @user_limit, @now) room
        ), session AS (
            -- Counting what was ended makes room before the insert: the order of these parts is otherwise PostgreSQL's choice.
            INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at)
            SELECT @session_id, client_id, user_id, scopes, scopes, resource, @now, @now, @now + @session_lifetime
            FROM code, (SELECT count(*) FROM ended) made_room
        ), token AS (
            INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at)
            SELECT @token_hash, @session_id, 0, @now, @now + least(@session_lifetime, @idle_lifetime)
            FROM code
        ), used AS (
            UPDATE gpt_clients
            SET last_used_at = @now
            FROM code
            WHERE gpt_clients.client_id = code.client_id AND (last_used_at IS NULL OR last_used_at < @now - interval '1 hour')
        ), exchanged AS (
            {Outbox.Tell(AuditEvents.TokenExchanged, "code",
                "'clerk_user_id', clerk_user_id, 'session_id', @session_id, 'client_id', client_id, 'scopes', scopes")}
        ), revoked AS (
            {Outbox.Tell(AuditEvents.SessionRevoked, "ended",
                "'clerk_user_id', clerk_user_id, 'session_id', ended_id, 'client_id', ended_client_id, 'reason', 'session_limit'")}
        )
        SELECT clerk_user_id, scopes, resource, request_id FROM code
        """);

    private static readonly ClientSql ExplainExchange = new(by => $"""
        SELECT {by.StandingLater},
               code.client_id = @client_id, code.session_id, code.expires_at, code.redirect_uri, code.code_challenge, code.resource,
               code.scopes && client.scopes, code.request_id
        FROM (VALUES (1)) one
        LEFT JOIN gpt_clients client ON client.client_id = @client_id
        LEFT JOIN gpt_authorization_codes code ON code.code_hash = @code_hash
        """);

    private static readonly ClientSql Refresh = new(by => $"""
        WITH {by.Authenticated}, session AS (
            -- The session's row is locked before the token's, as in everything that ends a session: the other order would deadlock with those.
            UPDATE gpt_sessions session
            SET last_active = @now
            FROM client, gpt_refresh_tokens token, users
            WHERE token.token_hash = @presented AND token.rotated_at IS NULL AND token.revoked_at IS NULL AND token.expires_at > @now
              AND session.id = token.session_id AND session.client_id = client.client_id
              AND users.id = session.user_id AND user_may_act(users, @now)
              AND session.revoked_at IS NULL AND session.expires_at > @now
              AND session.granted_scopes && client.scopes
              AND (@scopes::text[] IS NULL OR (@scopes <@ session.granted_scopes AND @scopes <@ client.scopes))
              AND (@resources::text[] IS NULL OR session.resource = ANY (@resources))
            RETURNING session.id, users.clerk_user_id, session.client_id, {AllowedOfSession} AS granted_scopes, session.resource, session.expires_at
        ), rotated AS (
            -- Asked again, because a twin may have rotated the token while this statement waited for the session.
            UPDATE gpt_refresh_tokens token
            SET rotated_at = @now, rotated_to = @successor
            FROM session
            WHERE token.token_hash = @presented AND token.rotated_at IS NULL AND token.revoked_at IS NULL
            RETURNING session.*, token.generation
        ), successor AS (
            INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at)
            SELECT @successor, id, generation + 1, @now, least(@now + @idle_lifetime, expires_at)
            FROM rotated
        ), event AS (
            {Outbox.Tell(AuditEvents.TokenRefreshed, "rotated",
                "'clerk_user_id', clerk_user_id, 'session_id', id, 'client_id', client_id, 'scopes', coalesce(@scopes, granted_scopes)")}
        )
        SELECT id, clerk_user_id, granted_scopes, resource, generation + 1 FROM rotated
        """);

    private static readonly ClientSql ExplainRefresh = new(by => $"""
        SELECT {by.StandingLater},
               session.client_id = @client_id, session.id, users.clerk_user_id, {AllowedOfSession}, session.resource,
               (SELECT max(generation) FROM gpt_refresh_tokens newest WHERE newest.session_id = session.id),
               session.revoked_at IS NULL AND session.expires_at > @now AND user_may_act(users, @now),
               token.revoked_at IS NOT NULL, token.expires_at, token.rotated_at, token.generation, session.used_generation,
               ARRAY(SELECT later.token_hash
                     FROM gpt_refresh_tokens later
                     WHERE later.session_id = token.session_id AND later.generation > token.generation
                       AND (token.rotated_at > @grace_began OR later.generation = token.generation + 1)
                     ORDER BY later.generation),
               coalesce(token.repeated_from, ARRAY[]::text[]), session.revoke_reason, session.expires_at
        FROM (VALUES (1)) one
        LEFT JOIN gpt_clients client ON client.client_id = @client_id
        LEFT JOIN gpt_refresh_tokens token ON token.token_hash = @presented
        LEFT JOIN gpt_sessions session ON session.id = token.session_id
        LEFT JOIN users ON users.id = session.user_id
        """);

    // The token's row remembers what has been told of it, so that of any number of repeats, on any replica, one tells. Somebody with many addresses
    // does not make it grow for ever.
    private static readonly Sql TellRepeat = new($"""
        WITH noted AS (
            UPDATE gpt_refresh_tokens token
            SET repeated_from = array_append(repeated_from, @repeated_from)
            WHERE token_hash = @token_hash
              AND (repeated_from IS NULL OR (NOT @repeated_from = ANY (repeated_from) AND cardinality(repeated_from) < 100))
            RETURNING session_id, extract(epoch FROM @now - rotated_at)::bigint AS seconds
        ), repeat AS (
            SELECT users.clerk_user_id, session.id, session.client_id, noted.seconds
            FROM noted
            JOIN gpt_sessions session ON session.id = noted.session_id
            JOIN users ON users.id = session.user_id
        )
        {Outbox.Tell(AuditEvents.TokenRepeated, "repeat",
            "'clerk_user_id', clerk_user_id, 'session_id', id, 'client_id', client_id, 'seconds_after_rotation', seconds")}
        """);

    /// <summary>
    /// Uses the code and opens its session, ending those that the person was told of, or the client's own, when there are as many as allowed.
    /// </summary>
    /// <returns>No session when nothing happened: for want of room, or for another reason.</returns>
    public async Task<(GrantedSession? Session, bool HasRoom)> ExchangeAsync(
        ClientCredentials client, CodeExchange exchange, RefreshToken first, OAuthSettings settings, Occasion occasion)
    {
        var sessionId = Guid.CreateVersion7(occasion.Now);
        var command = database.Change(Exchange.For(client)).Bind(client)
            .Bind("code_hash", exchange.CodeHash).Bind("redirect_uri", exchange.RedirectUri).Bind("code_challenge", exchange.CodeChallenge)
            .Bind("session_id", sessionId).Bind("resources", exchange.Resources)
            .Bind("client_limit", settings.MaxSessionsPerUser).Bind("user_limit", settings.MaxSessionsInAll)
            .Bind("session_lifetime", TimeSpan.FromSeconds(settings.SessionExpiry)).Bind("token_hash", first.Hash)
            .Bind("idle_lifetime", TimeSpan.FromSeconds(settings.RefreshTokenExpiry)).Bind(occasion);
        try
        {
            var session = await command.FirstAsync(reader => new GrantedSession(
                sessionId, reader.GetString(0), reader.GetFieldValue<string[]>(1), reader.GetString(2), Generation: 0)
            {
                RequestId = reader.Get<Guid?>(3),
            });
            return (Raise(session), true);
        }
        catch (PostgresException error) when (error.SqlState == NoRoom)
        {
            return (null, false);
        }
    }

    public Task<ExchangeRefusal> ExplainExchangeAsync(ClientCredentials client, byte[] codeHash)
    {
        var command = database.LookUp(ExplainExchange.For(client)).Bind(client).Bind("code_hash", codeHash);
        return command.FirstAsync(static reader => new ExchangeRefusal
        {
            Client = ClientStanding.Read(reader),
            IsOwnCode = reader.Get<bool?>(4) ?? false,
            UsedForSession = reader.Get<Guid?>(5),
            ExpiresAt = reader.Get<DateTimeOffset?>(6),
            RedirectUri = reader.Get<string?>(7),
            CodeChallenge = reader.Get<string?>(8),
            Resource = reader.Get<string?>(9),
            HasScopes = reader.Get<bool?>(10) ?? false,
            RequestId = reader.Get<Guid?>(11),
        })!;
    }

    /// <summary>Replaces a live refresh token by <paramref name="successor"/>; null when nothing happened.</summary>
    /// <param name="resources">One of which the session's resource has to be; null: any.</param>
    public async Task<GrantedSession?> RefreshAsync(
        ClientCredentials client, RefreshToken presented, RefreshToken successor, string[]? scopes, string[]? resources, TimeSpan idleLifetime,
        Occasion occasion)
    {
        var command = database.Change(Refresh.For(client)).Bind(client)
            .Bind("presented", presented.Hash).Bind("successor", successor.Hash).Bind("scopes", scopes).Bind("resources", resources)
            .Bind("idle_lifetime", idleLifetime).Bind(occasion);
        return Raise(await command.FirstAsync(reader => new GrantedSession(
            reader.GetGuid(0), reader.GetString(1), reader.GetFieldValue<string[]>(2), reader.GetString(3), reader.GetInt32(4))));
    }

    /// <param name="graceStart">Tokens rotated after this moment are answered with their newest descendant, so its lineage is read too.</param>
    public Task<RefreshRefusal> ExplainRefreshAsync(ClientCredentials client, byte[] tokenHash, DateTimeOffset now, DateTimeOffset graceStart)
    {
        var command = database.LookUp(ExplainRefresh.For(client)).Bind(client).Bind("presented", tokenHash).Bind("now", now).Bind("grace_began", graceStart);
        return command.FirstAsync(ReadRefusal)!;
    }

    private static RefreshRefusal ReadRefusal(NpgsqlDataReader reader)
    {
        var session = reader.Get<Guid?>(5) is { } id
            ? new GrantedSession(id, reader.GetString(6), reader.GetFieldValue<string[]>(7), reader.GetString(8), reader.GetInt32(9))
            : null;
        return new RefreshRefusal
        {
            Client = ClientStanding.Read(reader),
            IsOwnToken = reader.Get<bool?>(4) ?? false,
            Session = session,
            IsSessionLive = reader.Get<bool?>(10) ?? false,
            IsRevoked = reader.GetBoolean(11),
            ExpiresAt = reader.Get<DateTimeOffset?>(12),
            RotatedAt = reader.Get<DateTimeOffset?>(13),
            Generation = reader.Get<int>(14),
            UsedGeneration = reader.Get<int>(15),
            LaterHashes = reader.GetFieldValue<byte[][]>(16),
            RepeatedFrom = reader.GetFieldValue<string[]>(17),
            RevokeReason = reader.Get<string?>(18),
            SessionExpiresAt = reader.Get<DateTimeOffset?>(19),
        };
    }

    /// <summary>Tells the audit trail that a superseded token was answered again; only the first time that it was <paramref name="repeatedFrom"/>.</summary>
    public async Task TellRepeatAsync(byte[] tokenHash, string repeatedFrom, Occasion occasion)
    {
        var command = database.Change(TellRepeat).Bind("token_hash", tokenHash).Bind("repeated_from", repeatedFrom).Bind(occasion);
        await command.ExecuteAsync();
        outbox.Raise();
    }

    private GrantedSession? Raise(GrantedSession? session)
    {
        if (session is not null)
        {
            outbox.Raise();
        }

        return session;
    }
}
