using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.OAuth;

/// <summary>What changes about a client; null leaves a value as it is.</summary>
internal sealed record ClientChange(
    string? Name = null, string[]? AuthMethods = null, string[]? RedirectUris = null, string[]? Scopes = null, bool? RequirePkce = null,
    bool? IsDisabled = null, bool IsApproved = false);

/// <summary>Statements on clients. What an operator changes writes its audit event in the same statement.</summary>
internal sealed class ClientStore(Database database, OutboxSignal outbox)
{
    public const int ColumnCount = 18;

    public const string Columns =
        "client_id, name, kind, auth_methods, cardinality(secret_hashes), redirect_uris, scopes, require_pkce, created_at, last_used_at, disabled_at, "
        + "default_scopes, has_ceiling, approved_at, jwks, jwks_uri, document_read_at, document_expires_at";

    private static readonly Sql Find = new($"SELECT {Columns} FROM gpt_clients WHERE client_id = @client_id");

    private static readonly Sql List = new($"SELECT {Columns} FROM gpt_clients ORDER BY created_at, client_id");

    private const string InsertRow = """
        INSERT INTO gpt_clients
            (client_id, name, kind, auth_methods, secret_hashes, redirect_uris, scopes, require_pkce, created_at,
             default_scopes, has_ceiling, registration_hash, jwks, jwks_uri)
        SELECT
            @client_id, @name, @kind, @auth_methods, @secret_hashes, @redirect_uris, @scopes, @require_pkce, @created_at,
            @default_scopes, @has_ceiling, @registration_hash, @jwks, @jwks_uri
        """;

    /// <summary>What is told of a client that introduced itself.</summary>
    /// <param name="name">The parameter that has its name.</param>
    public static string RegisteredMembers(string name) =>
        $"'client_id', @client_id, 'client_name', {name}, 'auth_method', @auth_methods[1], 'redirect_uris', @redirect_uris";

    /// <summary>
    /// A part of a WITH: the row of a client as its document describes it, unless it is disabled. What operators set stays; what was read later than
    /// this is not undone.
    /// </summary>
    public const string WriteDocument = """
        client AS (
            INSERT INTO gpt_clients AS known
                (client_id, name, kind, auth_methods, redirect_uris, scopes, require_pkce, created_at,
                 default_scopes, has_ceiling, jwks, jwks_uri, document_read_at, document_expires_at)
            VALUES
                (@client_id, @client_name, 'metadata_document', @auth_methods, @redirect_uris, @allowed, true, @now,
                 @default_scopes, false, @jwks, @jwks_uri, @document_read_at, @document_expires_at)
            ON CONFLICT (client_id) DO UPDATE SET
                name = excluded.name,
                auth_methods = excluded.auth_methods,
                redirect_uris = excluded.redirect_uris,
                default_scopes = excluded.default_scopes,
                jwks = excluded.jwks,
                jwks_uri = excluded.jwks_uri,
                document_read_at = greatest(known.document_read_at, excluded.document_read_at),
                document_expires_at = excluded.document_expires_at
            WHERE known.kind = 'metadata_document' AND known.disabled_at IS NULL
            RETURNING client_id, xmax = 0 AS is_new
        )
        """;

    private const string ChangeMembers = "'client_id', client_id, 'changes', changes";

    private static readonly Sql Insert = Change(AuditEvents.ClientAdded, $"""
        {InsertRow}
        ON CONFLICT (client_id) DO NOTHING
        RETURNING client_id, {Fields("gpt_clients")} AS changes
        """);

    private static readonly Sql Register = new($"""
        WITH client AS (
            {InsertRow}
            ON CONFLICT (registration_hash) WHERE registration_hash IS NOT NULL DO NOTHING
            RETURNING client_id
        ), event AS (
            {Outbox.Tell(AuditEvents.ClientRegistered, "client", RegisteredMembers("@name"))}
        )
        SELECT count(*) FROM client
        """);

    // It is in use again: the purge counts from now.
    private static readonly Sql FindRegistered = new($"""
        WITH renewed AS (
            UPDATE gpt_clients
            SET created_at = @now
            WHERE registration_hash = @registration_hash AND disabled_at IS NULL AND last_used_at IS NULL AND created_at < @now - interval '1 day'
        )
        SELECT {Columns} FROM gpt_clients WHERE registration_hash = @registration_hash AND disabled_at IS NULL
        """);

