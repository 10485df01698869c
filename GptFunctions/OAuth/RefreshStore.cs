using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;

namespace GptFunctions.OAuth;

/// <summary>A refresh token that is to be replaced, and waits for the statement that does it.</summary>
internal sealed class Rotation(ClientCredentials client, RefreshToken presented, RefreshToken successor) : SharedItem<GrantedSession>
{
    public ClientCredentials Client => client;

    public RefreshToken Presented => presented;

    public RefreshToken Successor => successor;

    /// <summary>What the access token is to be for, of the session's scopes; null: all of them.</summary>
    public string[]? Scopes { get; init; }

    /// <summary>One of which the session's resource has to be; null: any.</summary>
    public string[]? Resources { get; init; }

    public required Occasion Occasion { get; init; }
}

/// <summary>
/// The statements of a refresh: one that replaces live tokens, which refreshes at the same time share, and a second one to find out why a token was not
/// replaced.
/// </summary>
internal sealed class RefreshStore
{
    private const int Lanes = 2;

    // Names and URLs without spaces travel as one text each, because PostgreSQL takes arrays of arrays apart down to their elements.
    private const string Presented = """
        presented AS MATERIALIZED (
            SELECT item.place, item.token_hash, item.successor_hash, item.at, item.correlation_id, item.address, item.traceparent,
                   string_to_array(item.scopes, ' ') AS scopes, string_to_array(item.resources, ' ') AS resources,
                   client.client_id, client.scopes AS allowed
            FROM (SELECT generate_subscripts(@presented::bytea[], 1) AS place, unnest(@client_ids::text[]) AS client_id, unnest(@methods::text[]) AS method,
                         unnest(@secret_hashes::bytea[]) AS secret_hash, unnest(@presented::bytea[]) AS token_hash,
                         unnest(@successors::bytea[]) AS successor_hash, unnest(@scopes::text[]) AS scopes, unnest(@resources::text[]) AS resources,
                         unnest(@times::timestamptz[]) AS at, unnest(@correlation_ids::text[]) AS correlation_id, unnest(@addresses::text[]) AS address,
                         unnest(@traceparents::text[]) AS traceparent) item
            JOIN gpt_clients client ON client.client_id = item.client_id
            WHERE client.disabled_at IS NULL AND item.method = ANY (client.auth_methods)
              AND (item.method = 'none' OR item.secret_hash = ANY (client.secret_hashes))
        )
        """;

    private const string PresentedSigned = """
        presented AS (
            SELECT 1 AS place, @presented AS token_hash, @successor AS successor_hash, @now AS at, @correlation_id AS correlation_id,
                   @address AS address, @traceparent AS traceparent, @scopes AS scopes, @resources AS resources, client_id, scopes AS allowed
            FROM client
        )
        """;

    // Nobody waits for a session that is locked because somebody else's is in the same statement.
    private static readonly Sql Rotate = new(With(Presented, "SKIP LOCKED"));

    private static readonly Sql RotateAlone = new(With(Presented, ""));

    // An assertion is used up in the statement that acts, so those who sign have one for themselves.
    private static readonly Sql RotateSigned = new(With($"{ClientSql.Parts.Signed.Authenticated}, {PresentedSigned}", ""));

    private static readonly ClientSql Explain = new(by => $"""
        SELECT {by.StandingLater},
               session.client_id = @client_id, session.id, users.clerk_user_id, {TokenStore.AllowedOfSession}, session.resource,
               (SELECT max(generation) FROM gpt_refresh_tokens newest WHERE newest.session_id = session.id),
               session.revoked_at IS NULL AND session.expires_at > @now AND user_may_act(users, @now),
               token.revoked_at IS NOT NULL, token.expires_at, token.rotated_at, token.generation, session.used_generation,
               ARRAY(SELECT later.token_hash
                     FROM gpt_refresh_tokens later
                     WHERE later.session_id = token.session_id AND later.generation > token.generation
                       AND (token.rotated_at > @grace_began OR later.generation = token.generation + 1)
                     ORDER BY later.generation
                     LIMIT {RefreshRefusal.MostDescendants + 1}),
               session.refresh_tat, session.revoke_reason, session.expires_at
        FROM (VALUES (1)) one
        LEFT JOIN gpt_clients client ON client.client_id = @client_id
        LEFT JOIN gpt_refresh_tokens token ON token.token_hash = @presented
        LEFT JOIN gpt_sessions session ON session.id = token.session_id
        LEFT JOIN users ON users.id = session.user_id
        """);

