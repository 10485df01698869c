using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Sessions;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>A successful answer of the token endpoint (RFC 6749 5.1).</summary>
/// <param name="ExpiresIn">Seconds until the access token expires.</param>
/// <param name="Scope">Space-separated.</param>
internal sealed record TokenResponse(string AccessToken, string TokenType, int ExpiresIn, string RefreshToken, string Scope);

/// <summary>The rules of the token endpoint.</summary>
internal sealed partial class TokenService(
    TokenStore store, UsedGenerations used, SessionService sessions, ClientAuthentication authentication, RefreshTokens refreshTokens, AccessTokens accessTokens,
    ScopeCatalog catalog, IOptions<OAuthSettings> settings)
{
    private static readonly OAuthError ScopesWithdrawn = OAuthError.InvalidGrant(
        "All scopes that the person granted have been withdrawn from this client: start again at the authorization endpoint.");

    // Another sign-in of the person was faster. To end an app that nobody named would be worse than to ask once more.
    private static readonly OAuthError NoRoom = OAuthError.InvalidGrant(
        "The person has as many connected apps as allowed by now, and was not told which one this connection would end: start again at the authorization endpoint.");

    /// <summary>Answers a token request. Every failure that the protocol knows is a value; an outage throws and leaves the grant as it was.</summary>
    public async Task<Outcome<TokenResponse>> GrantAsync(ClientCredentials client, FormParameters form, Occasion occasion) => form["grant_type"] switch
    {
        "authorization_code" => await ExchangeCodeAsync(client, form, occasion),
        "refresh_token" => await RefreshAsync(client, form, occasion),
        null => OAuthError.InvalidRequest("grant_type is missing: send authorization_code or refresh_token."),
        _ => new OAuthError("unsupported_grant_type", "grant_type must be authorization_code or refresh_token."),
    };

    private async Task<Outcome<TokenResponse>> ExchangeCodeAsync(ClientCredentials client, FormParameters form, Occasion occasion)
    {
        if (form["code"] is not { } code)
        {
            return OAuthError.InvalidRequest("code is missing.");
        }

        if (form["code_verifier"] is { } verifier && !Pkce.IsVerifier(verifier))
        {
            return OAuthError.InvalidGrant("code_verifier must be 43 to 128 characters of A-Z, a-z, 0-9, '-', '.', '_' and '~'.");
        }

        var challenge = form["code_verifier"] is { } proof ? Pkce.Challenge(proof) : null;
        var exchange = new CodeExchange(Sha256.Of(code), form["redirect_uri"], challenge, form["resource"]);
        var first = RefreshTokens.First();
        var (session, hasRoom) = await store.ExchangeAsync(client, exchange, first, settings.Value, occasion);
        return session is not null ? Answer(session, client, first, session.Scopes)
            : hasRoom ? await RefuseExchangeAsync(client, exchange, occasion)
            : NoRoom;
    }

    private async Task<OAuthError> RefuseExchangeAsync(ClientCredentials client, CodeExchange exchange, Occasion occasion)
    {
        var refusal = await store.ExplainExchangeAsync(client, exchange.CodeHash);
        if (refusal.Client.Judge(client) is { } failure)
        {
            return await authentication.RefuseAsync(client, failure, occasion);
        }

        if (!refusal.IsOwnCode)
        {
            return OAuthError.InvalidGrant("The authorization code is unknown.");
        }

        if (refusal.UsedForSession is { } sessionId)
        {
            // Whoever only saw the code, in a log or a history, must not be able to end the session with it: a client without a secret
            // proves that the code is its own by the verifier, and by the redirect URI.
            if (client.Method == AuthMethods.None && (refusal.CodeChallenge != exchange.CodeChallenge || refusal.RedirectUri != exchange.RedirectUri))
            {
                return OAuthError.InvalidGrant("The authorization code was used before.");
            }

            // RFC 6749 4.1.2: the first user may have been the thief.
            await sessions.EndAsync(sessionId, "code_replay", AuditEvents.CodeReplayDetected, occasion);
            return OAuthError.InvalidGrant("The authorization code was used before; the session it opened has been revoked.");
        }

        return refusal switch
        {
            _ when refusal.ExpiresAt <= occasion.Now => OAuthError.InvalidGrant("The authorization code has expired."),
            _ when refusal.RedirectUri != exchange.RedirectUri => OAuthError.InvalidGrant("redirect_uri is not the one of the authorization request."),
            _ when refusal.CodeChallenge is null && exchange.CodeChallenge is not null => OAuthError.InvalidGrant("A code_verifier was sent, but the authorization request had no code_challenge."),
            _ when refusal.CodeChallenge != exchange.CodeChallenge => OAuthError.InvalidGrant("code_verifier does not match the code_challenge of the authorization request."),
            _ when exchange.Resource is not null && refusal.Resource != exchange.Resource => OAuthError.InvalidTarget("resource is not the one of the authorization request."),
            _ when !refusal.HasScopes => ScopesWithdrawn,
            _ => OAuthError.InvalidGrant("The person who signed in no longer has an account, or it is blocked."),
        };
    }

    private Outcome<TokenResponse> Answer(GrantedSession session, ClientCredentials client, RefreshToken token, string[] scopes)
    {
        var scope = string.Join(' ', scopes);
        var accessToken = accessTokens.Issue(session.Subject, client.ClientId, session.Id, scope, session.Resource, session.Generation);
        return new TokenResponse(accessToken, "Bearer", accessTokens.Lifetime, token.Value, scope);
    }
}
