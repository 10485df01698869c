using System.Text.RegularExpressions;

namespace GptFunctions.OAuth;

/// <summary>Rules for redirect URIs. They are compared as text, never as parsed URLs: two readers of one URL can disagree, two byte strings cannot.</summary>
internal static partial class RedirectUri
{
    private const int MaximumLength = 2000;
    private static readonly string[] ForeignSchemes =
        ["http", "https", "javascript", "data", "vbscript", "file", "about", "blob", "filesystem", "view-source", "ws", "wss", "ftp", "mailto", "tel"];

    private static readonly string[] AnswersParameters = ["code", "state", "iss", "error", "error_description"];

    /// <summary>RFC 6749 3.1.2.3: byte for byte. RFC 8252 7.3: for a public client's loopback address the port may vary, and nothing else.</summary>
    public static bool Matches(string registered, string presented, bool isPublicClient)
    {
        if (string.Equals(registered, presented, StringComparison.Ordinal))
        {
            return true;
        }

        return isPublicClient
            && Loopback().Match(registered) is { Success: true } one
            && Loopback().Match(presented) is { Success: true } other
            && one.Groups["host"].Value == other.Groups["host"].Value
            && one.Groups["rest"].Value == other.Groups["rest"].Value
            && other.Groups["port"].Value is var port
            && (port.Length == 0 || int.Parse(port, System.Globalization.CultureInfo.InvariantCulture) is > 0 and <= 65535);
    }

    /// <summary>Why this may not be registered, as a sentence; null when it may.</summary>
    /// <param name="listed">URIs with private-use schemes that the operator allows (GPT_REDIRECT_URIS_ALLOWED).</param>
    public static string? ProblemWith(string uri, string[] listed)
    {
        if (listed.Contains(uri, StringComparer.Ordinal))
        {
            return null;
        }

        if (uri.Length > MaximumLength || uri.Any(character => character is <= ' ' or > '~' or '\\' or '"' or '<' or '>' or '*'))
        {
            return "a redirect URI is plain ASCII without spaces, backslashes or wildcards, at most 2000 characters.";
        }

        if (!Uri.TryCreate(uri, UriKind.Absolute, out var parsed) || uri.Contains('#', StringComparison.Ordinal) || UserInfo().IsMatch(uri))
        {
            return $"'{uri}' is not an absolute URL without fragment and user name.";
        }

        if (AnswersParameter(uri) is { } parameter)
        {
            return $"'{uri}' has the parameter {parameter}, which is for the answer to carry.";
        }

        return parsed.Scheme switch
        {
            "https" => null,
            "http" when Loopback().IsMatch(uri) => null,
            "http" => $"'{uri}' must use https; http is for loopback addresses only.",
            // RFC 8252 7.1: private-use schemes are reversed domain names, which keeps javascript:, data: and the like out.
            var scheme when scheme.Contains('.', StringComparison.Ordinal) => null,
            _ => $"'{uri}' must use https, http on a loopback address, or a private-use scheme such as com.example.app.",
        };
    }

    /// <summary>Why a URI may not be on the operator's list, as a sentence; null when it may.</summary>
    public static string? ProblemWithListed(string uri) =>
        uri.Length <= MaximumLength && uri.All(character => character is > ' ' and <= '~' and not ('\\' or '"' or '<' or '>' or '*' or '#'))
        && Uri.TryCreate(uri, UriKind.Absolute, out var parsed) && !ForeignSchemes.Contains(parsed.Scheme) && AnswersParameter(uri) is null
            ? null
            : $"'{uri}' is not an absolute URI of an app's own scheme, without wildcard and fragment, such as cursor://anysphere.cursor-mcp/oauth/callback.";

    /// <summary>It leads to this device.</summary>
    public static bool IsLoopback(string uri) => Loopback().IsMatch(uri);

    /// <summary>The same for every port that a public client may choose on a loopback address.</summary>
    public static string WithoutLoopbackPort(string uri) => Loopback().Replace(uri, "http://${host}${rest}");

    /// <summary>Whether it leads to a web server or to this device, as opposed to an app's private-use scheme.</summary>
    public static bool IsWeb(string uri) => uri.StartsWith("https:", StringComparison.OrdinalIgnoreCase) || Loopback().IsMatch(uri);

    /// <summary>
    /// The part that a consent is remembered for and that people are shown. For a private-use scheme that is the scheme: who
    /// gets the answer is whoever owns it, and what follows (com.example.app://chatgpt.com) can claim anything. On a loopback address that is
    /// the program behind the port, which may be another one tomorrow (RFC 8252 8.6): with another port people are asked again.
    /// </summary>
    public static string Host(string uri) => new Uri(uri) switch
    {
        { Scheme: "https" } parsed => parsed.Host,
        { Scheme: "http" } parsed => parsed.Authority,
        var parsed => parsed.Scheme + ":",
    };

    /// <summary>
    /// The source expression for Content-Security-Policy's form-action. Its grammar has no IPv6 addresses, so for one only the scheme is left.
    /// </summary>
    public static string ContentSecuritySource(string uri) =>
        new Uri(uri) is { Scheme: "https" or "http", HostNameType: not UriHostNameType.IPv6 } parsed
            ? parsed.GetLeftPart(UriPartial.Authority)
            : new Uri(uri).Scheme + ":";

    /// <summary>The sources that a page's form may lead to on its way back to this client.</summary>
    public static IEnumerable<string> FormTargets(IEnumerable<string> clientRedirectUris, string redirectUri) =>
        clientRedirectUris.Append(redirectUri).Select(ContentSecuritySource);

    /// <summary>
    /// A parameter that our answer adds and that the URI has already: of two the client may believe the wrong one (RFC 9207 2.4).
    /// Some readers take ; for &amp; and do not mind the case.
    /// </summary>
    private static string? AnswersParameter(string uri) =>
        uri.Split('?', 2) is [_, var query]
            ? query.Split('&', ';').Select(pair => Uri.UnescapeDataString(pair.Split('=')[0]))
                .Select(name => AnswersParameters.FirstOrDefault(ours => string.Equals(ours, name, StringComparison.OrdinalIgnoreCase)))
                .FirstOrDefault(name => name is not null)
            : null;

    [GeneratedRegex("^[^:/?]+://[^/?]*@", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex UserInfo();

    [GeneratedRegex(
        @"^http://(?<host>127\.0\.0\.1|\[::1\]|localhost)(:(?<port>[0-9]{1,5}))?(?<rest>[/?].*)?\z",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Loopback();
}
