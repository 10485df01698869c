using GptFunctions.Data;
using Npgsql;

namespace GptFunctions.Tests.Support;

/// <summary>
/// A database of its own for one test class, copied from a migrated template. It stays until the next run, so that a failure can be looked at.
/// </summary>
internal sealed class TestDatabase : IAsyncDisposable
{
    private static readonly SemaphoreSlim Turn = new(1, 1);
    private static string? template;

    private TestDatabase(string url)
    {
        Url = url;
        Source = NpgsqlDataSource.Create(new DatabaseSettings { Url = url, PoolSize = 5 }.ToConnectionString());
    }

    /// <summary>What DATABASE_URL is set to.</summary>
    public string Url { get; }

    public NpgsqlDataSource Source { get; }

    /// <summary>A name with the folder of the class, because another folder may have a class of the same name.</summary>
    public static string NameFor(Type tests) => tests.FullName!["GptFunctions.Tests.".Length..].Replace('.', '_');

    public static async Task<TestDatabase> CreateAsync(string name, bool isMigrated = true)
    {
        var server = await TestServices.DatabaseUrlAsync();
        await using var admin = NpgsqlDataSource.Create(new DatabaseSettings { Url = server, PoolSize = 2 }.ToConnectionString());
        await Turn.WaitAsync();
        try
        {
            template ??= await CreateTemplateAsync(admin, server);
            var database = "test_" + name.ToLowerInvariant();
            await ExecuteAsync(admin, $"DROP DATABASE IF EXISTS {database} WITH (FORCE)");
            await ExecuteAsync(admin, $"CREATE DATABASE {database}{(isMigrated ? " TEMPLATE " + template : "")}");
            return new TestDatabase(UrlOf(server, database));
        }
        finally
        {
            Turn.Release();
        }
    }

    /// <summary>A copy of another one as it is now; no app may run on that one.</summary>
    public static async Task<TestDatabase> CopyAsync(TestDatabase original, string name)
    {
        var server = await TestServices.DatabaseUrlAsync();
        await using var admin = NpgsqlDataSource.Create(new DatabaseSettings { Url = server, PoolSize = 1 }.ToConnectionString());
        var (database, from) = ("test_" + name.ToLowerInvariant(), new Uri(original.Url).AbsolutePath[1..]);
        await ExecuteAsync(admin, $"DROP DATABASE IF EXISTS {database} WITH (FORCE)");
        original.Source.Clear();
        await ExecuteAsync(admin, $"CREATE DATABASE {database} TEMPLATE {from}");
        return new TestDatabase(UrlOf(server, database));
    }

    /// <summary>An empty database on a server of the test's own.</summary>
    public static async Task<TestDatabase> CreateOnAsync(string server, string name)
    {
        await using var admin = NpgsqlDataSource.Create(new DatabaseSettings { Url = server, PoolSize = 1 }.ToConnectionString());
        var database = "test_" + name.ToLowerInvariant();
        await ExecuteAsync(admin, $"DROP DATABASE IF EXISTS {database} WITH (FORCE)");
        await ExecuteAsync(admin, $"CREATE DATABASE {database}");
        return new TestDatabase(UrlOf(server, database));
    }

    /// <summary>The first column of the first row.</summary>
    public async Task<T?> ScalarAsync<T>(string sql, params object[] values)
    {
        await using var command = Source.CreateCommand(sql);
        foreach (var value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        }

        return await command.ExecuteScalarAsync() is T result ? result : default;
    }

    public Task<long> CountAsync(string table, string condition = "true") => ScalarAsync<long>($"SELECT count(*) FROM {table} WHERE {condition}");

    public async Task ExecuteAsync(string sql) => await ExecuteAsync(Source, sql);

    public ValueTask DisposeAsync() => Source.DisposeAsync();

    private static async Task<string> CreateTemplateAsync(NpgsqlDataSource admin, string server)
    {
        const string name = "test_template";
        await ExecuteAsync(admin, $"DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        await ExecuteAsync(admin, $"CREATE DATABASE {name}");
        var settings = new DatabaseSettings { Url = UrlOf(server, name), PoolSize = 1 }.ToConnectionString();
        settings.Pooling = false; // a template must have no connections when it is copied
        await using var source = NpgsqlDataSource.Create(settings);
        await new Migrator(source, Migrator.Embedded).ApplyAsync(CancellationToken.None);
        await ExecuteAsync(source, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements");
        return name;
    }

    private static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        command.CommandTimeout = 120; // copying a template can take a while when the whole suite starts
        await command.ExecuteNonQueryAsync();
    }

    private static string UrlOf(string server, string database) => new UriBuilder(server) { Path = "/" + database }.Uri.ToString();
}
