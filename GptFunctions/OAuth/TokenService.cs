using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Sessions;
using GptFunctions.Statistics;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>The rules of the token endpoint.</summary>
internal sealed class TokenService(
    TokenStore store, RefreshService refreshes, SessionService sessions, ClientAuthentication authentication, TokenAnswers answers,
    ProtectedResources resources, SignIns signIns, IOptions<OAuthSettings> settings)
{
    // Another sign-in of the person was faster. To end an app that nobody named would be worse than to ask once more.
    private static readonly OAuthError NoRoom = OAuthError.InvalidGrant(
        RefusalReason.SessionLimit,
        "The person has as many connected apps as allowed by now, and was not told which one this connection would end: "
        + "start again at the authorization endpoint.");

    /// <summary>Answers a token request. Every failure that the protocol knows is a value; an outage throws and leaves the grant as it was.</summary>
    public async Task<Outcome<TokenResponse>> GrantAsync(ClientCredentials client, FormParameters form, Occasion occasion) => form["grant_type"] switch
    {
        "authorization_code" => await ExchangeCodeAsync(client, form, occasion),
        "refresh_token" => await refreshes.RefreshAsync(client, form, occasion),
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
            return OAuthError.InvalidGrant(
                RefusalReason.CodeMismatch, "code_verifier must be 43 to 128 characters of A-Z, a-z, 0-9, '-', '.', '_' and '~'.");
        }

        var challenge = form["code_verifier"] is { } proof ? Pkce.Challenge(proof) : null;
        var exchange = new CodeExchange(Sha256.Of(code), form["redirect_uri"], challenge, resources.Around(form["resource"]));
        var first = RefreshTokens.First();
        var (session, hasRoom) = await store.ExchangeAsync(client, exchange, first, settings.Value, occasion);
        if (session is null)
        {
            return await RefuseExchangeAsync(client, exchange, hasRoom, occasion);
        }

        if (session.RequestId is { } requestId)
        {
            signIns.Exchanged(requestId, client.ClientId, session.Id, occasion.Now);
        }

        return answers.Of(session, client, first, session.Scopes, form["resource"]);
    }

    private async Task<OAuthError> RefuseExchangeAsync(ClientCredentials client, CodeExchange exchange, bool hasRoom, Occasion occasion)
    {
        var refusal = await store.ExplainExchangeAsync(client, exchange.CodeHash);
        if (refusal.Client.Judge(client) is { } failure)
        {
            return await authentication.RefuseAsync(client, failure, occasion);
        }

        var error = (hasRoom ? await RefuseExchangeAsync(refusal, client, exchange, occasion) : NoRoom).Of(client.ClientId, null);
        if (refusal is { IsOwnCode: true, RequestId: { } requestId })
        {
            signIns.Stopped(requestId, client.ClientId, error.Why.Reason, occasion.Now);
        }

        return error;
    }

    private async Task<OAuthError> RefuseExchangeAsync(ExchangeRefusal refusal, ClientCredentials client, CodeExchange exchange, Occasion occasion)
    {
        if (!refusal.IsOwnCode)
        {
            return OAuthError.InvalidGrant(RefusalReason.CodeUnknown, "The authorization code is unknown.");
        }

        if (refusal.UsedForSession is { } sessionId)
        {
            // Whoever only saw the code, in a log or a history, must not be able to end the session with it: a client without a secret
            // proves that the code is its own by the verifier, and by the redirect URI.
            if (client.Method == AuthMethods.None && (refusal.CodeChallenge != exchange.CodeChallenge || refusal.RedirectUri != exchange.RedirectUri))
            {
                return OAuthError.InvalidGrant(RefusalReason.CodeReplayed, "The authorization code was used before.");
            }

            // RFC 6749 4.1.2: the first user may have been the thief.
            await sessions.EndAsync(sessionId, "code_replay", AuditEvents.CodeReplayDetected, occasion);
            return OAuthError.InvalidGrant(
                RefusalReason.CodeReplayed, "The authorization code was used before; the session it opened has been revoked.").Of(null, sessionId);
        }

        return refusal switch
        {
            _ when refusal.ExpiresAt <= occasion.Now =>
                OAuthError.InvalidGrant(RefusalReason.CodeExpired, "The authorization code has expired."),
            _ when refusal.RedirectUri != exchange.RedirectUri =>
                OAuthError.InvalidGrant(RefusalReason.CodeMismatch, "redirect_uri is not the one of the authorization request."),
            _ when refusal.CodeChallenge is null && exchange.CodeChallenge is not null =>
                OAuthError.InvalidGrant(
                    RefusalReason.CodeMismatch, "A code_verifier was sent, but the authorization request had no code_challenge."),
            _ when refusal.CodeChallenge != exchange.CodeChallenge =>
                OAuthError.InvalidGrant(RefusalReason.CodeMismatch, "code_verifier does not match the code_challenge of the authorization request."),
            _ when exchange.Resources?.Contains(refusal.Resource) == false =>
                OAuthError.InvalidTarget("resource is neither the one of the authorization request nor one beneath it."),
            _ when !refusal.HasScopes => TokenAnswers.ScopesWithdrawn,
            _ => OAuthError.InvalidGrant(
                RefusalReason.AccountClosed, "The person who signed in no longer has an account, or it is blocked."),
        };
    }
}
