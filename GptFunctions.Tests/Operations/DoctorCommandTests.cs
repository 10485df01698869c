using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using GptFunctions.Hosting;
using GptFunctions.Operations;
using GptFunctions.Tests.Health;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tests.Operations;

/// <summary>health.md 17: one command for "it does not work".</summary>
public sealed class DoctorCommandTests : IAsyncLifetime
{
    private SelfTestBench bench = null!;

    public async Task InitializeAsync()
    {
        bench = await SelfTestBench.StartAsync(nameof(DoctorCommandTests));
        bench.Clerk.Instead["/authorize"] = (context, _) =>
        {
            context.Response.Redirect(context.Request.Query["redirect_uri"] + "?error=login_required");
            return Task.CompletedTask;
        };
    }

    public async Task DisposeAsync() => await bench.DisposeAsync();

    [Fact]
    public async Task Everything_well_is_marked_so_exits_with_0_and_changes_nothing()
    {
        var before = await CountAsync();
        var (exitCode, output, error) = await AppProcess.RunAsync(bench.App.Settings, "doctor");
        Assert.True(exitCode == 0, output + error);
        Assert.All(output.TrimEnd().Split('\n'), line => Assert.StartsWith("✓ ", line, StringComparison.Ordinal));
        Assert.Matches("✓ database +round_trip_ms ", output);
        Assert.Contains("✓ clerk_redirect_uri", output, StringComparison.Ordinal);
        Assert.Matches("✓ hosts +ChatGPT by its document, .*Cursor registers, ", output);
        Assert.Matches("✓ signing_key +kid ", output);
        Assert.DoesNotContain(new Uri(bench.Data.Url).UserInfo.Split(':')[1], output, StringComparison.Ordinal);
        Assert.Equal(before, await CountAsync());
    }

    [Fact]
    public async Task What_is_wrong_is_said_with_its_cure_and_exits_with_1()
    {
        bench.Clerk.Instead["/authorize"] = (context, _) =>
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return Task.CompletedTask;
        };
        bench.Upstream.Refuse();
        var (exitCode, output, _) = await AppProcess.RunAsync(bench.App.Settings, "doctor", "--json");
        Assert.Equal(1, exitCode);
        var matrix = new Matrix(HttpStatusCode.OK, JsonElement.Parse(output));
        Assert.Equal(["clerk_redirect_uri blocker", "gateway_upstreams blocker"], matrix.NotOk);
        Assert.EndsWith("/oauth/callback: enter it at the OAuth application in its dashboard.", matrix.Error("clerk_redirect_uri"), StringComparison.Ordinal);
        var (_, text, _) = await AppProcess.RunAsync(bench.App.Settings, "doctor");
        Assert.Contains("✗ gateway_upstreams ", text, StringComparison.Ordinal);
        Assert.Contains("\n    1 of 1 upstreams take no connection: ", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Settings_that_stop_the_start_are_what_it_lists()
    {
        var settings = bench.App.Settings.With([new("DATABASE_URL", null), new("RABBITMQ_URL", "http://broker")]);
        var (exitCode, output, _) = await AppProcess.RunAsync(settings, "doctor");
        Assert.Equal(1, exitCode);
        Assert.StartsWith("✗ settings\n    ", output, StringComparison.Ordinal);
        Assert.Contains("    DATABASE_URL is missing: set it to a postgresql:// URL", output, StringComparison.Ordinal);
        Assert.Contains("    RABBITMQ_URL must be an amqp:// or amqps:// URL", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Certificate_that_clients_refuse_is_a_blocker_and_a_host_that_is_away_degraded()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var now = TimeProvider.System.GetUtcNow();
        using var certificate = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256).CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        var (finding, port) = await CheckServedAsync(certificate);
        Assert.Equal(CheckState.Blocker, finding.State);
        Assert.StartsWith($"Clients refuse the certificate of 127.0.0.1:{port}: ", finding.Error, StringComparison.Ordinal);
        Assert.Equal(CheckState.Degraded, (await CheckAsync($"https://127.0.0.1:{port}")).State);
        Assert.Equal(CheckState.Ok, (await CheckAsync("http://127.0.0.1:1")).State);
    }

    /// <summary>Clients accept it still; those on call have two weeks.</summary>
    [Theory]
    [InlineData(13, true)]
    [InlineData(15, false)]
    public async Task Certificate_that_ends_soon_is_degraded_with_its_day(int days, bool isSoon)
    {
        var now = TimeProvider.System.GetUtcNow();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(days));
        var trusted = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        trusted.CustomTrustStore.Add(certificate);
        var (finding, _) = await CheckServedAsync(certificate, trusted);

        Assert.Equal(isSoon ? CheckState.Degraded : CheckState.Ok, finding.State);
        var ends = FormattableString.Invariant($"{now.AddDays(days):yyyy-MM-dd}");
        Assert.Equal(isSoon ? $"The certificate ends on {ends}: is it renewed (kubectl describe certificate)?" : null, finding.Error);
    }

