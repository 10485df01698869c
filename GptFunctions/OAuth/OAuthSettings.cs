using GptFunctions.Hosting;
using GptFunctions.Sessions;
using GptFunctions.Tokens;

namespace GptFunctions.OAuth;

/// <summary>The authorization server's settings, beyond those of the tokens (<see cref="TokenSettings"/>). All lifetimes are in seconds.</summary>
internal sealed class OAuthSettings : ISettings
{
    [Setting("GPT_CLIENT_ID", Meaning = "id of the first client, written by `setup`", Development = "`demo-gpt`",
        Missing = "choose the id of your first client, for example company-gpt")]
    public string? ClientId { get; set; }

    [Setting("GPT_CLIENT_NAME", Meaning = "what people read on the consent page", Default = "the name it has, at first its id", Development = "`Demo GPT`")]
    public string? ClientName { get; set; }

    [Setting("GPT_CLIENT_SECRET", IsSecret = true, Meaning = "its secret, 32 characters or more", Development = "made once, in `.local/`",
        Missing = "make one with: openssl rand -base64 32")]
    public string? ClientSecret { get; set; }

    [Setting("GPT_REDIRECT_URI", Meaning = "its redirect URIs, separated by spaces", Development = "`/dev/callback`",
        Missing = "set it to the callback URL that the GPT builder shows (several, separated by spaces)")]
    public string[] RedirectUris { get; set; } = [];

    [Setting("GPT_CLIENT_AUTH_METHODS", Meaning = "how clients may send their secret")]
    public string[] ClientAuthMethods { get; set; } = [AuthMethods.Post, AuthMethods.Basic];

    [Setting("GPT_AUTH_CODE_EXPIRY", 1, 300, "seconds", Meaning = "seconds a code lives")]
    public int AuthCodeExpiry { get; set; } = 60;

    [Setting("GPT_REFRESH_TOKEN_EXPIRY", 60, 31536000, "seconds", Meaning = "seconds a refresh token lives unused", Default = "2592000 (30 days)")]
    public int RefreshTokenExpiry { get; set; } = 30 * 86400;

    /// <summary>The absolute end, however often it is refreshed.</summary>
    [Setting("GPT_SESSION_EXPIRY", 60, 315360000, "seconds", Meaning = "seconds a session lives at most", Default = "15552000 (180 days)")]
    public int SessionExpiry { get; set; } = 180 * 86400;

    [Setting("GPT_REFRESH_GRACE", 0, 3600, "seconds", Meaning = "seconds in which a replaced refresh token is answered with its newest successor")]
    public int RefreshGrace { get; set; } = 120;

    [Setting("GPT_REFRESH_LIMIT", 1, 1000000, Meaning = "refreshes of one session in a minute; beyond it 429, and the refresh token stays good")]
    public int RefreshLimit { get; set; } = 60;

    [Setting("GPT_MAX_SESSIONS_PER_USER", 1, 1000, Meaning = "live sessions per user and client; one more takes the place of the least recently active")]
    public int MaxSessionsPerUser { get; set; } = 5;

    [Setting("GPT_MAX_SESSIONS_IN_ALL", 1, 10000,
        Meaning = "live sessions per user over all clients; one more ends the least recently active, after the person was told")]
    public int MaxSessionsInAll { get; set; } = 25;

    public SessionLimits SessionLimits => new(MaxSessionsPerUser, MaxSessionsInAll);

    [Setting("GPT_AUTH_FAILURE_LIMIT", 1, 10000, Meaning = "failed client authentications per client and address in 15 minutes")]
    public int AuthFailureLimit { get; set; } = 10;

    [Setting("GPT_CLIENT_REGISTRATION", Development = "true",
        Meaning = "`true`: clients may register themselves (RFC 7591), as MCP hosts do, at most 60 an hour from one address")]
    public bool AllowsRegistration { get; set; }

