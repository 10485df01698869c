using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Identity;

namespace GptFunctions.OAuth;

/// <summary>A request that waits for its person's answer, as their own browser may see it.</summary>
/// <param name="IsSelfRegistered">Nobody has checked what the client says of itself.</param>
/// <param name="ConsentedScopes">What the person granted this client at this redirect host before.</param>
internal sealed record PendingRequest(
    Guid Id, string ClientId, string ClientName, string[] ClientRedirectUris, string RedirectUri, string[] Scopes, string? State,
    Guid UserId, string Subject, string? Email, bool IsSelfRegistered, string[] ConsentedScopes);

/// <summary>Where the browser goes with the code.</summary>
internal sealed record Approval(string RedirectUri, string? State);

/// <summary>What became of a sign-in.</summary>
internal enum SignInOutcome
{
    /// <summary>The client is gone, or the request was written before.</summary>
    NotInProgress,

    /// <summary>The account was deleted or is blocked.</summary>
    AccountClosed,
    Noted,

    /// <summary>The same for a browser that this person has signed in with just before: it keeps its cookie.</summary>
    NotedForKnownBrowser,
}

internal sealed class AuthorizeStore(Database database, OutboxSignal outbox)
{
    private const string Find = """
        SELECT request.id, request.client_id, client.name, client.redirect_uris, request.redirect_uri, request.scopes, request.state,
               users.id, users.clerk_user_id, users.email, client.kind = 'registered'
        FROM gpt_authorization_requests request
        JOIN gpt_clients client ON client.client_id = request.client_id AND client.disabled_at IS NULL
        JOIN users ON users.id = request.user_id
        WHERE request.id = $1 AND request.browser_hash = $2 AND request.expires_at > $3 AND request.decided_at IS NULL
        """;

    // A client that registered itself is nobody in particular: what was agreed to before is not taken as agreed.
    private const string FindConsent = """
        SELECT scopes FROM gpt_consents WHERE user_id = $1 AND client_id = $2 AND ($3::text IS NULL OR redirect_host = $3) AND revoked_at IS NULL
        AND NOT EXISTS (SELECT FROM gpt_clients client WHERE client.client_id = $2 AND client.kind = 'registered')
        """;

    // What Clerk's webhooks wrote about a person is newer than a sign-in: only gaps are filled. A deleted account stays deleted and empty.
    // $11 is the cookie that the browser gets now; $12, which it brought, is kept when this very person got it at a sign-in that is still open.
    private const string SignIn = $"""
        WITH client AS (
            SELECT client_id FROM gpt_clients WHERE client_id = $2 AND disabled_at IS NULL
        ), person AS (
            INSERT INTO users (id, clerk_user_id, email, name, created_at) SELECT $4, $5, $6, $7, $3 FROM client
            ON CONFLICT (clerk_user_id) DO UPDATE SET
                email = CASE WHEN users.deleted_at IS NULL THEN coalesce(users.email, excluded.email) END,
                name = CASE WHEN users.deleted_at IS NULL THEN coalesce(users.name, excluded.name) END
            RETURNING id, clerk_user_id, user_may_act(users, $3) AS may_act
        ), request AS (
            INSERT INTO gpt_authorization_requests
                (id, client_id, browser_hash,
                 redirect_uri, redirect_uri_given, scopes, state, code_challenge, resource, created_at, expires_at, user_id, signed_in_at)
            SELECT $1, $2, CASE WHEN EXISTS (
                    SELECT FROM gpt_authorization_requests other
                    WHERE other.user_id = person.id AND other.browser_hash = $12 AND other.expires_at > $3) THEN $12 ELSE $11 END,
                $13, $14, $15, $16, $17, $18, $19 - $20::interval, $19, person.id, $3
            FROM person WHERE person.may_act
            ON CONFLICT (id) DO NOTHING
            RETURNING browser_hash
        ), event AS (
            INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
            SELECT $8, '{AuditEvents.SignedIn}', $3, event_envelope($8, '{AuditEvents.SignedIn}', $3, $9, jsonb_build_object(
                'clerk_user_id', clerk_user_id, 'client_id', $2, 'ip_address', $10)) FROM person, request
        )
        SELECT NOT person.may_act, request.browser_hash = $12, request.browser_hash IS NOT NULL FROM person LEFT JOIN request ON true
        """;

