using System.Diagnostics;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using GptFunctions.Data;
using GptFunctions.Tests.Support;
using Npgsql;

namespace GptFunctions.Tests.Data;

/// <summary>A PostgreSQL with a certificate for <c>localhost</c> that a CA of its own signed, and the files of that CA and of a stranger.</summary>
public sealed class TlsDatabase : IAsyncLifetime
{
    private readonly PrivateServices services = new("tls");
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("gpt-tls-");

    public string CaFile => Path.Combine(directory.FullName, "ca.pem");

    public string StrangersCaFile => Path.Combine(directory.FullName, "stranger.pem");

    /// <param name="query">Parameters of the URL.</param>
    internal string UrlOf(string host, string query) => new UriBuilder(services.DatabaseUrl) { Host = host, Query = query }.Uri.ToString();

    public async Task InitializeAsync()
    {
        await services.StartAsync("postgres");
        using var ca = NewCa();
        using var stranger = NewCa();
        await File.WriteAllTextAsync(CaFile, ca.ExportCertificatePem());
        await File.WriteAllTextAsync(StrangersCaFile, stranger.ExportCertificatePem());

        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        using var server = request.Create(
            ca, new DateTimeOffset(ca.NotBefore), new DateTimeOffset(ca.NotAfter), RandomNumberGenerator.GetBytes(16));

        var superuser = new DatabaseSettings { Url = services.DatabaseUrl }.ToConnectionString();
        var state = Path.Combine(TestServices.RepositoryRoot, ".local", "services", "tls", "postgres");
        (superuser.Username, superuser.Password) = ("postgres", (await File.ReadAllTextAsync(Path.Combine(state, "password"))).Trim());
        await using var source = NpgsqlDataSource.Create(superuser);
        await InstallAsync(server.ExportCertificatePem(), Path.Combine(state, "data", "server.crt"));
        await InstallAsync(key.ExportPkcs8PrivateKeyPem(), Path.Combine(state, "data", "server.key"));
        await ExecuteAsync(source, "ALTER SYSTEM SET ssl = on");
        await ExecuteAsync(source, "SELECT pg_reload_conf()");
    }

    public async Task DisposeAsync()
    {
        await services.DisposeAsync();
        directory.Delete(recursive: true);
    }

    private static X509Certificate2 NewCa()
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=Contoso Root", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        var now = TimeProvider.System.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
    }

    /// <summary>As a file of the server's own user that nobody else may read: with another one PostgreSQL does not take a key.</summary>
    private static async Task InstallAsync(string pem, string file)
    {
        using var install = Process.Start(
            new ProcessStartInfo("bash", ["-c", "install -m 600 -o \"$(stat -c %U \"${1%/*}\")\" /dev/stdin \"$1\"", "install", file])
            {
                RedirectStandardInput = true,
                UseShellExecute = false,
            })!;
        await install.StandardInput.WriteAsync(pem);
        install.StandardInput.Close();
        await install.WaitForExitAsync();
        Assert.Equal(0, install.ExitCode);
    }

    private static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}

/// <summary>sslmode=verify-full: the server's certificate has to be one for its name, from a CA that is trusted.</summary>
public sealed class DatabaseTlsTests(TlsDatabase database) : IClassFixture<TlsDatabase>
{
    [Fact]
    public async Task Verify_full_with_the_file_of_the_ca_connects_by_tls()
    {
        var url = database.UrlOf("localhost", "sslmode=verify-full&sslrootcert=" + database.CaFile);
        Assert.Equal("true", await AskAsync(url));

        using var psql = Process.Start(
            new ProcessStartInfo("psql", ["-XAt", url, "-c", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"])
            {
                RedirectStandardOutput = true,
                UseShellExecute = false,
            })!;
        Assert.Equal("t", (await psql.StandardOutput.ReadToEndAsync()).Trim()); // one URL for the program and for people's psql
        await psql.WaitForExitAsync();
    }

    [Theory]
    [InlineData("127.0.0.1", "sslmode=verify-full&sslrootcert=CA")] // a name that is not in the certificate
    [InlineData("localhost", "sslmode=verify-full&sslrootcert=STRANGER")]
    [InlineData("localhost", "sslmode=verify-full")] // the machine's own CAs
    [InlineData("localhost", "sslrootcert=system")]
    [InlineData("localhost", "sslmode=verify-ca&sslrootcert=STRANGER")]
    public async Task Server_that_cannot_be_told_from_another_one_is_refused(string host, string query)
    {
        ArgumentNullException.ThrowIfNull(query);
        var url = database.UrlOf(
            host,
            query.Replace("CA", database.CaFile, StringComparison.Ordinal).Replace("STRANGER", database.StrangersCaFile, StringComparison.Ordinal));
        var refusal = await Assert.ThrowsAsync<NpgsqlException>(() => AskAsync(url));
        Assert.IsType<AuthenticationException>(refusal.InnerException);
    }

    /// <summary>Encrypted, and with whoever answers: why the runbook's URLs say verify-full.</summary>
    [Fact]
    public async Task Require_alone_looks_at_no_certificate() =>
        Assert.Equal("true", await AskAsync(database.UrlOf("127.0.0.1", "sslmode=require")));

    private static async Task<string?> AskAsync(string url)
    {
        var connection = new DatabaseSettings { Url = url }.ToQuestionConnectionString();
        await using var source = NpgsqlDataSource.Create(connection);
        await using var command = source.CreateCommand("SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
        return (string?)await command.ExecuteScalarAsync();
    }
}