    private static readonly Sql Update = Change("@event_type", $"""
        UPDATE gpt_clients SET
            name = coalesce(@name, before.name),
            auth_methods = coalesce(@auth_methods, before.auth_methods),
            redirect_uris = coalesce(@redirect_uris, before.redirect_uris),
            scopes = coalesce(@scopes, before.scopes),
            require_pkce = coalesce(@require_pkce, before.require_pkce),
            disabled_at = CASE WHEN @is_disabled THEN coalesce(before.disabled_at, @now) WHEN NOT @is_disabled THEN NULL ELSE before.disabled_at END,
            approved_at = CASE WHEN @is_approved AND before.kind = 'metadata_document' THEN coalesce(before.approved_at, @now) ELSE before.approved_at END,
            has_ceiling = before.has_ceiling OR @scopes::text[] IS NOT NULL,
            registration_hash = CASE WHEN @is_disabled OR @redirect_uris::text[] IS NOT NULL THEN NULL ELSE before.registration_hash END,
            kind = CASE WHEN NOT @is_approved OR before.kind <> 'registered' THEN before.kind
                        WHEN 'none' = ANY (before.auth_methods) THEN 'public' ELSE 'confidential' END
        FROM (SELECT * FROM gpt_clients WHERE client_id = @client_id FOR NO KEY UPDATE) before
        WHERE gpt_clients.client_id = before.client_id
        RETURNING gpt_clients.client_id, {Difference("before", "gpt_clients")} AS changes
        """);

    // The newest secret stands first. A third one would not fit the table's check, so the caller retires the old one before.
    private static readonly Sql AddSecret = Change(AuditEvents.ClientSecretAdded, $"""
        UPDATE gpt_clients
        SET secret_hashes = array_prepend(@secret_hash, secret_hashes)
        WHERE client_id = @client_id AND cardinality(secret_hashes) = 1
        RETURNING client_id, {Secrets("gpt_clients")} AS changes
        """);

    private static readonly Sql RetireOldSecret = Change(AuditEvents.ClientSecretRetired, $"""
        UPDATE gpt_clients
        SET secret_hashes = secret_hashes[1:1]
        WHERE client_id = @client_id AND cardinality(secret_hashes) = 2
        RETURNING client_id, {Secrets("gpt_clients")} AS changes
        """);

    // The first client is described by settings. A changed secret joins the one before it, so that both work while the settings roll out.
    private static readonly Sql UpsertFirst = new($"""
        WITH before AS (
            SELECT * FROM gpt_clients WHERE client_id = @client_id FOR NO KEY UPDATE
        ), written AS (
            -- Counting what was there locks it first: the order of these parts is otherwise PostgreSQL's choice.
            {InsertRow}
            FROM (SELECT count(*) FROM before) locked
            ON CONFLICT (client_id) DO UPDATE SET
                name = CASE WHEN @is_named THEN excluded.name ELSE gpt_clients.name END,
                auth_methods = excluded.auth_methods,
                redirect_uris = excluded.redirect_uris,
                scopes = excluded.scopes,
                secret_hashes = CASE WHEN excluded.secret_hashes <@ gpt_clients.secret_hashes THEN gpt_clients.secret_hashes
                                     ELSE excluded.secret_hashes || gpt_clients.secret_hashes[1:1] END
            -- Of several that write it at once one tells.
            WHERE (@is_named AND gpt_clients.name <> excluded.name)
               OR NOT excluded.secret_hashes <@ gpt_clients.secret_hashes
               OR (gpt_clients.auth_methods, gpt_clients.redirect_uris, gpt_clients.scopes)
                  <> (excluded.auth_methods, excluded.redirect_uris, excluded.scopes)
            RETURNING gpt_clients.*, xmax = 0 AS is_new
        ), client AS (
            SELECT written.client_id, is_new, {Secrets("written")} AS secrets,
                   CASE WHEN is_new THEN {Fields("written")} ELSE {Difference("before", "written")} END AS changes,
                   NOT is_new AND written.secret_hashes[1] <> ALL (coalesce(before.secret_hashes, ARRAY[]::bytea[])) AS has_new_secret,
                   cardinality(before.secret_hashes) = 2 AS had_two_secrets
            FROM written
            LEFT JOIN before ON true
        ), added AS (
            {OperatorAct.Tell(AuditEvents.ClientAdded, "(SELECT * FROM client WHERE is_new)", ChangeMembers)}
        ), updated AS (
            {OperatorAct.Tell(AuditEvents.ClientUpdated, "(SELECT * FROM client WHERE NOT is_new AND changes IS NOT NULL)", ChangeMembers)}
        ), secret_added AS (
            {OperatorAct.Tell(AuditEvents.ClientSecretAdded, "(SELECT client_id, secrets AS changes FROM client WHERE has_new_secret)", ChangeMembers)}
        ), secret_retired AS (
            {OperatorAct.Tell(AuditEvents.ClientSecretRetired,
                "(SELECT client_id, secrets AS changes FROM client WHERE has_new_secret AND had_two_secrets)", ChangeMembers)}
        )
        SELECT is_new FROM client
        """);