    // $1 now, $2 redirect host, $3 whether the person was asked, $4 code hash, $5 code lifetime, $6 event id, $7 correlation id, $8 address,
    // $9 the sessions that were announced to end; "request" is what the caller's first part yields.
    private const string Approve = $"""
        consent AS (
            INSERT INTO gpt_consents (user_id, client_id, redirect_host, scopes, granted_at)
            SELECT user_id, client_id, $2, scopes, $1 FROM request WHERE $3
            ON CONFLICT (user_id, client_id, redirect_host) DO UPDATE SET
                scopes = CASE WHEN gpt_consents.revoked_at IS NULL THEN ARRAY(SELECT DISTINCT unnest(gpt_consents.scopes || excluded.scopes)) ELSE excluded.scopes END,
                granted_at = excluded.granted_at, revoked_at = NULL
        ), code AS (
            INSERT INTO gpt_authorization_codes (code_hash, client_id, user_id, redirect_uri, scopes, resource, code_challenge, created_at, expires_at, may_end)
            SELECT $4, client_id, user_id, CASE WHEN redirect_uri_given THEN redirect_uri END, scopes, resource, code_challenge, $1, $1 + $5, $9 FROM request
        ), event AS (
            INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
            SELECT $6, '{AuditEvents.Authorize}', $1, event_envelope($6, '{AuditEvents.Authorize}', $1, $7, jsonb_build_object(
                'clerk_user_id', clerk_user_id, 'client_id', client_id, 'scopes', scopes, 'consent', CASE WHEN $3 THEN 'given' ELSE 'remembered' END, 'ip_address', $8)) FROM request
        )
        SELECT redirect_uri, state FROM request
        """;

    private const string ApprovePending = $"""
        WITH person AS (
            -- Waits for whoever is ending everything of this user (SessionStore.EndAll): then the request is gone, and no code is made.
            SELECT users.id, users.clerk_user_id
            FROM gpt_authorization_requests pending JOIN users ON users.id = pending.user_id
            WHERE pending.id = $10 AND user_may_act(users, $1)
            FOR SHARE OF users
        ), request AS (
            UPDATE gpt_authorization_requests pending SET decided_at = $1
            FROM person
            WHERE pending.id = $10 AND pending.browser_hash = $11 AND pending.decided_at IS NULL AND pending.expires_at > $1
            RETURNING pending.*, person.clerk_user_id
        ), {Approve}
        """;

    private const string ApproveHeadless = $"""
        WITH request AS (
            SELECT $10::uuid AS user_id, clerk_user_id, $11::text AS client_id, $12::text AS redirect_uri, $13::boolean AS redirect_uri_given,
                   $14::text[] AS scopes, $15::text AS state, $16::text AS code_challenge, $17::text AS resource
            FROM users WHERE id = $10 AND user_may_act(users, $1)
        ), {Approve}
        """;

    private const string Deny = $"""
        WITH request AS (
            DELETE FROM gpt_authorization_requests
            WHERE id = $1 AND browser_hash = $2 AND decided_at IS NULL AND expires_at > $3
            RETURNING client_id, user_id, scopes
        ), event AS (
            INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
            SELECT $4, '{AuditEvents.AuthorizeDenied}', $3, event_envelope($4, '{AuditEvents.AuthorizeDenied}', $3, $5, jsonb_build_object(
                'clerk_user_id', users.clerk_user_id, 'client_id', client_id, 'scopes', scopes, 'ip_address', $6))
            FROM request JOIN users ON users.id = request.user_id
        )
        SELECT count(*) FROM request
        """;

    /// <summary>The request, if this browser signed in for it, nobody decided it and its ten minutes are not over. Consents are not read here.</summary>
    public async Task<PendingRequest?> FindAsync(Guid id, byte[] browserHash, DateTimeOffset now)
    {
        var command = database.LookUp(Find);
        command.Bind(id);
        command.Bind(browserHash);
        command.Bind(now);
        return await command.FirstAsync(reader => new PendingRequest(
            reader.GetGuid(0), reader.GetString(1), reader.GetString(2), reader.GetFieldValue<string[]>(3), reader.GetString(4), reader.GetFieldValue<string[]>(5),
            reader.Get<string?>(6), reader.GetGuid(7), reader.GetString(8), reader.Get<string?>(9), reader.GetBoolean(10), []));
    }

    /// <summary>The scopes a person granted to a client, at one redirect host or (null) at any.</summary>
    public async Task<string[]> FindConsentAsync(Guid userId, string clientId, string? redirectHost)
    {
        var command = database.LookUp(FindConsent);
        command.Bind(userId);
        command.Bind(clientId);
        command.Bind(redirectHost);
        var scopes = await command.AllAsync(reader => reader.GetFieldValue<string[]>(0));
        return [.. scopes.SelectMany(row => row).Distinct(StringComparer.Ordinal)];
    }

