using System.Text.Json.Serialization;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Sessions;
using GptFunctions.Statistics;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>A successful answer of the token endpoint (RFC 6749 5.1).</summary>
/// <param name="ExpiresIn">Seconds until the access token expires.</param>
/// <param name="Scope">Space-separated.</param>
internal sealed record TokenResponse(string AccessToken, string TokenType, int ExpiresIn, string RefreshToken, string Scope)
{
    /// <summary>For the meters.</summary>
    [JsonIgnore]
    public TokenOutcome Outcome { get; init; } = TokenOutcome.Granted;
}

/// <summary>The rules of the token endpoint.</summary>
internal sealed class TokenService(
    TokenStore store, UsedGenerations used, SessionService sessions, ClientAuthentication authentication, RefreshTokens refreshTokens,
    AccessTokens accessTokens, ProtectedResources resources, ScopeCatalog catalog, SignIns signIns, IOptions<OAuthSettings> settings)
{
    private static readonly TimeSpan LostAnswerLifetime = TimeSpan.FromDays(1);

    private static readonly OAuthError ScopesWithdrawn = OAuthError.InvalidGrant(
        RefusalReason.ScopesWithdrawn, "All scopes that the person granted have been withdrawn from this client: start again at the authorization endpoint.");

    // Another sign-in of the person was faster. To end an app that nobody named would be worse than to ask once more.
    private static readonly OAuthError NoRoom = OAuthError.InvalidGrant(
        RefusalReason.SessionLimit,
        "The person has as many connected apps as allowed by now, and was not told which one this connection would end: "
        + "start again at the authorization endpoint.");

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
            return OAuthError.InvalidGrant(
                RefusalReason.CodeMismatch, "code_verifier must be 43 to 128 characters of A-Z, a-z, 0-9, '-', '.', '_' and '~'.");
        }

        var challenge = form["code_verifier"] is { } proof ? Pkce.Challenge(proof) : null;
        var exchange = new CodeExchange(Sha256.Of(code), form["redirect_uri"], challenge, Around(form["resource"]));
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

        return Answer(session, client, first, session.Scopes, form["resource"]);
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
            _ when !refusal.HasScopes => ScopesWithdrawn,
            _ => OAuthError.InvalidGrant(
                RefusalReason.AccountClosed, "The person who signed in no longer has an account, or it is blocked."),
        };
    }

    private async Task<Outcome<TokenResponse>> RefreshAsync(ClientCredentials client, FormParameters form, Occasion occasion)
    {
        if (form["refresh_token"] is not { } value)
        {
            return OAuthError.InvalidRequest("refresh_token is missing.");
        }

        var presented = RefreshTokens.FromValue(value);
        var successor = refreshTokens.Successor(value);
        var named = catalog.Read(form["scope"]);
        var scopes = named.Length > 0 ? named : null; // blank counts as omitted
        var idleLifetime = TimeSpan.FromSeconds(settings.Value.RefreshTokenExpiry);
        var session = await store.RefreshAsync(client, presented, successor, scopes, Around(form["resource"]), idleLifetime, occasion);
        return session is null
            ? await RepeatOrRefuseAsync(client, presented, scopes, form["resource"], occasion)
            : Answer(session, client, successor, scopes ?? session.Scopes, form["resource"]);
    }

    /// <summary>A token that cannot be rotated: superseded a moment ago (its newest descendant is the answer), replayed, or simply not valid.</summary>
    private async Task<Outcome<TokenResponse>> RepeatOrRefuseAsync(
        ClientCredentials client, RefreshToken presented, string[]? scopes, string? resource, Occasion occasion)
    {
        var graceStart = occasion.Now - TimeSpan.FromSeconds(settings.Value.RefreshGrace);
        var refusal = await store.ExplainRefreshAsync(client, presented.Hash, occasion.Now, graceStart);
        if (refusal.Client.Judge(client) is { } failure)
        {
            return await authentication.RefuseAsync(client, failure, occasion);
        }

        var outcome = await RepeatOrRefuseAsync(refusal, client, presented, scopes, resource, occasion, graceStart);
        return outcome.Error?.Of(client.ClientId, refusal.Session?.Id) is { } error ? error : outcome;
    }

    private async Task<Outcome<TokenResponse>> RepeatOrRefuseAsync(
        RefreshRefusal refusal, ClientCredentials client, RefreshToken presented, string[]? scopes, string? resource, Occasion occasion,
        DateTimeOffset graceStart)
    {
        var now = occasion.Now;
        if (refusal.Reason(presented.Value, now) is { } reason)
        {
            return OAuthError.InvalidGrant(reason, "The refresh token is unknown, expired or revoked: start again at the authorization endpoint.");
        }

        var session = refusal.Session!;
        var isLate = refusal.RotatedAt <= graceStart;
        if (isLate && !WasAnswerLost(refusal, session, now))
        {
            await sessions.EndAsync(session.Id, "refresh_token_replay", AuditEvents.ReplayDetected, occasion);
            return OAuthError.InvalidGrant(
                RefusalReason.RefreshReplayed, "The refresh token was replaced earlier and has now been used again; the session has been revoked.");
        }

        if (session.Scopes.Length == 0)
        {
            return ScopesWithdrawn;
        }

        if (scopes is not null && scopes.Except(session.Scopes, StringComparer.Ordinal).Any())
        {
            return OAuthError.InvalidScope($"scope may only name scopes of the session: {string.Join(' ', session.Scopes)}.");
        }

        if (Around(resource)?.Contains(session.Resource) == false)
        {
            return OAuthError.InvalidTarget("resource is neither the one of the session nor one beneath it.");
        }

        if (refusal.RotatedAt is null)
        {
            // Nothing is wrong with the token: another statement was in the way. It stays valid, and the client may try again.
            throw new ServiceOutageException("A live refresh token could not be rotated.");
        }

        // Without the key that made the successor (it has just been rotated, and not everywhere yet) nobody is at fault but us.
        var newest = refreshTokens.Descendant(presented.Value, refusal.LaterHashes)
            ?? throw new ServiceOutageException("GPT_REFRESH_KEY lacks the key that made the successor of a refresh token.");
        var repeatedFrom = $"{(isLate ? "late" : "grace")} {occasion.Address}";
        if (!refusal.RepeatedFrom.Contains(repeatedFrom, StringComparer.Ordinal))
        {
            await store.TellRepeatAsync(presented.Hash, repeatedFrom, occasion);
        }

        var answer = Answer(session, client, newest, scopes ?? session.Scopes, resource);
        return answer.Value is { } response ? response with { Outcome = isLate ? TokenOutcome.Recovered : TokenOutcome.Repeated } : answer;
    }

    /// <summary>
    /// As long as nobody used what came with the newest token, its predecessor is presented by somebody who never got the answer. Somebody who
    /// rotated a stolen token and works with it has used it.
    /// </summary>
    private bool WasAnswerLost(RefreshRefusal refusal, GrantedSession session, DateTimeOffset now) =>
        session.Generation == refusal.Generation + 1 && refusal.RotatedAt > now - LostAnswerLifetime
        && refusal.UsedGeneration < session.Generation && !used.IsNoted(session.Id, session.Generation);

    /// <summary>The resources of sessions that may have a token for the one that a request names (RFC 8707 2.2); null when it names none.</summary>
    private string[]? Around(string? resource) => resource is null ? null : resources.Around(resource);

    /// <param name="resource">What this access token is for; null: what the session is for.</param>
    private Outcome<TokenResponse> Answer(GrantedSession session, ClientCredentials client, RefreshToken token, string[] scopes, string? resource)
    {
        var scope = string.Join(' ', scopes);
        var accessToken = accessTokens.Issue(session.Subject, client.ClientId, session.Id, scope, resource ?? session.Resource, session.Generation);
        return new TokenResponse(accessToken, "Bearer", accessTokens.Lifetime, token.Value, scope);
    }
}
