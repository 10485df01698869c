using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using GptFunctions.Hosting;
using GptFunctions.Tokens;

namespace GptFunctions.OAuth;

/// <summary>A request to <c>/oauth/authorize</c> in which everything has been checked.</summary>
/// <param name="RedirectUriGiven">Whether the request named the URI; then the token request must repeat it.</param>
internal sealed record AuthorizationRequest(
    Client Client, string RedirectUri, bool RedirectUriGiven, string[] Scopes, string? State, string? CodeChallenge, string Resource);

/// <summary>
/// The outcome of checking a request: accepted, refused with a redirect that is safe, or refused on a page because no redirect can be trusted.
/// </summary>
/// <param name="RedirectUri">Where the error goes; null when the client or its redirect URI is in doubt.</param>
internal sealed record CheckedRequest(AuthorizationRequest? Request, OAuthError? Error, string? RedirectUri, string? State);

/// <summary>Checks authorization requests (RFC 6749 4.1.1, RFC 7636 4.3, RFC 8707 2.1).</summary>
internal sealed class AuthorizationRequests(Clients clients, ScopeCatalog catalog, ProtectedResources resources)
{
    private const int MaximumState = 2 * 1024; // bytes; the servers' own limit for the whole request line is 8 KB
    private const int ChallengeLength = 43; // base64url of a SHA-256

    public async Task<CheckedRequest> CheckAsync(FormParameters parameters)
    {
        if (parameters.Repeated.Contains("client_id") || parameters.Repeated.Contains("redirect_uri"))
        {
            return Untrusted("client_id and redirect_uri may be sent only once.");
        }

        if (parameters["client_id"] is not { } clientId)
        {
            return Untrusted("client_id is missing.");
        }

        var found = await clients.FindAsync(clientId);
        if (found.Client is not { } client)
        {
            return new CheckedRequest(null, found.Problem, null, null);
        }

        var given = parameters["redirect_uri"];
        var redirectUri = given is not null ? client.FindRedirectUri(given) : client.RedirectUris is [var only] ? only : null;
        if (redirectUri is null)
        {
            // RFC 6749 4.1.2.1: never redirect to an address that was not registered.
            return Untrusted(
                given is null ? "redirect_uri is missing." : "The redirect_uri is not one that this app registered; it must be the same to the byte.",
                RefusalReason.RedirectUriUnregistered, client.Id);
        }

        return Check(parameters, client, redirectUri, given is not null);
    }

    private CheckedRequest Check(FormParameters parameters, Client client, string redirectUri, bool given)
    {
        var scopes = client.Asked(catalog, parameters["scope"]);
        var state = parameters["state"];
        var resource = parameters["resource"] ?? resources.Gateway.Url;
        var error = ProblemWith(parameters, client, scopes, resource);
        return error is null
            ? new CheckedRequest(
                new AuthorizationRequest(client, redirectUri, given, scopes, state, parameters["code_challenge"], resource), null, redirectUri, state)
            : new CheckedRequest(null, error.Of(client.Id, null), redirectUri, state);
    }

    private OAuthError? ProblemWith(FormParameters parameters, Client client, string[] scopes, string resource)
    {
        if (parameters.Repeated.FirstOrDefault() is { } repeated)
        {
            return OAuthError.InvalidRequest($"The parameter {repeated} was sent more than once.");
        }

        if (parameters["state"] is { } state && Encoding.UTF8.GetByteCount(state) > MaximumState)
        {
            return OAuthError.InvalidRequest("state is longer than 2 KB: keep what belongs to it on your side, and send a key to it.");
        }

        if (parameters["response_type"] is not "code")
        {
            return parameters["response_type"] is null
                ? OAuthError.InvalidRequest("response_type is missing: send code.")
                : new OAuthError("unsupported_response_type", "response_type must be code.");
        }

        if (parameters["request"] is not null || parameters["request_uri"] is not null)
        {
            return new OAuthError(
                parameters["request"] is null ? "request_uri_not_supported" : "request_not_supported",
                "Send the parameters themselves instead of a request object.").Because(RefusalReason.InvalidRequest);
        }

        if (parameters["response_mode"] is not (null or "query"))
        {
            return OAuthError.InvalidRequest("response_mode must be query.");
        }

        return ProblemWithChallenge(parameters, client)
            ?? (scopes.Except(client.Ceiling(catalog), StringComparer.Ordinal).FirstOrDefault() is { } unknown
                ? OAuthError.InvalidScope($"The scope {unknown} is not one of this client's: {string.Join(' ', client.Ceiling(catalog))}.")
                : null)
            ?? (resources.Has(resource) ? null
                : OAuthError.InvalidTarget($"resource must be {string.Join(" or ", resources.All.Select(known => known.Url))}."));
    }

    private static OAuthError? ProblemWithChallenge(FormParameters parameters, Client client)
    {
        var challenge = parameters["code_challenge"];
        var method = parameters["code_challenge_method"];
        if (challenge is null)
        {
            return method is not null ? OAuthError.InvalidRequest("code_challenge_method was sent without code_challenge.")
                : client.RequirePkce ? OAuthError.InvalidRequest("code_challenge is missing: this client must use PKCE with S256.")
                : null;
        }

        // RFC 7636 4.3: a missing method means "plain", which protects nothing (RFC 9700 2.1.1).
        if (method is not "S256")
        {
            return OAuthError.InvalidRequest("code_challenge_method must be S256.");
        }

        return challenge.Length == ChallengeLength && Base64Url.IsValid(challenge, out var bytes) && bytes == SHA256.HashSizeInBytes
            ? null
            : OAuthError.InvalidRequest("code_challenge must be 43 characters of base64url.");
    }

    private static CheckedRequest Untrusted(string description, RefusalReason reason = RefusalReason.InvalidRequest, string? clientId = null) =>
        new(null, OAuthError.InvalidRequest(description).Because(reason).Of(clientId, null), null, null);
}
