using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.Hosting;

/// <summary>When and from where something was asked for: what every audit event tells of it, and what limits count.</summary>
/// <param name="Now">The database's time, read once for the whole request.</param>
/// <param name="CorrelationId">Ties an audit event to the request's log lines.</param>
/// <param name="Address">The caller's address.</param>
internal readonly record struct Occasion(DateTimeOffset Now, string CorrelationId, string Address)
{
    private const int NetworkBytes = 64 / 8;

    /// <summary>The trace that the asking belongs to, where it is recorded: what an event carries on.</summary>
    public string? TraceParent { get; } = Traces.Current;

    /// <summary>
    /// What limits count instead of <see cref="Address"/>: of IPv6 the /64, because whoever has one address has all 2^64 of its network
    /// (RFC 4291 2.5.1); of IPv4 the address itself. Worked out each time it is asked for.
    /// </summary>
    public string Network
    {
        get
        {
            if (!IPAddress.TryParse(Address, out var address))
            {
                return Address;
            }

            if (address.IsIPv4MappedToIPv6)
            {
                return address.MapToIPv4().ToString();
            }

            if (address.AddressFamily != AddressFamily.InterNetworkV6)
            {
                return address.ToString();
            }

            Span<byte> network = stackalloc byte[16];
            address.TryWriteBytes(network, out _);
            network[NetworkBytes..].Clear();
            return $"{new IPAddress(network)}/64";
        }
    }

    /// <summary>Of a command that an operator runs.</summary>
    /// <param name="command">Stands for the address.</param>
    public static Occasion OfCommand(DateTimeOffset now, string command) => new(now, Guid.CreateVersion7(now).ToString("N"), command);
}

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
