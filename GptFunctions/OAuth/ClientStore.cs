using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.OAuth;

/// <summary>What changes about a client; null leaves a value as it is.</summary>
internal sealed record ClientChange(
    string? Name = null, string[]? AuthMethods = null, string[]? RedirectUris = null, string[]? Scopes = null, bool? RequirePkce = null,
    bool? IsDisabled = null, bool IsApproved = false);

internal sealed class ClientStore(Database database, OutboxSignal outbox)
{
    private const string Columns =
        "client_id, name, kind, auth_methods, cardinality(secret_hashes), redirect_uris, scopes, require_pkce, created_at, last_used_at, disabled_at";

    private static readonly Sql Find = new($"SELECT {Columns} FROM gpt_clients WHERE client_id = @client_id");

    private static readonly Sql List = new($"SELECT {Columns} FROM gpt_clients ORDER BY created_at, client_id");

    private static readonly Sql Insert = new("""
        INSERT INTO gpt_clients (client_id, name, kind, auth_methods, secret_hashes, redirect_uris, scopes, require_pkce, created_at)
        VALUES (@client_id, @name, @kind, @auth_methods, @secret_hashes, @redirect_uris, @scopes, @require_pkce, @created_at)
        ON CONFLICT (client_id) DO NOTHING
        """);

    private static readonly Sql Register = new($"""
        WITH client AS (
            INSERT INTO gpt_clients (client_id, name, kind, auth_methods, secret_hashes, redirect_uris, scopes, require_pkce, created_at)
            VALUES (@client_id, @name, @kind, @auth_methods, @secret_hashes, @redirect_uris, @scopes, @require_pkce, @created_at)
            RETURNING 1
        )
        {Outbox.Tell(AuditEvents.ClientRegistered, "client",
            "'client_id', @client_id, 'client_name', @name, 'auth_method', @auth_methods[1], 'redirect_uris', @redirect_uris")}
        """);

    private static readonly Sql Update = new("""
        UPDATE gpt_clients SET
            name = coalesce(@name, name),
            auth_methods = coalesce(@auth_methods, auth_methods),
            redirect_uris = coalesce(@redirect_uris, redirect_uris),
            scopes = coalesce(@scopes, scopes),
            require_pkce = coalesce(@require_pkce, require_pkce),
            disabled_at = CASE WHEN @is_disabled THEN coalesce(disabled_at, @now) WHEN NOT @is_disabled THEN NULL ELSE disabled_at END,
            kind = CASE WHEN NOT @is_approved OR kind <> 'registered' THEN kind WHEN 'none' = ANY (auth_methods) THEN 'public' ELSE 'confidential' END
        WHERE client_id = @client_id
        """);

    // The newest secret stands first. A third one would not fit the table's check, so the caller retires the old one before.
    private static readonly Sql AddSecret = new("""
        UPDATE gpt_clients
        SET secret_hashes = array_prepend(@secret_hash, secret_hashes)
        WHERE client_id = @client_id AND cardinality(secret_hashes) = 1
        """);

    private static readonly Sql RetireOldSecret = new("""
        UPDATE gpt_clients
        SET secret_hashes = secret_hashes[1:1]
        WHERE client_id = @client_id AND cardinality(secret_hashes) = 2
        """);

    // The first client is described by settings. A changed secret joins the one before it, so that both work while the settings roll out.
    private static readonly Sql UpsertFirst = new("""
        INSERT INTO gpt_clients (client_id, name, kind, auth_methods, secret_hashes, redirect_uris, scopes, require_pkce, created_at)
        VALUES (@client_id, coalesce(@name, @client_id), 'confidential', @auth_methods, ARRAY[@secret_hash], @redirect_uris, @scopes, false, @now)
        ON CONFLICT (client_id) DO UPDATE SET
            name = coalesce(@name, gpt_clients.name),
            auth_methods = excluded.auth_methods,
            redirect_uris = excluded.redirect_uris,
            scopes = excluded.scopes,
            secret_hashes = CASE WHEN @secret_hash = ANY (gpt_clients.secret_hashes) THEN gpt_clients.secret_hashes
                                 ELSE ARRAY[@secret_hash] || gpt_clients.secret_hashes[1:1] END
        RETURNING xmax = 0
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
    public async Task<bool> InsertAsync(Client client, byte[][] secretHashes)
    {
        return await Bind(database.Change(Insert), client, secretHashes).ExecuteAsync() == 1;
    }

    /// <summary>Writes a client that introduced itself, with its audit event. The id is new.</summary>
    public async Task RegisterAsync(Client client, byte[][] secretHashes, Occasion occasion)
    {
        await Bind(database.Change(Register), client, secretHashes).Bind(occasion).ExecuteAsync();
        outbox.Raise();
    }

    /// <summary>False when there is no such client.</summary>
    public async Task<bool> UpdateAsync(string clientId, ClientChange change, DateTimeOffset now)
    {
        var command = database.Change(Update)
            .Bind("client_id", clientId).Bind("name", change.Name).Bind("auth_methods", change.AuthMethods).Bind("redirect_uris", change.RedirectUris)
            .Bind("scopes", change.Scopes).Bind("require_pkce", change.RequirePkce).Bind("is_disabled", change.IsDisabled).Bind("now", now)
            .Bind("is_approved", change.IsApproved);
        return await command.ExecuteAsync() == 1;
    }

    /// <summary>False unless the client has exactly one secret.</summary>
    public async Task<bool> AddSecretAsync(string clientId, byte[] secretHash)
    {
        var command = database.Change(AddSecret).Bind("client_id", clientId).Bind("secret_hash", secretHash);
        return await command.ExecuteAsync() == 1;
    }

    /// <summary>False unless the client has two secrets.</summary>
    public async Task<bool> RetireOldSecretAsync(string clientId)
    {
        var command = database.Change(RetireOldSecret).Bind("client_id", clientId);
        return await command.ExecuteAsync() == 1;
    }

    /// <summary>Writes the client of the settings; true when it is new.</summary>
    public async Task<bool> UpsertFirstAsync(
        string clientId, string? name, string[] authMethods, byte[] secretHash, string[] redirectUris, string[] scopes, DateTimeOffset now)
    {
        var command = database.Change(UpsertFirst)
            .Bind("client_id", clientId).Bind("auth_methods", authMethods).Bind("secret_hash", secretHash).Bind("redirect_uris", redirectUris)
            .Bind("scopes", scopes).Bind("now", now).Bind("name", name);
        return await command.FirstAsync(reader => reader.GetBoolean(0));
    }

    private static LimitedStatement Bind(LimitedStatement statement, Client client, byte[][] secretHashes) => statement
        .Bind("client_id", client.Id).Bind("name", client.Name).Bind("kind", client.Kind).Bind("auth_methods", client.AuthMethods)
        .Bind("secret_hashes", secretHashes).Bind("redirect_uris", client.RedirectUris).Bind("scopes", client.Scopes)
        .Bind("require_pkce", client.RequirePkce).Bind("created_at", client.CreatedAt);

    private static Client Read(NpgsqlDataReader reader) => new(
        reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetFieldValue<string[]>(3), reader.GetInt32(4),
        reader.GetFieldValue<string[]>(5), reader.GetFieldValue<string[]>(6),
        reader.GetBoolean(7), reader.GetFieldValue<DateTimeOffset>(8), reader.Get<DateTimeOffset?>(9), reader.Get<DateTimeOffset?>(10));
}
