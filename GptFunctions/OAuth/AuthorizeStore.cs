using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Identity;

namespace GptFunctions.OAuth;

/// <summary>A request that waits for its person's answer, as their own browser may see it.</summary>
internal sealed record PendingRequest
{
    public required Guid Id { get; init; }
    public required string ClientId { get; init; }
    public required string ClientName { get; init; }
    public required string[] ClientRedirectUris { get; init; }
    public required string RedirectUri { get; init; }
    public required bool RedirectUriGiven { get; init; }
    public required string[] Scopes { get; init; }
    public string? State { get; init; }
    public string? CodeChallenge { get; init; }
    public required string Resource { get; init; }
    public required Guid UserId { get; init; }
    public required string Subject { get; init; }
    public string? Email { get; init; }

    /// <summary>Nobody has checked what the client says of itself.</summary>
    public required bool IsSelfRegistered { get; init; }

    /// <summary>Its id is the URL of what it says of itself.</summary>
    public required bool IsOfDocument { get; init; }

    /// <summary>What the person granted this client at this redirect host before.</summary>
    public required string[] ConsentedScopes { get; init; }
}

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
    private static readonly Sql Find = new($"""
        SELECT request.id, request.client_id, client.name, client.redirect_uris, request.redirect_uri, request.scopes, request.state,
               users.id, users.clerk_user_id, users.email, {Client.IsUnchecked}, client.kind = 'metadata_document',
               request.redirect_uri_given, request.code_challenge, request.resource
        FROM gpt_authorization_requests request
        JOIN gpt_clients client ON client.client_id = request.client_id AND client.disabled_at IS NULL
        JOIN users ON users.id = request.user_id
        WHERE request.id = @id AND request.browser_hash = @browser_hash AND request.expires_at > @now AND request.decided_at IS NULL
        """);

    // A client that registered itself is nobody in particular: what was agreed to before is not taken as agreed.
    private static readonly Sql FindConsent = new($"""
        SELECT scopes
        FROM gpt_consents
        WHERE user_id = @user_id AND client_id = @client_id AND revoked_at IS NULL
          AND (@redirect_host::text IS NULL OR redirect_host = @redirect_host)
          AND NOT EXISTS (SELECT FROM gpt_clients client WHERE client.client_id = @client_id AND {Client.IsUnchecked})
        """);

    private const string Members = "'clerk_user_id', clerk_user_id, 'client_id', client_id, 'scopes', scopes";

    // @fresh_browser is the cookie that the browser gets now; @known_browser, which it brought, is kept when this very person got it at a sign-in
    // that is still open.
    private static readonly Sql SignIn = SignInOf("""
        client AS (
            SELECT client_id FROM gpt_clients WHERE client_id = @client_id AND disabled_at IS NULL
        )
        """);

    // The client of a document becomes a row here, or its row what the document says by now: in one transaction with the request, so that every
    // replica knows it when the code comes.
    private static readonly Sql SignInOfDocument = SignInOf($"""
        {ClientStore.WriteDocument}, described AS (
            {Outbox.Tell(AuditEvents.ClientRegistered, "(SELECT * FROM client WHERE is_new)", ClientStore.RegisteredMembers("@client_name"))}
        )
        """);

    private static Sql SignInOf(string client) => new($"""
        WITH {client}, {UserStore.SignedIn("FROM client")}, request AS (
            INSERT INTO gpt_authorization_requests
                (id, client_id, browser_hash,
                 redirect_uri, redirect_uri_given, scopes, state, code_challenge, resource,
                 created_at, expires_at, user_id, signed_in_at)
            SELECT
                @id, @client_id,
                CASE WHEN EXISTS (SELECT FROM gpt_authorization_requests other
                                  WHERE other.user_id = person.id AND other.browser_hash = @known_browser AND other.expires_at > @now)
                     THEN @known_browser ELSE @fresh_browser END,
                @redirect_uri, @redirect_uri_given, @scopes, @state, @code_challenge, @resource,
                @expires_at - @lifetime::interval, @expires_at, person.id, @now
            FROM person
            WHERE person.may_act
            ON CONFLICT (id) DO NOTHING
            RETURNING browser_hash
        ), event AS (
            {Outbox.Tell(AuditEvents.SignedIn, "(SELECT clerk_user_id FROM person, request)", "'clerk_user_id', clerk_user_id, 'client_id', @client_id")}
        )
        SELECT NOT person.may_act, request.browser_hash = @known_browser, request.browser_hash IS NOT NULL
        FROM person
        LEFT JOIN request ON true
        """);

    // "request" is what the caller's first part yields; @may_end the sessions that were announced to end.
    private static readonly string Approve = $"""
        widened AS (
            -- What a person allows to a client without a ceiling is within what it may have from then on: the token endpoint knows no other limit.
            UPDATE gpt_clients
            SET scopes = ARRAY(SELECT DISTINCT unnest(gpt_clients.scopes || request.scopes))
            FROM request
            WHERE gpt_clients.client_id = request.client_id AND NOT has_ceiling AND NOT gpt_clients.scopes @> request.scopes
        ), consent AS (
            INSERT INTO gpt_consents (user_id, client_id, redirect_host, scopes, granted_at)
            SELECT user_id, client_id, @redirect_host, scopes, @now
            FROM request
            WHERE @was_asked
            ON CONFLICT (user_id, client_id, redirect_host) DO UPDATE SET
                scopes = CASE WHEN gpt_consents.revoked_at IS NULL
                              THEN ARRAY(SELECT DISTINCT unnest(gpt_consents.scopes || excluded.scopes)) ELSE excluded.scopes END,
                granted_at = excluded.granted_at,
                revoked_at = NULL
        ), code AS (
            INSERT INTO gpt_authorization_codes
                (code_hash, client_id, user_id,
                 redirect_uri, scopes, resource, code_challenge, created_at, expires_at, may_end, request_id)
            SELECT
                @code_hash, client_id, user_id,
                CASE WHEN redirect_uri_given THEN redirect_uri END, scopes, resource, code_challenge, @now, @now + @code_lifetime, @may_end, id
            FROM request
        ), event AS (
            {Outbox.Tell(AuditEvents.Authorize, "request", $"{Members}, 'consent', CASE WHEN @was_asked THEN 'given' ELSE 'remembered' END")}
        )
        SELECT redirect_uri, state FROM request
        """;

    private static readonly Sql ApprovePending = new($"""
        WITH person AS (
            -- Waits for whoever is ending everything of this user (SessionStore.EndAll): then the request is gone, and no code is made.
            SELECT users.id, users.clerk_user_id
            FROM gpt_authorization_requests pending
            JOIN users ON users.id = pending.user_id
            WHERE pending.id = @id AND user_may_act(users, @now)
            FOR SHARE OF users
        ), request AS (
            UPDATE gpt_authorization_requests pending
            SET decided_at = @now
            FROM person
            WHERE pending.id = @id AND pending.browser_hash = @browser_hash AND pending.decided_at IS NULL AND pending.expires_at > @now
            RETURNING pending.*, person.clerk_user_id
        ), {Approve}
        """);

    private static readonly Sql ApproveHeadless = new($"""
        WITH request AS (
            SELECT @id::uuid AS id, @user_id::uuid AS user_id, clerk_user_id, @client_id::text AS client_id,
                   @redirect_uri::text AS redirect_uri, @redirect_uri_given::boolean AS redirect_uri_given,
                   @scopes::text[] AS scopes, @state::text AS state, @code_challenge::text AS code_challenge, @resource::text AS resource
            FROM users
            WHERE id = @user_id AND user_may_act(users, @now)
        ), {Approve}
        """);

    private static readonly Sql Deny = new($"""
        WITH request AS (
            DELETE FROM gpt_authorization_requests
            WHERE id = @id AND browser_hash = @browser_hash AND decided_at IS NULL AND expires_at > @now
            RETURNING client_id, (SELECT clerk_user_id FROM users WHERE users.id = user_id) AS clerk_user_id, scopes
        ), event AS (
            {Outbox.Tell(AuditEvents.AuthorizeDenied, "request", Members)}
        )
        SELECT count(*) FROM request
        """);

    private static readonly Sql Forget = new("""
        WITH request AS (
            DELETE FROM gpt_authorization_requests WHERE id = @id AND browser_hash = @browser_hash AND decided_at IS NULL RETURNING id
        )
        SELECT count(*) FROM request
        """);

    /// <summary>The request, if this browser signed in for it, nobody decided it and its ten minutes are not over. Consents are not read here.</summary>
    public async Task<PendingRequest?> FindAsync(Guid id, byte[] browserHash, DateTimeOffset now)
    {
        var command = database.LookUp(Find).Bind("id", id).Bind("browser_hash", browserHash).Bind("now", now);
        return await command.FirstAsync(reader => new PendingRequest
        {
            Id = reader.GetGuid(0),
            ClientId = reader.GetString(1),
            ClientName = reader.GetString(2),
            ClientRedirectUris = reader.GetFieldValue<string[]>(3),
            RedirectUri = reader.GetString(4),
            Scopes = reader.GetFieldValue<string[]>(5),
            State = reader.Get<string?>(6),
            UserId = reader.GetGuid(7),
            Subject = reader.GetString(8),
            Email = reader.Get<string?>(9),
            IsSelfRegistered = reader.GetBoolean(10),
            IsOfDocument = reader.GetBoolean(11),
            RedirectUriGiven = reader.GetBoolean(12),
            CodeChallenge = reader.Get<string?>(13),
            Resource = reader.GetString(14),
            ConsentedScopes = [],
        });
    }

    /// <summary>The scopes a person granted to a client, at one redirect host or (null) at any.</summary>
    public async Task<string[]> FindConsentAsync(Guid userId, string clientId, string? redirectHost)
    {
        var command = database.LookUp(FindConsent).Bind("user_id", userId).Bind("client_id", clientId).Bind("redirect_host", redirectHost);
        var scopes = await command.AllAsync(reader => reader.GetFieldValue<string[]>(0));
        return [.. scopes.SelectMany(row => row).Distinct(StringComparer.Ordinal)];
    }

    /// <summary>Writes a request for the person who signed in, creating the user when new.</summary>
    /// <param name="freshBrowser">The hash of the cookie that the browser gets now, unless the next one is this person's already.</param>
    /// <param name="knownBrowser">The hash of the cookie that the browser got at an earlier sign-in.</param>
    public async Task<SignInOutcome> SignInAsync(
        StartedSignIn started, byte[] freshBrowser, byte[]? knownBrowser, Person person, Occasion occasion, TimeSpan lifetime)
    {
        var request = started.Request;
        var signIn = started.Client.IsToBeWritten ? database.Change(SignInOfDocument).BindDocument(started.Client) : database.Change(SignIn);
        var command = signIn
            .Bind("id", request.Id).Bind("client_id", request.ClientId).Bind("user_id", Guid.CreateVersion7(occasion.Now))
            .Bind("subject", person.Subject).Bind("email", person.Email).Bind("name", person.Name).Bind(occasion).Bind("fresh_browser", freshBrowser)
            .Bind("known_browser", knownBrowser).Bind("redirect_uri", request.RedirectUri).Bind("redirect_uri_given", request.RedirectUriGiven)
            .Bind("scopes", request.Scopes).Bind("state", request.State).Bind("code_challenge", request.CodeChallenge)
            .Bind("resource", request.Resource).Bind("expires_at", request.ExpiresAt).Bind("lifetime", lifetime);
        var (isClosed, isKnown) = await command.FirstAsync(reader =>
            ((bool?)reader.GetBoolean(0), reader.GetBoolean(2) ? reader.Get<bool?>(1) ?? false : (bool?)null));
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
        PendingRequest request, byte[] browserHash, string redirectHost, bool wasAsked, Guid[] mayEnd, byte[] codeHash, TimeSpan codeLifetime,
        Occasion occasion)
    {
        return await ApproveAsync(
            database.Change(ApprovePending).Bind("id", request.Id).Bind("browser_hash", browserHash),
            redirectHost, wasAsked, mayEnd, codeHash, codeLifetime, occasion);
    }

    /// <summary>The same for the company's own web app, which asked the person itself; null when the account was deleted or is blocked.</summary>
    /// <param name="id">Stands for the request, which nobody has written.</param>
    public async Task<Approval?> ApproveAsync(
        Guid id, AuthorizationRequest request, Guid userId, string redirectHost, Guid[] mayEnd, byte[] codeHash, TimeSpan codeLifetime, Occasion occasion)
    {
        var approve = database.Change(ApproveHeadless).Bind("id", id)
            .Bind("user_id", userId).Bind("client_id", request.Client.Id).Bind("redirect_uri", request.RedirectUri)
            .Bind("redirect_uri_given", request.RedirectUriGiven).Bind("scopes", request.Scopes).Bind("state", request.State)
            .Bind("code_challenge", request.CodeChallenge).Bind("resource", request.Resource);
        return await ApproveAsync(approve, redirectHost, wasAsked: true, mayEnd, codeHash, codeLifetime, occasion);
    }

    /// <summary>Ends a request of which nothing is known to anybody yet; false when it was decided before or is gone.</summary>
    public async Task<bool> ForgetAsync(Guid id, byte[] browserHash) =>
        await database.Change(Forget).Bind("id", id).Bind("browser_hash", browserHash).FirstAsync(reader => reader.GetInt64(0)) > 0;

    /// <summary>Ends a request with no; false when it was decided before or is gone.</summary>
    public async Task<bool> DenyAsync(Guid id, byte[] browserHash, Occasion occasion)
    {
        var command = database.Change(Deny).Bind("id", id).Bind("browser_hash", browserHash).Bind(occasion);
        var happened = await command.FirstAsync(reader => reader.GetInt64(0)) > 0;
        outbox.Raise();
        return happened;
    }

    private async Task<Approval?> ApproveAsync(
        LimitedStatement approve, string redirectHost, bool wasAsked, Guid[] mayEnd, byte[] codeHash, TimeSpan codeLifetime, Occasion occasion)
    {
        var approval = await approve
            .Bind("redirect_host", redirectHost).Bind("was_asked", wasAsked).Bind("may_end", mayEnd)
            .Bind("code_hash", codeHash).Bind("code_lifetime", codeLifetime).Bind(occasion)
            .FirstAsync(reader => new Approval(reader.GetString(0), reader.Get<string?>(1)));
        outbox.Raise();
        return approval;
    }
}
