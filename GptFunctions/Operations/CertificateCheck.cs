using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.Operations;

/// <summary>What clients see at PUBLIC_BASE_URL has a certificate that they accept, for some time yet.</summary>
internal sealed class CertificateCheck(IOptions<TokenSettings> settings, TimeProvider clock) : ICheck
{
    private static readonly TimeSpan Soon = TimeSpan.FromDays(14);

    public string Name => "certificate";

    /// <summary>Whom to trust; null: whom this machine trusts.</summary>
    public X509ChainPolicy? Trusted { get; init; }

    public async Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        var url = new Uri(settings.Value.PublicBaseUrl!);
        finding.Details["host"] = url.Authority;
        if (!settings.Value.IsHttps)
        {
            finding.Details["https"] = false; // Development only
            return;
        }

        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(url.IdnHost, url.Port, cancellationToken);
            await using var stream = new SslStream(client.GetStream());
            var options = new SslClientAuthenticationOptions { TargetHost = url.IdnHost, CertificateChainPolicy = Trusted };
            await stream.AuthenticateAsClientAsync(options, cancellationToken);
            var expires = DateTimeOffset.Parse(stream.RemoteCertificate!.GetExpirationDateString(), CultureInfo.CurrentCulture);
            finding.Details["expires"] = expires;
            if (expires - clock.GetUtcNow() < Soon)
            {
                finding.Say(CheckState.Degraded, string.Create(
                    CultureInfo.InvariantCulture, $"The certificate ends on {expires:yyyy-MM-dd}: is it renewed (kubectl describe certificate)?"));
            }
        }
        catch (SocketException error)
        {
            finding.Say(CheckState.Degraded, $"{url.Authority} cannot be reached from here: {error.Message}.");
        }
        catch (AuthenticationException error)
        {
            finding.Say(CheckState.Blocker, $"Clients refuse the certificate of {url.Authority}: {error.Message}");
        }
    }
}