    // Such an answer costs the session a refresh, too. The token's row remembers what has been told of it, so that of any number of repeats, on any
    // replica, one tells. Somebody with many addresses does not make it grow for ever.
    private static readonly Sql Repeat = new($"""
        WITH session AS (
            UPDATE gpt_sessions session
            SET refresh_tat = {AfterRefresh("session", "@now")}
            WHERE id = @session_id AND {HasRefreshLeft("@now")}
            RETURNING id, client_id, user_id
        ), noted AS (
            UPDATE gpt_refresh_tokens token
            SET repeated_from = array_append(repeated_from, @repeated_from)
            FROM session
            WHERE token_hash = @token_hash
              AND (repeated_from IS NULL OR (NOT @repeated_from = ANY (repeated_from) AND cardinality(repeated_from) < 100))
            RETURNING session.*, extract(epoch FROM @now - rotated_at)::bigint AS seconds
        ), repeat AS (
            SELECT users.clerk_user_id, noted.id, noted.client_id, noted.seconds
            FROM noted
            JOIN users ON users.id = noted.user_id
        ), event AS (
            {Outbox.Tell(AuditEvents.TokenRepeated, "repeat",
                "'clerk_user_id', clerk_user_id, 'session_id', id, 'client_id', client_id, 'seconds_after_rotation', seconds")}
        )
        SELECT EXISTS (SELECT FROM repeat) FROM session
        """);

    // Whatever number of processes refuses it: a session is told of once a minute.
    private static readonly Sql TellLimited = new($"""
        WITH told AS (
            UPDATE gpt_sessions
            SET refresh_limit_told_at = @now
            WHERE id = @session_id AND (refresh_limit_told_at IS NULL OR refresh_limit_told_at <= @now - @period)
            RETURNING id, client_id, user_id
        ), limited AS (
            SELECT told.id, told.client_id, users.clerk_user_id
            FROM told
            JOIN users ON users.id = told.user_id
        ), event AS (
            {Outbox.Tell(AuditEvents.RefreshLimited, "limited",
                "'clerk_user_id', clerk_user_id, 'session_id', id, 'client_id', client_id, 'tries', @tries, 'since', @since")}
        )
        SELECT EXISTS (SELECT FROM told) OR NOT EXISTS (SELECT FROM gpt_sessions WHERE id = @session_id)
        """);

    private readonly Database database;
    private readonly OutboxSignal outbox;
    private readonly TimeSpan idleLifetime;
    private readonly TimeSpan cost; // of a refresh, in time of the session's bucket
    private readonly SharedStatements<Rotation, GrantedSession> rotations;

    public RefreshStore(Database database, OutboxSignal outbox, IOptions<OAuthSettings> settings)
    {
        (this.database, this.outbox) = (database, outbox);
        (idleLifetime, cost) = (TimeSpan.FromSeconds(settings.Value.RefreshTokenExpiry), RefreshLimit.Period / settings.Value.RefreshLimit);
        rotations = new SharedStatements<Rotation, GrantedSession>(
            all => RotateAsync(Rotate, all), one => RotateAsync(RotateAlone, [one]), BesideEachOther, Lanes);
    }

    /// <summary>Replaces a live refresh token by its successor; null when nothing happened, also because somebody else has the session's lock.</summary>
    public Task<GrantedSession?> RotateAsync(Rotation rotation) =>
        rotation.Client.Assertion is null ? rotations.RunAsync(rotation) : RotateSignedAsync(rotation);

    /// <summary>The same, waiting for whoever has the session's lock.</summary>
    public async Task<GrantedSession?> RotateAloneAsync(Rotation rotation)
    {
        if (rotation.Client.Assertion is null)
        {
            await RotateAsync(RotateAlone, [rotation]);
        }

        return rotation.Answer;
    }

