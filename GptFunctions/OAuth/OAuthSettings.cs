using System.ComponentModel.DataAnnotations;
using GptFunctions.Hosting;
using GptFunctions.Tokens;

namespace GptFunctions.OAuth;

/// <summary>The authorization server's settings, beyond those of the tokens (<see cref="TokenSettings"/>). All lifetimes are in seconds.</summary>
internal sealed class OAuthSettings : ISettings
{
    [Setting("GPT_CLIENT_ID")]
    public string? ClientId { get; set; }

    /// <summary>What people read on the consent page. Without it the client keeps the name it has, at first its id.</summary>
    [Setting("GPT_CLIENT_NAME")]
    public string? ClientName { get; set; }

    [Setting("GPT_CLIENT_SECRET")]
    public string? ClientSecret { get; set; }

    [Setting("GPT_REDIRECT_URI")]
    public string[] RedirectUris { get; set; } = [];

    [Setting("GPT_CLIENT_AUTH_METHODS")]
    public string[] ClientAuthMethods { get; set; } = [AuthMethods.Post, AuthMethods.Basic];

    /// <summary>Base64 of 32 or more random bytes; the first derives new successors, the others recognise older ones.</summary>
    [Setting("GPT_REFRESH_KEY")]
    public string[] RefreshKeys { get; set; } = [];

    [Setting("GPT_AUTH_CODE_EXPIRY")]
    [Range(1, 300, ErrorMessage = "GPT_AUTH_CODE_EXPIRY must be between 1 and 300 seconds.")]
    public int AuthCodeExpiry { get; set; } = 60;

    /// <summary>How long a refresh token lives unused.</summary>
    [Setting("GPT_REFRESH_TOKEN_EXPIRY")]
    [Range(60, 31536000, ErrorMessage = "GPT_REFRESH_TOKEN_EXPIRY must be between 60 and 31536000 seconds.")]
    public int RefreshTokenExpiry { get; set; } = 30 * 86400;

    /// <summary>The absolute end of a session, however often it is refreshed.</summary>
    [Setting("GPT_SESSION_EXPIRY")]
    [Range(60, 315360000, ErrorMessage = "GPT_SESSION_EXPIRY must be between 60 and 315360000 seconds.")]
    public int SessionExpiry { get; set; } = 180 * 86400;

    /// <summary>How long after its first rotation a refresh token is still answered with its newest descendant.</summary>
    [Setting("GPT_REFRESH_GRACE")]
    [Range(0, 3600, ErrorMessage = "GPT_REFRESH_GRACE must be between 0 and 3600 seconds.")]
    public int RefreshGrace { get; set; } = 120;

    [Setting("GPT_MAX_SESSIONS_PER_USER")]
    [Range(1, 1000, ErrorMessage = "GPT_MAX_SESSIONS_PER_USER must be between 1 and 1000.")]
    public int MaxSessionsPerUser { get; set; } = 5;

    /// <summary>Failed client authentications per client id and address in 15 minutes before the answer is 429.</summary>
    [Setting("GPT_AUTH_FAILURE_LIMIT")]
    [Range(1, 10000, ErrorMessage = "GPT_AUTH_FAILURE_LIMIT must be between 1 and 10000.")]
    public int AuthFailureLimit { get; set; } = 10;

    /// <summary>Sign-ins that may be started from one network (an address, a /64 of IPv6) in a minute before the answer is 429.</summary>
    [Setting("GPT_AUTHORIZE_LIMIT")]
    [Range(1, 100000, ErrorMessage = "GPT_AUTHORIZE_LIMIT must be between 1 and 100000.")]
    public int AuthorizeLimit { get; set; } = 120;

    /// <summary>Scopes with the sentence that people read: <c>name=sentence</c>, separated by <c>;</c>.</summary>
    [Setting("GPT_SCOPES")]
    public string? Scopes { get; set; }

    /// <summary>Whether clients may register themselves (RFC 7591), as MCP hosts do.</summary>
    [Setting("GPT_CLIENT_REGISTRATION")]
    public bool AllowsRegistration { get; set; }

    public IEnumerable<string> Problems(bool isProduction)
    {
        foreach (var problem in RefreshKeyProblems().Concat(FirstClientProblems(isProduction)))
        {
            yield return problem;
        }

        if (Scopes is not null && !ScopeCatalog.TryParse(Scopes, out _))
        {
            yield return "GPT_SCOPES must be a list of name=sentence separated by ';', for example jobs:read=See job offers.";
        }

        if (RefreshGrace >= RefreshTokenExpiry)
        {
            yield return "GPT_REFRESH_GRACE must be shorter than GPT_REFRESH_TOKEN_EXPIRY.";
        }
    }

    private IEnumerable<string> RefreshKeyProblems()
    {
        if (RefreshKeys.Length == 0)
        {
            yield return "GPT_REFRESH_KEY is missing: make one with: openssl rand -base64 32.";
        }
        else if (Array.Exists(RefreshKeys, key => !RefreshTokens.IsKey(key)))
        {
            yield return "GPT_REFRESH_KEY must be the base64 of at least 32 random bytes (several, separated by spaces, during a rotation): make one with: openssl rand -base64 32.";
        }
    }

    private IEnumerable<string> FirstClientProblems(bool isProduction)
    {
        if (ClientId is null)
        {
            yield return "GPT_CLIENT_ID is missing: choose the id of your first client, for example company-gpt.";
        }
        else if (!Client.IsId(ClientId))
        {
            yield return "GPT_CLIENT_ID must be 1 to 512 printable ASCII characters without spaces.";
        }

        if (ClientSecret is null)
        {
            yield return "GPT_CLIENT_SECRET is missing: make one with: openssl rand -base64 32.";
        }
        else if (isProduction && ClientSecret.Length < 32)
        {
            yield return "GPT_CLIENT_SECRET is too short: use at least 32 characters, for example from: openssl rand -base64 32.";
        }

        if (RedirectUris.Length == 0)
        {
            yield return "GPT_REDIRECT_URI is missing: set it to the callback URL that the GPT builder shows (several, separated by spaces).";
        }

        foreach (var uri in RedirectUris.Where(uri => RedirectUri.ProblemWith(uri) is not null))
        {
            yield return $"GPT_REDIRECT_URI: {RedirectUri.ProblemWith(uri)}";
        }

        if (ClientAuthMethods.Length == 0 || Array.Exists(ClientAuthMethods, method => method is not (AuthMethods.Basic or AuthMethods.Post)))
        {
            yield return "GPT_CLIENT_AUTH_METHODS must be client_secret_post, client_secret_basic or both, separated by a space.";
        }
    }
}
