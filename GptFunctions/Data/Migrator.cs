using System.Reflection;
using System.Text;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Data;

/// <summary>One embedded script <c>V###_Name.sql</c>. The checksum is SHA-256 over its text with line ends normalised.</summary>
internal sealed record Migration(int Version, string Name, string Sql, string Checksum);

/// <summary>The database's migrations are not those of this program: another text, or one that it does not know between its own.</summary>
internal sealed class MigrationException(string message) : CommandException(message);

/// <summary>
/// Applies migrations in order, each in its own transaction. That transaction holds an advisory lock, so any number of
/// processes may call <see cref="ApplyAsync"/> at once, behind a connection pooler too. Called by the <c>setup</c> command only, never by a request.
/// </summary>
/// <param name="migrations">In the order of their versions; those of this program are <see cref="Embedded"/>.</param>
internal sealed class Migrator(NpgsqlDataSource dataSource, IReadOnlyList<Migration> migrations)
{
    private const long LockKey = 0x6770_7466_0001; // "gptf" and a number: this project's lock for migrations

    private const string CreateTable = """
        CREATE TABLE IF NOT EXISTS schema_migrations (
            version    integer PRIMARY KEY,
            name       text NOT NULL,
            checksum   text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        )
        """;

    private const string Insert = "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)";

    public static IReadOnlyList<Migration> Embedded { get; } = Load(typeof(Migrator).Assembly);

    /// <summary>The schema version this program was built for.</summary>
    public int LatestVersion { get; } = migrations[^1].Version;

    /// <summary>
    /// Applies what is missing; returns what was applied now (empty when the schema was up to date). A newer schema is accepted and
    /// left as it is: after a rollback the older program runs on it, because migrations expand first and contract a release later.
    /// </summary>
    public async Task<IReadOnlyList<Migration>> ApplyAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        var applied = new List<Migration>();
        while (await ApplyNextAsync(connection, cancellationToken) is { } migration)
        {
            applied.Add(migration);
        }

        return applied;
    }

    /// <summary>The newest version in the database, 0 when nothing was applied yet. One statement.</summary>
    public async Task<int> ReadVersionAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand("SELECT coalesce(max(version), 0) FROM schema_migrations");
        try
        {
            return (int)(await command.ExecuteScalarAsync(cancellationToken))!;
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            return 0;
        }
    }

    /// <summary>Null when nothing is missing.</summary>
    private async Task<Migration?> ApplyNextAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await ExecuteAsync(connection, $"SELECT pg_advisory_xact_lock({LockKey})", cancellationToken);
        await ExecuteAsync(connection, CreateTable, cancellationToken);
        var applied = await ReadAppliedAsync(connection, cancellationToken);
        Check(applied);
        if (migrations.FirstOrDefault(migration => !applied.ContainsKey(migration.Version)) is not { } next)
        {
            await transaction.CommitAsync(cancellationToken);
            return null;
        }

        await RunAsync(connection, next, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return next;
    }

    private static async Task RunAsync(NpgsqlConnection connection, Migration migration, CancellationToken cancellationToken)
    {
        try
        {
            await ExecuteAsync(connection, migration.Sql, cancellationToken);
        }
        catch (PostgresException error)
        {
            throw new MigrationException(
                $"Migration V{migration.Version:000}_{migration.Name} failed and was rolled back: {error.MessageText} ({error.SqlState}).");
        }

        await using var record = new NpgsqlCommand(Insert, connection)
        {
            Parameters = { new() { Value = migration.Version }, new() { Value = migration.Name }, new() { Value = migration.Checksum } },
        };
        await record.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<Dictionary<int, string>> ReadAppliedAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT version, checksum FROM schema_migrations", connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var applied = new Dictionary<int, string>();
        while (await reader.ReadAsync(cancellationToken))
        {
            applied.Add(reader.GetInt32(0), reader.GetString(1));
        }

        return applied;
    }

    private void Check(Dictionary<int, string> applied)
    {
        foreach (var migration in migrations)
        {
            if (applied.TryGetValue(migration.Version, out var checksum) && checksum != migration.Checksum)
            {
                throw new MigrationException(
                    $"Migration V{migration.Version:000}_{migration.Name} was applied with another text. "
                    + "Restore the file and put the change into a new migration.");
            }
        }

        if (applied.Keys.Order().FirstOrDefault(
            version => version < LatestVersion && migrations.All(known => known.Version != version)) is var unknown and not 0)
        {
            throw new MigrationException(
                $"The database has a migration V{unknown:000} that this program does not know, though it knows V{LatestVersion:000}: "
                + "deploy an image that has both.");
        }

        if (applied.Keys.Any(version => version > LatestVersion)
            && migrations.FirstOrDefault(migration => !applied.ContainsKey(migration.Version)) is { } missing)
        {
            throw new MigrationException(
                $"The database is newer than this program and lacks its migration V{missing.Version:000}_{missing.Name}: deploy an image that has both.");
        }
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static List<Migration> Load(Assembly assembly)
    {
        const string prefix = "GptFunctions.Data.Migrations.V";
        return [.. assembly.GetManifestResourceNames()
            .Where(resource => resource.StartsWith(prefix, StringComparison.Ordinal))
            .Select(resource => Read(assembly, resource, resource[prefix.Length..^".sql".Length]))
            .OrderBy(migration => migration.Version)];
    }

    private static Migration Read(Assembly assembly, string resource, string file)
    {
        using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!, Encoding.UTF8);
        var sql = reader.ReadToEnd().ReplaceLineEndings("\n");
        var checksum = Convert.ToHexStringLower(Sha256.Of(sql));
        return new Migration(int.Parse(file[..3], System.Globalization.CultureInfo.InvariantCulture), file[4..], sql, checksum);
    }
}