    public async Task<Client?> FindAsync(string clientId)
    {
        var command = database.LookUp(Find).Bind("client_id", clientId);
        return await command.FirstAsync(Read);
    }

    public async Task<IReadOnlyList<Client>> ListAsync()
    {
        var command = database.LookUp(List);
        return await command.AllAsync(Read);
    }

    /// <summary>False when the id is taken.</summary>
    public Task<bool> InsertAsync(Client client, byte[][] secretHashes, OperatorAct act, Occasion occasion) =>
        ChangeAsync(Bind(database.Change(Insert), client, secretHashes), act, occasion);

    /// <summary>The client that registered with exactly this before; null when there is none, or it was disabled.</summary>
    public Task<Client?> FindRegisteredAsync(byte[] registrationHash, DateTimeOffset now) =>
        database.Change(FindRegistered).Bind("registration_hash", registrationHash).Bind("now", now).FirstAsync(Read);

    /// <summary>
    /// Writes a client that introduced itself, with its audit event. The id is new. False when the same registration was written at this moment.
    /// </summary>
    public async Task<bool> RegisterAsync(Client client, byte[][] secretHashes, Occasion occasion)
    {
        var isNew = await Bind(database.Change(Register), client, secretHashes).Bind(occasion).FirstAsync(reader => reader.GetInt64(0)) > 0;
        outbox.Raise();
        return isNew;
    }

    /// <summary>False when there is no such client.</summary>
    public Task<bool> UpdateAsync(string clientId, ClientChange change, OperatorAct act, Occasion occasion)
    {
        var command = database.Change(Update)
            .Bind("client_id", clientId).Bind("name", change.Name).Bind("auth_methods", change.AuthMethods).Bind("redirect_uris", change.RedirectUris)
            .Bind("scopes", change.Scopes).Bind("require_pkce", change.RequirePkce).Bind("is_disabled", change.IsDisabled)
            .Bind("is_approved", change.IsApproved)
            .Bind("event_type", change.IsDisabled == true ? AuditEvents.ClientDisabled : AuditEvents.ClientUpdated);
        return ChangeAsync(command, act, occasion);
    }

    /// <summary>False unless the client has exactly one secret.</summary>
    public Task<bool> AddSecretAsync(string clientId, byte[] secretHash, OperatorAct act, Occasion occasion) =>
        ChangeAsync(database.Change(AddSecret).Bind("client_id", clientId).Bind("secret_hash", secretHash), act, occasion);

    /// <summary>False unless the client has two secrets.</summary>
    public Task<bool> RetireOldSecretAsync(string clientId, OperatorAct act, Occasion occasion) =>
        ChangeAsync(database.Change(RetireOldSecret).Bind("client_id", clientId), act, occasion);

    /// <summary>Writes the client of the settings; true when it is new.</summary>
    /// <param name="isNamed">Whether the settings name it: else it keeps the name that it has.</param>
    public Task<bool> UpsertFirstAsync(Client first, byte[] secretHash, bool isNamed, OperatorAct act, Occasion occasion)
    {
        var command = Bind(database.Change(UpsertFirst), first, [secretHash]).Bind("is_named", isNamed).Bind(act).Bind(occasion);
        return command.FirstAsync(reader => reader.GetBoolean(0));
    }