    /// <summary>Each token once: of twins the second finds that the first one was faster.</summary>
    private static Predicate<Rotation> BesideEachOther()
    {
        var tokens = new HashSet<byte[]>(HashComparer.Instance);
        return rotation => tokens.Add(rotation.Presented.Hash);
    }

    private async Task RotateAsync(Sql sql, List<Rotation> all)
    {
        var statement = database.Change(sql)
            .Bind("client_ids", all.ConvertAll(rotation => rotation.Client.ClientId))
            .Bind("methods", all.ConvertAll(rotation => rotation.Client.Method))
            .Bind("secret_hashes", all.ConvertAll(rotation => rotation.Client.SecretHash))
            .Bind("presented", all.ConvertAll(rotation => rotation.Presented.Hash))
            .Bind("successors", all.ConvertAll(rotation => rotation.Successor.Hash))
            .Bind("scopes", all.ConvertAll(rotation => Join(rotation.Scopes)))
            .Bind("resources", all.ConvertAll(rotation => Join(rotation.Resources)))
            .Bind("times", all.ConvertAll(rotation => rotation.Occasion.Now))
            .Bind("correlation_ids", all.ConvertAll(rotation => rotation.Occasion.CorrelationId))
            .Bind("addresses", all.ConvertAll(rotation => rotation.Occasion.Address))
            .Bind("traceparents", all.ConvertAll(rotation => rotation.Occasion.TraceParent))
            .Bind("idle_lifetime", idleLifetime).Bind("cost", cost).Bind("period", RefreshLimit.Period);
        var rotated = await statement.AllAsync(static reader => (Place: reader.GetInt32(0), Session: ReadSession(reader)));
        rotated.ForEach(answer => all[answer.Place - 1].Answer = answer.Session);
        if (rotated.Count > 0)
        {
            outbox.Raise();
        }
    }

    private async Task<GrantedSession?> RotateSignedAsync(Rotation rotation)
    {
        var statement = database.Change(RotateSigned).Bind(rotation.Client)
            .Bind("presented", rotation.Presented.Hash).Bind("successor", rotation.Successor.Hash)
            .Bind("scopes", rotation.Scopes).Bind("resources", rotation.Resources).Bind("idle_lifetime", idleLifetime)
            .Bind("cost", cost).Bind("period", RefreshLimit.Period).Bind(rotation.Occasion);
        var session = await statement.FirstAsync(ReadSession);
        if (session is not null)
        {
            outbox.Raise();
        }

        return session;
    }

    private static string? Join(string[]? texts) => texts is null ? null : string.Join(' ', texts);

    private static GrantedSession ReadSession(NpgsqlDataReader reader) => new(
        reader.GetGuid(1), reader.GetString(2), reader.GetFieldValue<string[]>(3), reader.GetString(4), reader.GetInt32(5));