    /// <summary>A role without a right that the program needs, and with fewer connections than the least deployment opens.</summary>
    [Fact]
    public async Task Rights_and_connections_that_the_role_lacks_are_said()
    {
        await bench.Data.ExecuteAsync("""
            DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gpt_test_doctor') THEN CREATE ROLE gpt_test_doctor; END IF; END $$;
            ALTER ROLE gpt_test_doctor LOGIN CONNECTION LIMIT 50 PASSWORD 'a-password-for-tests';
            GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO gpt_test_doctor;
            REVOKE ALL ON gpt_sessions FROM gpt_test_doctor;
            """);
        try
        {
            var url = new UriBuilder(bench.Data.Url) { UserName = "gpt_test_doctor", Password = "a-password-for-tests" }.Uri.AbsoluteUri;
            var (exitCode, output, _) = await AppProcess.RunAsync(bench.App.Settings.With([new("DATABASE_URL", url)]), "doctor", "--json");
            Assert.Equal(1, exitCode);
            var matrix = new Matrix(HttpStatusCode.OK, JsonElement.Parse(output));
            Assert.Equal("gpt_test_doctor", matrix.Details("database").GetProperty("role").GetString());
            Assert.InRange(matrix.Details("database").GetProperty("server_connections").GetInt32(), 1, 10); // its own, whatever others have open
            Assert.Equal(
                "The role of DATABASE_URL has no rights to gpt_sessions: run infra/postgres/roles.sql. 4 processes of 15 connections (DATABASE_POOL_SIZE) "
                + "need "
                    + "more than the 50 that gpt_test_doctor may have: a smaller pool, or a larger server (infra/sizing.md).",
                matrix.Error("database"));
        }
        finally
        {
            await bench.Data.ExecuteAsync("DROP OWNED BY gpt_test_doctor; DROP ROLE gpt_test_doctor");
        }
    }

    /// <param name="trusted">Null: what this machine trusts.</param>
    private static async Task<Finding> CheckAsync(string publicBaseUrl, X509ChainPolicy? trusted = null)
    {
        var finding = new Finding();
        var settings = Options.Create(new TokenSettings { PublicBaseUrl = publicBaseUrl });
        await new CertificateCheck(settings, TimeProvider.System) { Trusted = trusted }.RunAsync(finding, CancellationToken.None);
        return finding;
    }

    /// <summary>At a server with this certificate, which is away afterwards.</summary>
    private static async Task<(Finding Finding, int Port)> CheckServedAsync(X509Certificate2 certificate, X509ChainPolicy? trusted = null)
    {
        using var listener = new TcpListener(IPAddress.Loopback, TestApp.FreePort());
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        var serving = ServeAsync();
        var finding = await CheckAsync($"https://127.0.0.1:{port}", trusted);
        await serving;
        return (finding, port);

        async Task ServeAsync()
        {
            using var client = await listener.AcceptTcpClientAsync();
            await using var stream = new SslStream(client.GetStream());
            try
            {
                await stream.AuthenticateAsServerAsync(certificate);
            }
            catch (Exception error) when (error is IOException or System.Security.Authentication.AuthenticationException)
            {
                // Refused, as it should be.
            }
        }
    }

    private Task<long> CountAsync() => bench.Data.ScalarAsync<long>("""
        SELECT sum((xpath('/row/c/text()', query_to_xml('SELECT count(*) AS c FROM ' || oid::regclass, false, true, '')))[1]::text::bigint)::bigint
        FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
        """);
}
