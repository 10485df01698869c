using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.OAuth;

/// <summary>What changes about a client; null leaves a value as it is.</summary>
internal sealed record ClientChange(string? Name = null, string[]? AuthMethods = null, string[]? RedirectUris = null, string[]? Scopes = null, bool? RequirePkce = null, bool? IsDisabled = null, bool IsApproved = false);

internal sealed class ClientStore(Database database, OutboxSignal outbox)
{
    private const string Columns = "client_id, name, kind, auth_methods, cardinality(secret_hashes), redirect_uris, scopes, require_pkce, created_at, last_used_at, disabled_at";

    private const string Find = $"SELECT {Columns} FROM gpt_clients WHERE client_id = $1";

    private const string List = $"SELECT {Columns} FROM gpt_clients ORDER BY created_at, client_id";

    private const string Insert = """
        INSERT INTO gpt_clients (client_id, name, kind, auth_methods, secret_hashes, redirect_uris, scopes, require_pkce, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (client_id) DO NOTHING
        """;

    private const string Register = $"""
        WITH client AS (
            INSERT INTO gpt_clients (client_id, name, kind, auth_methods, secret_hashes, redirect_uris, scopes, require_pkce, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        )
        INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
        SELECT $10, '{AuditEvents.ClientRegistered}', $9, event_envelope($10, '{AuditEvents.ClientRegistered}', $9, $11, jsonb_build_object(
            'client_id', $1, 'client_name', $2, 'auth_method', $4[1], 'redirect_uris', $6, 'ip_address', $12))
        """;

    private const string Update = """
        UPDATE gpt_clients SET
            name = coalesce($2, name), auth_methods = coalesce($3, auth_methods), redirect_uris = coalesce($4, redirect_uris), scopes = coalesce($5, scopes),
            require_pkce = coalesce($6, require_pkce), disabled_at = CASE WHEN $7 THEN coalesce(disabled_at, $8) WHEN NOT $7 THEN NULL ELSE disabled_at END,
            kind = CASE WHEN NOT $9 OR kind <> 'registered' THEN kind WHEN 'none' = ANY (auth_methods) THEN 'public' ELSE 'confidential' END
        WHERE client_id = $1
        """;

    // The newest secret stands first. A third one would not fit the table's check, so the caller retires the old one before.
    private const string AddSecret = "UPDATE gpt_clients SET secret_hashes = array_prepend($2, secret_hashes) WHERE client_id = $1 AND cardinality(secret_hashes) = 1";

    private const string RetireOldSecret = "UPDATE gpt_clients SET secret_hashes = secret_hashes[1:1] WHERE client_id = $1 AND cardinality(secret_hashes) = 2";

    // The first client is described by settings. A changed secret joins the one before it, so that both work while the settings roll out.
    private const string UpsertFirst = """
        INSERT INTO gpt_clients (client_id, name, kind, auth_methods, secret_hashes, redirect_uris, scopes, require_pkce, created_at)
        VALUES ($1, coalesce($7, $1), 'confidential', $2, ARRAY[$3], $4, $5, false, $6)
        ON CONFLICT (client_id) DO UPDATE SET
            name = coalesce($7, gpt_clients.name), auth_methods = excluded.auth_methods, redirect_uris = excluded.redirect_uris, scopes = excluded.scopes,
            secret_hashes = CASE WHEN $3 = ANY (gpt_clients.secret_hashes) THEN gpt_clients.secret_hashes ELSE ARRAY[$3] || gpt_clients.secret_hashes[1:1] END
        RETURNING xmax = 0
        """;

    public async Task<Client?> FindAsync(string clientId)
    {
        var command = database.LookUp(Find);
        command.Bind(clientId);
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
        var command = database.Change(Insert);
        Bind(command, client, secretHashes);
        return await command.ExecuteAsync() == 1;
    }

    /// <summary>Writes a client that introduced itself, with its audit event. The id is new.</summary>
    public async Task RegisterAsync(Client client, byte[][] secretHashes, RequestOrigin origin)
    {
        var command = database.Change(Register);
        Bind(command, client, secretHashes);
        command.Bind(Guid.CreateVersion7(client.CreatedAt));
        command.Bind(origin.CorrelationId);
        command.Bind(origin.Address);
        await command.ExecuteAsync();
        outbox.Raise();
    }

    /// <summary>False when there is no such client.</summary>
    public async Task<bool> UpdateAsync(string clientId, ClientChange change, DateTimeOffset now)
    {
        var command = database.Change(Update);
        command.Bind(clientId);
        command.Bind(change.Name);
        command.Bind(change.AuthMethods);
        command.Bind(change.RedirectUris);
        command.Bind(change.Scopes);
        command.Bind(change.RequirePkce);
        command.Bind(change.IsDisabled);
        command.Bind(now);
        command.Bind(change.IsApproved);
        return await command.ExecuteAsync() == 1;
    }

    /// <summary>False unless the client has exactly one secret.</summary>
    public async Task<bool> AddSecretAsync(string clientId, byte[] secretHash)
    {
        var command = database.Change(AddSecret);
        command.Bind(clientId);
        command.Bind(secretHash);
        return await command.ExecuteAsync() == 1;
    }

    /// <summary>False unless the client has two secrets.</summary>
    public async Task<bool> RetireOldSecretAsync(string clientId)
    {
        var command = database.Change(RetireOldSecret);
        command.Bind(clientId);
        return await command.ExecuteAsync() == 1;
    }

    /// <summary>Writes the client of the settings; true when it is new.</summary>
    public async Task<bool> UpsertFirstAsync(string clientId, string? name, string[] authMethods, byte[] secretHash, string[] redirectUris, string[] scopes, DateTimeOffset now)
    {
        var command = database.Change(UpsertFirst);
        command.Bind(clientId);
        command.Bind(authMethods);
        command.Bind(secretHash);
        command.Bind(redirectUris);
        command.Bind(scopes);
        command.Bind(now);
        command.Bind(name);
        return await command.FirstAsync(reader => reader.GetBoolean(0));
    }

    private static void Bind(Statement command, Client client, byte[][] secretHashes)
    {
        command.Bind(client.Id);
        command.Bind(client.Name);
        command.Bind(client.Kind);
        command.Bind(client.AuthMethods);
        command.Bind(secretHashes);
        command.Bind(client.RedirectUris);
        command.Bind(client.Scopes);
        command.Bind(client.RequirePkce);
        command.Bind(client.CreatedAt);
    }

    private static Client Read(NpgsqlDataReader reader) => new(
        reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetFieldValue<string[]>(3), reader.GetInt32(4), reader.GetFieldValue<string[]>(5), reader.GetFieldValue<string[]>(6),
        reader.GetBoolean(7), reader.GetFieldValue<DateTimeOffset>(8), reader.Get<DateTimeOffset?>(9), reader.Get<DateTimeOffset?>(10));
}