    /// <param name="graceStart">Tokens rotated after this moment are answered with their newest descendant, so its lineage is read too.</param>
    public Task<RefreshRefusal> ExplainAsync(ClientCredentials client, byte[] tokenHash, DateTimeOffset now, DateTimeOffset graceStart)
    {
        var command = database.LookUp(Explain.For(client)).Bind(client).Bind("presented", tokenHash).Bind("now", now).Bind("grace_began", graceStart);
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
            RefreshTat = reader.Get<DateTimeOffset?>(17),
            RevokeReason = reader.Get<string?>(18),
            SessionExpiresAt = reader.Get<DateTimeOffset?>(19),
        };
    }

    /// <summary>
    /// Takes a refresh from the session's limit for a superseded token that is answered again, and tells the audit trail, only the first time that it was
    /// <paramref name="repeatedFrom"/>; false when none was left.
    /// </summary>
    public async Task<bool> RepeatAsync(Guid sessionId, byte[] tokenHash, string repeatedFrom, Occasion occasion)
    {
        var command = database.Change(Repeat).Bind("session_id", sessionId).Bind("token_hash", tokenHash).Bind("repeated_from", repeatedFrom)
            .Bind("cost", cost).Bind("period", RefreshLimit.Period).Bind(occasion);
        var isTold = await command.FirstAsync(static reader => (bool?)reader.GetBoolean(0));
        if (isTold is true)
        {
            outbox.Raise();
        }

        return isTold is not null;
    }

    /// <summary>Tells the audit trail of refreshes beyond the limit; false when somebody did within the last minute.</summary>
    public async Task<bool> TellLimitedAsync(LimitedSession session, DateTimeOffset now)
    {
        var command = database.Change(TellLimited).Bind("session_id", session.Id).Bind("period", RefreshLimit.Period)
            .Bind("tries", session.Tries).Bind("since", session.First.Now).Bind(session.First with { Now = now });
        var isDone = await command.FirstAsync(static reader => reader.GetBoolean(0));
        outbox.Raise();
        return isDone;
    }

    /// <summary>Until a refresh of the session is admitted; zero when one is.</summary>
    public TimeSpan Wait(RefreshRefusal refusal, DateTimeOffset now) =>
        refusal.RefreshTat + cost - RefreshLimit.Period - now is { Ticks: > 0 } wait ? wait : TimeSpan.Zero;

    private static string HasRefreshLeft(string at) =>
        $"(session.refresh_tat IS NULL OR session.refresh_tat + @cost <= {at} + @period)";

    private static string AfterRefresh(string session, string at) => $"greatest({session}.refresh_tat, {at}) + @cost";

    /// <param name="presented">The tokens that are presented by a client whose credentials are right, as presented.</param>
    /// <param name="locked">What to do about a session that is locked: wait, or skip it.</param>
    private static string With(string presented, string locked) => $"""
        WITH {presented}, session AS MATERIALIZED (
            -- Sessions are locked before tokens, as in everything that ends a session, and in one order: statements never wait in a circle.
            SELECT presented.*, session.id, session.resource, session.expires_at, users.clerk_user_id,
                   ARRAY(SELECT name
                         FROM unnest(session.granted_scopes) WITH ORDINALITY AS granted (name, rank)
                         WHERE name = ANY (presented.allowed)
                         ORDER BY rank) AS granted_scopes
            FROM presented
            JOIN gpt_refresh_tokens token ON token.token_hash = presented.token_hash
            JOIN gpt_sessions session ON session.id = token.session_id
            JOIN users ON users.id = session.user_id
            WHERE token.rotated_at IS NULL AND token.revoked_at IS NULL AND token.expires_at > presented.at
              AND session.client_id = presented.client_id AND session.revoked_at IS NULL AND session.expires_at > presented.at
              AND user_may_act(users, presented.at)
              AND session.granted_scopes && presented.allowed
              AND (presented.scopes IS NULL OR (presented.scopes <@ session.granted_scopes AND presented.scopes <@ presented.allowed))
              AND (presented.resources IS NULL OR session.resource = ANY (presented.resources))
              AND {HasRefreshLeft("presented.at")}
            ORDER BY session.id
            FOR NO KEY UPDATE OF session {locked}
        ), active AS (
            UPDATE gpt_sessions
            SET last_active = session.at, refresh_tat = {AfterRefresh("gpt_sessions", "session.at")}
            FROM session
            WHERE gpt_sessions.id = session.id
        ), rotated AS (
            -- Asked again, because a twin may have rotated the token while this statement waited for the session.
            UPDATE gpt_refresh_tokens token
            SET rotated_at = session.at, rotated_to = session.successor_hash
            FROM session
            WHERE token.token_hash = session.token_hash AND token.rotated_at IS NULL AND token.revoked_at IS NULL
            RETURNING session.*, token.generation
        ), successor AS (
            INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at)
            SELECT successor_hash, id, generation + 1, at, least(at + @idle_lifetime, expires_at)
            FROM rotated
        ), event AS (
            {Outbox.Write($"'{AuditEvents.TokenRefreshed}'", "rotated",
                "jsonb_build_object('clerk_user_id', clerk_user_id, 'session_id', id, 'client_id', client_id, 'scopes', coalesce(scopes, granted_scopes), "
                + "'ip_address', address)",
                at: "at", correlationId: "correlation_id", traceParent: "traceparent")}
        )
        SELECT place, id, clerk_user_id, granted_scopes, resource, generation + 1 FROM rotated
        """;
}
