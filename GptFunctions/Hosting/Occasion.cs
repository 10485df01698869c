using System.Net;
using System.Net.Sockets;

namespace GptFunctions.Hosting;

/// <summary>When and from where something was asked for: what every audit event tells of it, and what limits count.</summary>
/// <param name="Now">The database's time, read once for the whole request.</param>
/// <param name="CorrelationId">Ties an audit event to the request's log lines.</param>
/// <param name="Address">The caller's address.</param>
internal readonly record struct Occasion(DateTimeOffset Now, string CorrelationId, string Address)
{
    private const int NetworkBytes = 64 / 8;

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
