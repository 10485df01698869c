using System.Collections.Frozen;

namespace GptFunctions.Gateway;

/// <summary>What becomes of a header on its way through the gateway.</summary>
internal enum HeaderRule
{
    Pass,

    /// <summary>Meant for us or for one connection, or ours to set.</summary>
    Remove,

    /// <summary>Says who the caller is: nobody's word counts for that, so it is removed, counted and logged.</summary>
    Identity,
}

/// <summary>Which headers pass in either direction.</summary>
internal static class HeaderRules
{
    // RFC 9110 7.6.1, and what older software uses in its place
    private static readonly string[] HopByHop = ["connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"];

    private static readonly FrozenSet<string> Requests = FrozenSet.Create(StringComparer.OrdinalIgnoreCase,
    [
        .. HopByHop, "authorization", "cookie", "host", "content-length", "expect", "forwarded", "x-correlation-id", "traceparent",
        // Another path, method or address than the one that was checked; some frameworks believe these.
        "x-original-url", "x-original-host", "x-original-for", "x-original-proto", "x-rewrite-url", "x-http-method", "x-http-method-override", "x-method-override",
        "x-real-ip", "x-client-ip", "true-client-ip", "x-cluster-client-ip", "cf-connecting-ip", "fastly-client-ip",
    ]);

    private static readonly FrozenSet<string> Responses = FrozenSet.Create(StringComparer.OrdinalIgnoreCase,
    [
        .. HopByHop, "x-correlation-id", "ratelimit", "ratelimit-policy",
        // For the whole origin, which is ours: an upstream must not touch the cookies of the authorization server.
        "set-cookie", "set-cookie2", "clear-site-data", "strict-transport-security", "alt-svc", "service-worker-allowed",
    ]);

    // In the spelling of Fold.
    private static readonly string[] IdentityPrefixes =
    [
        "x-internal-", "x-clerk-", "x-gpt-", "x-user-",
        "x-ms-client-principal", "x-ms-token-", "x-auth-request-", "x-authenticated-", "x-remote-", "remote-user",
    ];

    private const string ForwardedPrefix = "x-forwarded-";
    private const int LongestName = 256;

    private static readonly FrozenSet<string>.AlternateLookup<ReadOnlySpan<char>> RequestsBySpan = Requests.GetAlternateLookup<ReadOnlySpan<char>>();

    public static HeaderRule OfRequest(string name)
    {
        Span<char> buffer = stackalloc char[LongestName];
        var folded = Fold(name, buffer);
        return StartsWithAny(folded, IdentityPrefixes) ? HeaderRule.Identity
            : RequestsBySpan.Contains(folded) || folded.StartsWith(ForwardedPrefix) ? HeaderRule.Remove
            : HeaderRule.Pass;
    }

    /// <summary>Also of an answer: what the upstream was told about the user is not the client's to know.</summary>
    public static HeaderRule OfResponse(string name)
    {
        if (Responses.Contains(name))
        {
            return HeaderRule.Remove;
        }

        if (name[0] is not ('x' or 'X' or 'r' or 'R'))
        {
            return HeaderRule.Pass;
        }

        Span<char> buffer = stackalloc char[LongestName];
        return StartsWithAny(Fold(name, buffer), IdentityPrefixes) ? HeaderRule.Identity : HeaderRule.Pass;
    }

    /// <summary>
    /// In lower case, and each character that is neither letter nor digit a hyphen: that is how upstreams which see headers as variables
    /// (CGI, WSGI, PHP) confuse them, so that X_Internal.Id would pass for x-internal-id.
    /// </summary>
    private static ReadOnlySpan<char> Fold(string name, Span<char> buffer)
    {
        var length = Math.Min(name.Length, buffer.Length);
        for (var index = 0; index < length; index++)
        {
            var character = name[index];
            buffer[index] = char.IsAsciiLetterOrDigit(character) ? char.ToLowerInvariant(character) : '-';
        }

        return buffer[..length];
    }

    private static bool StartsWithAny(ReadOnlySpan<char> name, string[] prefixes)
    {
        foreach (var prefix in prefixes)
        {
            if (name.StartsWith(prefix))
            {
                return true;
            }
        }

        return false;
    }
}