    /// <summary>Of hosts that are known to need them. Whoever owns the scheme on a device gets the code; PKCE keeps it from being of use to others.</summary>
    [Setting("GPT_REDIRECT_URIS_ALLOWED", MayBeEmpty = true, Default = "those of Cursor and of Claude's desktop app",
        Meaning = "redirect URIs with an app's own scheme that may be registered beside https and loopback, exactly so, separated by spaces; empty: none")]
    public string[] RedirectUrisAllowed { get; set; } =
    [
        "cursor://anysphere.cursor-mcp/oauth/callback", // https://github.com/erp-mafia/accounted/pull/2225, 2026-09-03
        "claude://claude.ai/mcp-auth-callback/sdk", // https://github.com/anthropics/claude-code/issues/93671, 2026-09-16
    ];

    [Setting("GPT_CLIENT_METADATA_HOSTS", MayBeEmpty = true, Default = "`*`",
        Meaning = "host names whose client metadata documents (a client_id that is a URL) count, separated by spaces; `*`: any; empty: none")]
    public string[] ClientMetadataHosts { get; set; } = ["*"];

    /// <summary>For tests and hosts on the same machine.</summary>
    [Setting("GPT_CLIENT_METADATA_LOOPBACK",
        Meaning = "`true`: client metadata documents and keys may also be on this machine (http too); never in Production")]
    public bool AllowsLoopbackDocuments { get; set; }

    /// <summary>Whether any document counts, and so a URL may be a client id.</summary>
    public bool AllowsDocuments => ClientMetadataHosts.Length > 0;

    public IEnumerable<string> Problems(bool isProduction)
    {
        if (isProduction && AllowsLoopbackDocuments)
        {
            yield return "GPT_CLIENT_METADATA_LOOPBACK is for tests and local hosts: leave it out in Production, where it would let strangers make this "
                + "program ask what only this machine can reach.";
        }

        if (Array.Exists(ClientMetadataHosts, host => host != "*" && Uri.CheckHostName(host) == UriHostNameType.Unknown))
        {
            yield return "GPT_CLIENT_METADATA_HOSTS must be host names such as chatgpt.com, separated by spaces, or *.";
        }

        if (ClientName is not null && DisplayText.ProblemWithName("GPT_CLIENT_NAME", ClientName) is { } wrongName)
        {
            yield return wrongName;
        }

        if (ClientId is not null && !Client.IsId(ClientId))
        {
            yield return "GPT_CLIENT_ID must be 1 to 512 printable ASCII characters without spaces.";
        }

        if (isProduction && ClientSecret is { Length: < 32 })
        {
            yield return "GPT_CLIENT_SECRET is too short: use at least 32 characters, for example from: openssl rand -base64 32.";
        }

        foreach (var problem in RedirectUris.Select(uri => RedirectUri.ProblemWith(uri, RedirectUrisAllowed)).OfType<string>())
        {
            yield return $"GPT_REDIRECT_URI: {problem}";
        }

        foreach (var problem in RedirectUrisAllowed.Select(RedirectUri.ProblemWithListed).OfType<string>())
        {
            yield return $"GPT_REDIRECT_URIS_ALLOWED: {problem}";
        }

        if (ClientAuthMethods.Length == 0 || Array.Exists(ClientAuthMethods, method => method is not (AuthMethods.Basic or AuthMethods.Post)))
        {
            yield return "GPT_CLIENT_AUTH_METHODS must be client_secret_post, client_secret_basic or both, separated by a space.";
        }

        if (RefreshGrace >= RefreshTokenExpiry)
        {
            yield return "GPT_REFRESH_GRACE must be shorter than GPT_REFRESH_TOKEN_EXPIRY.";
        }
    }
}

internal sealed class RefreshKeys : IKeys
{
    [Setting("GPT_REFRESH_KEY", IsSecret = true, Development = "made once, in `.local/`",
        Meaning = "base64 of 32 or more random bytes; the first derives refresh tokens, further ones (separated by spaces) recognise older ones",
        Missing = "make one with: openssl rand -base64 32")]
    public string[] All { get; set; } = [];

    public IEnumerable<string> Problems(bool isProduction)
    {
        if (Array.Exists(All, key => !RefreshTokens.IsKey(key)))
        {
            yield return "GPT_REFRESH_KEY must be the base64 of at least 32 random bytes (several, separated by spaces, during a rotation): "
                + "make one with: openssl rand -base64 32.";
        }
    }
}
