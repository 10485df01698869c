using System.Net;
using System.Net.Sockets;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.Gateway;

/// <summary>
/// What an upstream's Location means to a caller, who does not see the upstream: where a route leads there, our URL of it; a place outside as it is;
/// nothing for any other place inside.
/// </summary>
internal sealed class PublicLocation(GatewayRoutes routes, IOptions<TokenSettings> settings)
{
    private static readonly string[] PrivateSuffixes =
        [".localhost", ".local", ".localdomain", ".internal", ".svc", ".lan", ".intranet", ".private", ".corp", ".home.arpa"];

    private readonly Uri publicBase = new(settings.Value.PublicBaseUrl!);

    /// <param name="requested">What the upstream was asked for; relative references are relative to it (RFC 9110 10.2.2).</param>
    /// <returns>Null: the header is dropped.</returns>
    public string? Of(Uri requested, string value)
    {
        requested = new Uri(requested.AbsoluteUri); // as any other URL: it was made without straightening it out
        if (!Uri.TryCreate(requested, value, out var url) || url.Scheme is not ("http" or "https"))
        {
            return null;
        }

        if (HasOrigin(url, publicBase))
        {
            return url.AbsoluteUri;
        }

        return HasOrigin(url, requested) ? ThroughRoute(url) : IsInside(url) ? null : url.AbsoluteUri;
    }

    private static bool HasOrigin(Uri url, Uri other) =>
        url.Scheme == other.Scheme && url.Port == other.Port && string.Equals(url.IdnHost, other.IdnHost, StringComparison.OrdinalIgnoreCase);

    private string? ThroughRoute(Uri url)
    {
        // An encoded slash would become a real one when the path is decoded.
        var path = url.AbsolutePath.Contains("%2f", StringComparison.OrdinalIgnoreCase) ? "" : Uri.UnescapeDataString(url.AbsolutePath);
        foreach (var route in routes.All)
        {
            var basePath = Uri.UnescapeDataString(route.Upstream.AbsolutePath).TrimEnd('/');
            if (HasOrigin(url, route.Upstream) && path.StartsWith(basePath, StringComparison.Ordinal)
                && route.UpstreamPath.Match(path[basePath.Length..]) is { } values
                && !route.Path.Parameters.Except(route.UpstreamPath.Parameters, StringComparer.Ordinal).Any())
            {
                return publicBase.GetLeftPart(UriPartial.Authority) + route.Path.Fill(route.UpstreamPath.Parameters, values) + url.Query + url.Fragment;
            }
        }

        return null;
    }

    /// <summary>Whether only we can go there: another upstream, or a name or an address that means nothing outside.</summary>
    private bool IsInside(Uri url)
    {
        var host = url.IdnHost.TrimEnd('.');
        return routes.All.Any(route => string.Equals(route.Upstream.IdnHost, host, StringComparison.OrdinalIgnoreCase))
            || (IPAddress.TryParse(host, out var address)
                ? IsPrivate(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address)
                : !host.Contains('.', StringComparison.Ordinal) || PrivateSuffixes.Any(suffix => host.EndsWith(suffix, StringComparison.OrdinalIgnoreCase)));
    }

    // The IANA registries of special-purpose addresses, as far as somebody's own network goes
    private static bool IsPrivate(IPAddress address)
    {
        if (address.AddressFamily == AddressFamily.InterNetworkV6)
        {
            return IPAddress.IsLoopback(address) || address.Equals(IPAddress.IPv6Any)
                || address.IsIPv6LinkLocal || address.IsIPv6SiteLocal || address.IsIPv6UniqueLocal || address.IsIPv6Multicast;
        }

        var octets = address.GetAddressBytes();
        return (octets[0], octets[1]) switch
        {
            (0 or 10 or 127, _) or ( >= 224, _) => true,
            (100, >= 64 and < 128) or (169, 254) or (172, >= 16 and < 32) or (192, 168) or (198, 18 or 19) => true,
            _ => false,
        };
    }
}
