using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tokens;

/// <summary>HTTP's own words about who calls (RFC 9110 11): <c>Authorization</c> is read, <c>WWW-Authenticate</c> is written here.</summary>
internal static class HttpAuthentication
{
    private const string Bearer = "Bearer ";

    /// <summary>
    /// The token of the Authorization header, as a part of it; empty when there is none. A token in the query or the body is never looked for (RFC 6750
    /// 2.3, RFC 9700 4.3.2).
    /// </summary>
    public static ReadOnlyMemory<char> ReadBearer(HttpRequest request)
    {
        var header = request.Headers.Authorization.ToString();
        return header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) ? header.AsMemory(Bearer.Length).Trim() : default;
    }

    /// <summary>Whether there is one in the query, where it would be in everybody's log.</summary>
    public static bool HasTokenInQuery(HttpRequest request) =>
        request.QueryString.Value is { } query
        && (query.Contains("access_token", StringComparison.OrdinalIgnoreCase) || query.Contains('%', StringComparison.Ordinal)) // else no need to read it
        && request.Query.ContainsKey("access_token");

    /// <summary>Asks a client for its secret (RFC 6749 5.2).</summary>
    public static void ChallengeBasic(HttpContext context) => context.Response.Headers.WWWAuthenticate = "Basic realm=\"gpt-functions\", charset=\"UTF-8\"";

    /// <summary>Asks for a bearer token (RFC 6750 3, RFC 9728 5.1).</summary>
    /// <param name="error">Without a token none is named, or one without a code: the caller just did not know that one is needed.</param>
    /// <param name="scope">What the token must hold.</param>
    /// <param name="resource">The path of the resource whose metadata says where tokens come from.</param>
    public static void ChallengeBearer(HttpContext context, OAuthError? error, string? scope = null, string resource = "")
    {
        var baseUrl = context.RequestServices.GetRequiredService<IOptions<TokenSettings>>().Value.PublicBaseUrl;
        context.Response.Headers.WWWAuthenticate = BearerChallenge(baseUrl!, error, scope, resource);
    }

    /// <summary>The same as a text.</summary>
    public static string BearerChallenge(string baseUrl, OAuthError? error, string? scope, string resource)
    {
        var scoped = scope is null ? "" : $", scope=\"{scope}\"";
        var refused = error is { Code.Length: > 0 } ? $", error=\"{error.Code}\", error_description=\"{error.Description}\"" : "";
        return $"Bearer resource_metadata=\"{baseUrl}/.well-known/oauth-protected-resource{resource}\"{scoped}{refused}";
    }
}
