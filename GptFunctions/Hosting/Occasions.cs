using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.Hosting;

/// <summary>How callers reach this program from outside.</summary>
internal sealed class ProxySettings : ISettings
{
    [Setting("CLIENT_ADDRESS_HEADER",
        Meaning = "header in which your ingress names the caller, such as `X-Real-IP`; without it the connection's address counts")]
    public string? ClientAddressHeader { get; set; }
}

/// <summary>
/// Says of a request when and from where it came. The Functions host replaces X-Forwarded-*, so only a header set by our own ingress tells the
/// address there.
/// </summary>
internal sealed class Occasions(IOptions<ProxySettings> settings, TimeProvider clock)
{
    public Occasion Of(HttpContext context) => new(clock.GetUtcNow(), context.CorrelationId(), AddressOf(context));

    private string AddressOf(HttpContext context)
    {
        if (settings.Value.ClientAddressHeader is { } header && IPAddress.TryParse(context.Request.Headers[header].ToString(), out var named))
        {
            return Normalise(named);
        }

        return context.Connection.RemoteIpAddress is { } remote ? Normalise(remote) : "unknown";
    }

    private static string Normalise(IPAddress address) => (address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString();
}