    /// <summary>Writes a request for the person who signed in, creating the user when new.</summary>
    /// <param name="freshBrowser">The hash of the cookie that the browser gets now, unless the next one is this person's already.</param>
    /// <param name="knownBrowser">The hash of the cookie that the browser got at an earlier sign-in.</param>
    public async Task<SignInOutcome> SignInAsync(
        StartedRequest request, byte[] freshBrowser, byte[]? knownBrowser, Person person, RequestOrigin origin, DateTimeOffset now, TimeSpan lifetime)
    {
        var command = database.Change(SignIn);
        command.Bind(request.Id);
        command.Bind(request.ClientId);
        command.Bind(now);
        command.Bind(Guid.CreateVersion7(now));
        command.Bind(person.Subject);
        command.Bind(person.Email);
        command.Bind(person.Name);
        command.Bind(Guid.CreateVersion7(now));
        command.Bind(origin.CorrelationId);
        command.Bind(origin.Address);
        command.Bind(freshBrowser);
        command.Bind(knownBrowser);
        command.Bind(request.RedirectUri);
        command.Bind(request.RedirectUriGiven);
        command.Bind(request.Scopes);
        command.Bind(request.State);
        command.Bind(request.CodeChallenge);
        command.Bind(request.Resource);
        command.Bind(request.ExpiresAt);
        command.Bind(lifetime);
        var (isClosed, isKnown) = await command.FirstAsync(reader => ((bool?)reader.GetBoolean(0), reader.GetBoolean(2) ? reader.Get<bool?>(1) ?? false : (bool?)null));
        outbox.Raise();
        return isClosed switch
        {
            true => SignInOutcome.AccountClosed,
            false when isKnown is not null => isKnown.Value ? SignInOutcome.NotedForKnownBrowser : SignInOutcome.Noted,
            _ => SignInOutcome.NotInProgress,
        };
    }

    /// <summary>Decides a request with yes: consent, code and event in one statement; null when it was decided before, or is gone.</summary>
    public async Task<Approval?> ApproveAsync(
        PendingRequest request, byte[] browserHash, string redirectHost, bool wasAsked, Guid[] mayEnd, byte[] codeHash, TimeSpan codeLifetime, RequestOrigin origin,
        DateTimeOffset now)
    {
        var command = ApproveCommand(ApprovePending, redirectHost, wasAsked, mayEnd, codeHash, codeLifetime, origin, now);
        command.Bind(request.Id);
        command.Bind(browserHash);
        return await ReadApprovalAsync(command);
    }

    /// <summary>The same for the company's own web app, which asked the person itself; null when the account was deleted or is blocked.</summary>
    public async Task<Approval?> ApproveAsync(
        AuthorizationRequest request, Guid userId, string redirectHost, Guid[] mayEnd, byte[] codeHash, TimeSpan codeLifetime, RequestOrigin origin,
        DateTimeOffset now)
    {
        var command = ApproveCommand(ApproveHeadless, redirectHost, wasAsked: true, mayEnd, codeHash, codeLifetime, origin, now);
        command.Bind(userId);
        command.Bind(request.Client.Id);
        command.Bind(request.RedirectUri);
        command.Bind(request.RedirectUriGiven);
        command.Bind(request.Scopes);
        command.Bind(request.State);
        command.Bind(request.CodeChallenge);
        command.Bind(request.Resource);
        return await ReadApprovalAsync(command);
    }

    /// <summary>Ends a request with no; false when it was decided before or is gone.</summary>
    public async Task<bool> DenyAsync(Guid id, byte[] browserHash, RequestOrigin origin, DateTimeOffset now)
    {
        var command = database.Change(Deny);
        command.Bind(id);
        command.Bind(browserHash);
        command.Bind(now);
        command.Bind(Guid.CreateVersion7(now));
        command.Bind(origin.CorrelationId);
        command.Bind(origin.Address);
        var happened = await command.FirstAsync(reader => reader.GetInt64(0)) > 0;
        outbox.Raise();
        return happened;
    }

    private Statement ApproveCommand(
        string sql, string redirectHost, bool wasAsked, Guid[] mayEnd, byte[] codeHash, TimeSpan codeLifetime, RequestOrigin origin, DateTimeOffset now)
    {
        var command = database.Change(sql);
        command.Bind(now);
        command.Bind(redirectHost);
        command.Bind(wasAsked);
        command.Bind(codeHash);
        command.Bind(codeLifetime);
        command.Bind(Guid.CreateVersion7(now));
        command.Bind(origin.CorrelationId);
        command.Bind(origin.Address);
        command.Bind(mayEnd);
        return command;
    }

    private async Task<Approval?> ReadApprovalAsync(Statement command)
    {
        var approval = await command.FirstAsync(reader => new Approval(reader.GetString(0), reader.Get<string?>(1)));
        outbox.Raise();
        return approval;
    }
}
