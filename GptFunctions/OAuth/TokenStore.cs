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

    private GrantedSession? Raise(GrantedSession? session)
    {
        if (session is not null)
        {
            outbox.Raise();
        }

        return session;
    }
}
