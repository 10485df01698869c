using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Audit;

/// <summary>
/// "The name in the server's certificate is checked", also by the consumer of the standalone host: a trusted certificate of somebody else gets no
/// password.
/// </summary>
public sealed class BrokerCertificateTests : IAsyncLifetime
{
    private TestDatabase database = null!;

    public async Task InitializeAsync() => database = await TestDatabase.CreateAsync(nameof(BrokerCertificateTests));

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Theory]
    [InlineData("127.0.0.1", true)]
    [InlineData("192.0.2.1", false)]
    public async Task Broker_is_spoken_to_only_under_its_own_name(string name, bool isTrusted)
    {
        using var certificate = Certificate(IPAddress.Parse(name));
        var trusted = Path.Combine(Directory.CreateTempSubdirectory("certificates-").FullName, "ca.pem");
        await File.WriteAllTextAsync(trusted, certificate.ExportCertificatePem());
        await using var broker = new TlsServer(certificate);
        await using var app = await AppProcess.StartAsync(TestApp.DefaultSettings(database.Url, 0).With(
            [
                new("RABBITMQ_URL", $"amqps://user:password@127.0.0.1:{broker.Port}"), new("SSL_CERT_FILE", trusted),
                new("PUBLIC_BASE_URL", "http://127.0.0.1:7071"),
            ]));

        await Wait.UntilAsync(
            () => isTrusted ? broker.Greetings > 0 : app.Output.Any(line => line.Contains("AuditConsumer receives nothing", StringComparison.Ordinal)));
        Assert.Equal(isTrusted, broker.Greetings > 0);
    }

    private static X509Certificate2 Certificate(IPAddress address)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=broker", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(address);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(
            new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        using var made = request.CreateSelfSigned(TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(1));
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pfx), null);
    }

    /// <summary>Counts the callers that go on to speak AMQP after the handshake, and hangs up.</summary>
    private sealed class TlsServer : IAsyncDisposable
    {
        private readonly TcpListener listener = new(IPAddress.Loopback, 0);
        private readonly X509Certificate2 certificate;
        private readonly Task accepting;
        private int greetings;

        public TlsServer(X509Certificate2 certificate)
        {
            this.certificate = certificate;
            listener.Start();
            accepting = AcceptAsync();
        }

        public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

        public int Greetings => Volatile.Read(ref greetings);

        public async ValueTask DisposeAsync()
        {
            listener.Dispose();
            await accepting;
        }

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                {
                    using var client = await listener.AcceptTcpClientAsync();
                    await GreetAsync(client);
                }
            }
            catch (Exception error) when (error is SocketException or InvalidOperationException)
            {
                // Disposed.
            }
        }

        private async Task GreetAsync(TcpClient client)
        {
            try
            {
                await using var tls = new SslStream(client.GetStream());
                await tls.AuthenticateAsServerAsync(certificate);
                var greeting = new byte[4];
                await tls.ReadExactlyAsync(greeting);
                if (greeting.AsSpan().SequenceEqual("AMQP"u8))
                {
                    Interlocked.Increment(ref greetings);
                }
            }
            catch (Exception error) when (error is IOException or System.Security.Authentication.AuthenticationException)
            {
                // Refused.
            }
        }
    }
}