    /// <summary>A change of one client, with its audit event unless everything stays as it is.</summary>
    /// <param name="change">Yields the client_id and, as JSON, the changes.</param>
    private static Sql Change(string eventType, string change) => new($"""
        WITH client AS (
            {change}
        ), event AS (
            {OperatorAct.Tell(eventType, "(SELECT * FROM client WHERE changes IS NOT NULL)", ChangeMembers)}
        )
        SELECT count(*) FROM client
        """);

    /// <summary>What describes a client, its secrets apart, as JSON.</summary>
    private static string Fields(string row) =>
        $"jsonb_build_object('name', {row}.name, 'kind', {row}.kind, 'auth_methods', {row}.auth_methods, 'redirect_uris', {row}.redirect_uris, "
        + $"'scopes', {row}.scopes, 'require_pkce', {row}.require_pkce, 'disabled', {row}.disabled_at IS NOT NULL) "
        + $"|| CASE WHEN {row}.kind = 'metadata_document' THEN jsonb_build_object('approved', {row}.approved_at IS NOT NULL) ELSE '{{}}' END";

    private static string Difference(string before, string after) =>
        $"(SELECT jsonb_object_agg(key, value) FROM jsonb_each({Fields(after)}) WHERE ({Fields(before)}) -> key <> value)";

    private static string Secrets(string row) => $"jsonb_build_object('active_secrets', cardinality({row}.secret_hashes))";

    private async Task<bool> ChangeAsync(LimitedStatement change, OperatorAct act, Occasion occasion)
    {
        var isDone = await change.Bind(act).Bind(occasion).FirstAsync(reader => reader.GetInt64(0)) == 1;
        outbox.Raise();
        return isDone;
    }

    private static LimitedStatement Bind(LimitedStatement statement, Client client, byte[][] secretHashes) => statement
        .Bind("client_id", client.Id).Bind("name", client.Name).Bind("kind", client.Kind).Bind("auth_methods", client.AuthMethods)
        .Bind("secret_hashes", secretHashes).Bind("redirect_uris", client.RedirectUris).Bind("scopes", client.Scopes)
        .Bind("require_pkce", client.RequirePkce).Bind("created_at", client.CreatedAt).Bind("default_scopes", client.DefaultScopes)
        .Bind("jwks", client.Jwks).Bind("jwks_uri", client.JwksUri).Bind("has_ceiling", client.HasCeiling).Bind("registration_hash", client.RegistrationHash);

    public static Client Read(NpgsqlDataReader reader) => new()
    {
        Id = reader.GetString(0),
        Name = reader.GetString(1),
        Kind = reader.GetString(2),
        AuthMethods = reader.GetFieldValue<string[]>(3),
        SecretCount = reader.GetInt32(4),
        RedirectUris = reader.GetFieldValue<string[]>(5),
        Scopes = reader.GetFieldValue<string[]>(6),
        RequirePkce = reader.GetBoolean(7),
        CreatedAt = reader.GetFieldValue<DateTimeOffset>(8),
        LastUsedAt = reader.Get<DateTimeOffset?>(9),
        DisabledAt = reader.Get<DateTimeOffset?>(10),
        DefaultScopes = reader.Get<string[]?>(11),
        HasCeiling = reader.GetBoolean(12),
        ApprovedAt = reader.Get<DateTimeOffset?>(13),
        Jwks = reader.Get<string?>(14),
        JwksUri = reader.Get<string?>(15),
        DocumentReadAt = reader.Get<DateTimeOffset?>(16),
        DocumentExpiresAt = reader.Get<DateTimeOffset?>(17),
    };
}

internal static class DocumentBinding
{
    /// <summary>Gives the parameters of <see cref="ClientStore.WriteDocument"/> their values, @client_id apart.</summary>
    public static LimitedStatement BindDocument(this LimitedStatement statement, Client client) => statement
        .Bind("client_name", client.Name).Bind("auth_methods", client.AuthMethods).Bind("redirect_uris", client.RedirectUris).Bind("allowed", client.Scopes)
        .Bind("default_scopes", client.DefaultScopes).Bind("jwks", client.Jwks).Bind("jwks_uri", client.JwksUri)
        .Bind("document_read_at", client.DocumentReadAt).Bind("document_expires_at", client.DocumentExpiresAt);
}
