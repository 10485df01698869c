using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.Hosting;

/// <summary>How callers reach this program from outside.</summary>
internal sealed class ProxySettings : ISettings
{
    /// <summary>The header in which the ingress names the caller's address, for example <c>X-Real-IP</c>. Not set: the connection's address is used and no header is believed.</summary>
    [Setting("CLIENT_ADDRESS_HEADER")]
    public string? ClientAddressHeader { get; set; }

    public IEnumerable<string> Problems(bool isProduction) => [];
}

/// <summary>Finds the address of the caller. The Functions host replaces X-Forwarded-*, so only a header set by our own ingress tells it there.</summary>
internal sealed class ClientAddress(IOptions<ProxySettings> settings)
{
    public string Of(HttpContext context)
    {
        if (settings.Value.ClientAddressHeader is { } header && IPAddress.TryParse(context.Request.Headers[header].ToString(), out var named))
        {
            return Normalise(named);
        }

        return context.Connection.RemoteIpAddress is { } remote ? Normalise(remote) : "unknown";
    }

    private static string Normalise(IPAddress address) => (address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString();
}
