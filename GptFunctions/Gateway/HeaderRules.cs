using System.Collections.Frozen;

namespace GptFunctions.Gateway;

/// <summary>What becomes of a header on its way through the gateway.</summary>
internal enum HeaderRule
{
    Pass,

    /// <summary>Not on the list of what passes; or meant for us or for one connection, or ours to set.</summary>
    Remove,

    /// <summary>Says who the caller is: nobody's word counts for that, so it is removed, counted and logged.</summary>
    Identity,
}

/// <summary>
/// Which headers pass in either direction. Of a request only what is listed, because every system has its own headers for who somebody is, and
/// nobody knows them all; of an answer all that is not listed, because it comes from a server that we chose.
/// </summary>
internal static class HeaderRules
{
    // RFC 9110 7.6.1, and what older software uses in its place
    private static readonly string[] HopByHop = [
        "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
    ];

    internal static readonly FrozenSet<string> Standard = FrozenSet.Create(StringComparer.Ordinal,
    [
        "accept", "range", "user-agent", "cache-control", "pragma", "date", "prefer", "priority", "origin", "referer", "last-event-id", "idempotency-key",
        "digest", "repr-digest", "want-digest", "want-content-digest", "want-repr-digest", // RFC 9530 and what came before it
        "x-request-id",
    ]);

    internal static readonly string[] StandardPrefixes = ["accept-", "content-", "if-", "mcp-"];

    /// <summary>What no route may let pass.</summary>
    private static readonly FrozenSet<string> Never = FrozenSet.Create(StringComparer.Ordinal,
    [
        .. HopByHop, "authorization", "cookie", "cookie2", "host", "content-length", "expect", "http2-settings", "forwarded", "via",
        "x-correlation-id", "traceparent", "tracestate",
        // Another path, method or address than the one that was checked; some frameworks believe these.
        "x-original-url", "x-original-host", "x-original-for", "x-original-proto", "x-rewrite-url", "x-http-method", "x-http-method-override",
        "x-method-override",
        "x-real-ip", "x-client-ip", "true-client-ip", "x-cluster-client-ip", "cf-connecting-ip", "fastly-client-ip",
    ]);

    // Forwarding, and what the Functions host tells its worker.
    private static readonly string[] NeverPrefixes = ["x-forwarded-", "x-ms-"];

    private static readonly FrozenSet<string> Responses = FrozenSet.Create(StringComparer.OrdinalIgnoreCase,
    [
        .. HopByHop, "x-correlation-id", "ratelimit", "ratelimit-policy",
        "content-length", // set from the framing that was found good
        // Between the upstream and us. A host that saw a challenge would ask people to sign in again.
        "www-authenticate", "authentication-info", "proxy-authentication-info",
        // Every answer is one person's: none is for caches that are shared.
        "cdn-cache-control", "surrogate-control",
        // For the whole origin, which is ours: an upstream must not touch the cookies of the authorization server.
        "set-cookie", "set-cookie2", "clear-site-data", "strict-transport-security", "alt-svc", "service-worker-allowed",
    ]);

    // In the spelling of Fold.
    private static readonly string[] IdentityPrefixes =
    [
        "x-internal-", "x-clerk-", "x-gpt-", "x-user-",
        "x-ms-client-principal", "x-ms-token-", "x-auth-request-", "x-authenticated-", "x-remote-", "remote-user",
    ];

    private const int LongestName = 256;

    private static readonly FrozenSet<string>.AlternateLookup<ReadOnlySpan<char>> StandardBySpan = Standard.GetAlternateLookup<ReadOnlySpan<char>>();
    private static readonly FrozenSet<string>.AlternateLookup<ReadOnlySpan<char>> NeverBySpan = Never.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <param name="passed">What the route lets pass beside the standard ones.</param>
    public static HeaderRule OfRequest(string name, FrozenSet<string> passed)
    {
        Span<char> buffer = stackalloc char[LongestName];
        var folded = Fold(name, buffer);
        return StartsWithAny(folded, IdentityPrefixes) ? HeaderRule.Identity
            : passed.Contains(name) || (folded.Equals(name, StringComparison.OrdinalIgnoreCase) && IsStandard(folded)) ? HeaderRule.Pass
            : HeaderRule.Remove;
    }

    /// <summary>Whether a route may let a header pass: letters, digits and hyphens, and nothing that is ours, the connection's or about identity.</summary>
    public static bool MayPass(string name)
    {
        Span<char> buffer = stackalloc char[LongestName];
        var folded = Fold(name, buffer);
        return folded.Length > 0 && folded.Equals(name, StringComparison.OrdinalIgnoreCase)
            && !StartsWithAny(folded, IdentityPrefixes) && !StartsWithAny(folded, NeverPrefixes) && !NeverBySpan.Contains(folded);
    }

    /// <summary>
    /// Whether a route may set a header itself: what may pass, and credentials, which here are the upstream's own; but nothing about the body,
    /// which is the caller's.
    /// </summary>
    public static bool MaySet(string name) =>
        name.Equals("authorization", StringComparison.OrdinalIgnoreCase)
        || (MayPass(name) && !name.StartsWith("content-", StringComparison.OrdinalIgnoreCase)
            && !name.Equals("accept-encoding", StringComparison.OrdinalIgnoreCase));

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

    private static bool IsStandard(ReadOnlySpan<char> name) =>
        StandardBySpan.Contains(name) || (StartsWithAny(name, StandardPrefixes) && !NeverBySpan.Contains(name));

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
