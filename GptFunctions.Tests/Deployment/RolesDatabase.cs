using System.Diagnostics;
using GptFunctions.Data;
using GptFunctions.Tests.Support;
using Npgsql;

namespace GptFunctions.Tests.Deployment;

/// <summary>
/// A database made as the runbook makes one: roles.sql, run by an administrator who is no superuser, setup by the owner, and roles.sql again.
/// </summary>
internal sealed class RolesDatabase : IAsyncDisposable
{
    // Roles belong to the server, so every test that makes them uses the same passwords.
    private const string Password = "a-password-for-tests";
    private readonly string administratorUrl;

    private RolesDatabase(TestDatabase database)
    {
        Database = database;
        administratorUrl = UrlAs("gpt_test_administrator");
    }

    /// <summary>As a superuser, to look and to prepare.</summary>
    public TestDatabase Database { get; }

    public string OwnerUrl => UrlAs("gpt_owner");

    public string ApplicationUrl => UrlAs("gpt_app");

    public string ReaderUrl => UrlAs("gpt_readonly");

    public static async Task<RolesDatabase> CreateAsync(string name, IEnumerable<KeyValuePair<string, string?>> settings)
    {
        var roles = new RolesDatabase(await TestDatabase.CreateAsync(name, isMigrated: false));
        await roles.Database.ExecuteAsync($"""
            DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gpt_test_administrator') THEN CREATE ROLE gpt_test_administrator; END IF; END $$;
            ALTER ROLE gpt_test_administrator LOGIN CREATEROLE CREATEDB PASSWORD '{Password}';
            ALTER DATABASE test_{name.ToLowerInvariant()} OWNER TO gpt_test_administrator;
            """);
        var (_, said) = await roles.RunScriptAsync();
        Assert.Contains("run this file again after setup: users, ", said, StringComparison.Ordinal);
        var setup = await roles.SetUpAsync(settings);
        Assert.True(setup.ExitCode == 0, setup.Output + setup.Error);
        Assert.Equal((0, ""), await roles.RunScriptAsync());
        return roles;
    }

    /// <summary><c>GptFunctions setup</c> as gpt_owner.</summary>
    public Task<(int ExitCode, string Output, string Error)> SetUpAsync(IEnumerable<KeyValuePair<string, string?>> settings) =>
        AppProcess.RunAsync(TestApp.DefaultSettings(OwnerUrl, 0).With(settings), "setup");

    /// <summary>Runs infra/postgres/roles.sql as the administrator, or at another URL.</summary>
    public async Task<(int ExitCode, string Said)> RunScriptAsync(string? url = null)
    {
        var start = new ProcessStartInfo("psql") { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        foreach (var argument in (string[])["-X", url ?? administratorUrl, "-f", Path.Combine(TestServices.RepositoryRoot, "infra", "postgres", "roles.sql")])
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var role in (string[])["OWNER", "APP", "READONLY"])
        {
            start.Environment[$"GPT_{role}_PASSWORD"] = Password;
        }

        using var psql = Process.Start(start)!;
        var (output, error) = (psql.StandardOutput.ReadToEndAsync(), psql.StandardError.ReadToEndAsync());
        await psql.WaitForExitAsync();
        return (psql.ExitCode, await output + await error);
    }

    /// <summary>Runs statements as a role; null when they succeed, else the SQLSTATE.</summary>
    public static async Task<string?> TryAsync(string url, string sql)
    {
        await using var source = NpgsqlDataSource.Create(new DatabaseSettings { Url = url, PoolSize = 1 }.ToConnectionString());
        await using var command = source.CreateCommand(sql);
        try
        {
            await command.ExecuteNonQueryAsync();
            return null;
        }
        catch (PostgresException refusal)
        {
            return refusal.SqlState;
        }
    }

    /// <summary>The first value of the last statement.</summary>
    public static async Task<string?> ReadAsync(string url, string sql)
    {
        await using var source = NpgsqlDataSource.Create(new DatabaseSettings { Url = url, PoolSize = 1 }.ToConnectionString());
        await using var connection = await source.OpenConnectionAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (await command.ExecuteScalarAsync())?.ToString();
    }

    public ValueTask DisposeAsync() => Database.DisposeAsync();

    private string UrlAs(string role) => new UriBuilder(Database.Url) { UserName = role, Password = Password }.Uri.ToString();
}
