using System.Net;
using System.Net.Sockets;

namespace GptFunctions.OAuth;

/// <summary>Which addresses are on the public internet: what strangers make us ask must be, or they would see with our eyes what lies inside.</summary>
internal static class PublicAddresses
{
    // IANA's registries of special-purpose addresses (RFC 6890), and what is public by its number only
    private static readonly IPNetwork[] Special =
    [
        .. ((string[])[
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
            "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
            "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "168.63.129.16/32", // Azure's own, inside every virtual network
            "2001::/23", // Teredo, ORCHID, benchmarking and the like
            "2001:db8::/32", "2002::/16", // 6to4 has an IPv4 address in it
            "2620:4f:8000::/48", "3fff::/20",
        ]).Select(IPNetwork.Parse),
    ];

    private static readonly IPNetwork GlobalUnicast = IPNetwork.Parse("2000::/3"); // all that is given out of IPv6 (RFC 4291 2.4)

    public static bool IsPublic(IPAddress address) =>
        (address.AddressFamily == AddressFamily.InterNetwork || GlobalUnicast.Contains(address)) // so no IPv4-mapped or translated one
        && !Array.Exists(Special, network => network.Contains(address));
}
