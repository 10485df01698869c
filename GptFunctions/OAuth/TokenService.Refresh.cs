using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Tokens;

namespace GptFunctions.OAuth;

internal sealed partial class TokenService
{
    private static readonly TimeSpan LostAnswerLifetime = TimeSpan.FromDays(1);

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
        var session = await store.RefreshAsync(client, presented, successor, scopes, form["resource"], idleLifetime, occasion);
        return session is null
            ? await RepeatOrRefuseAsync(client, presented, scopes, form["resource"], occasion)
            : Answer(session, client, successor, scopes ?? session.Scopes);
    }

    /// <summary>A token that cannot be rotated: superseded a moment ago (its newest descendant is the answer), replayed, or simply not valid.</summary>
    private async Task<Outcome<TokenResponse>> RepeatOrRefuseAsync(
        ClientCredentials client, RefreshToken presented, string[]? scopes, string? resource, Occasion occasion)
    {
        var now = occasion.Now;
        var graceStart = now - TimeSpan.FromSeconds(settings.Value.RefreshGrace);
        var refusal = await store.ExplainRefreshAsync(client, presented.Hash, now, graceStart);
        if (refusal.Client.Judge(client) is { } failure)
        {
            return await authentication.RefuseAsync(client, failure, occasion);
        }

        if (!refusal.IsOwnToken || refusal.Session is not { } session || !refusal.IsSessionLive || refusal.IsRevoked || refusal.ExpiresAt <= now)
        {
            return OAuthError.InvalidGrant("The refresh token is unknown, expired or revoked: start again at the authorization endpoint.");
        }

        var isLate = refusal.RotatedAt <= graceStart;
        if (isLate && !WasAnswerLost(refusal, session, now))
        {
            await sessions.EndAsync(session.Id, "refresh_token_replay", AuditEvents.ReplayDetected, occasion);
            return OAuthError.InvalidGrant("The refresh token was replaced earlier and has now been used again; the session has been revoked.");
        }

        if (session.Scopes.Length == 0)
        {
            return ScopesWithdrawn;
        }

        if (scopes is not null && scopes.Except(session.Scopes, StringComparer.Ordinal).Any())
        {
            return OAuthError.InvalidScope($"scope may only name scopes of the session: {string.Join(' ', session.Scopes)}.");
        }

        if (resource is not null && resource != session.Resource)
        {
            return OAuthError.InvalidTarget("resource is not the one of the session.");
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

        return Answer(session, client, newest, scopes ?? session.Scopes);
    }

    /// <summary>
    /// As long as nobody used what came with the newest token, its predecessor is presented by somebody who never got the answer. Somebody who
    /// rotated a stolen token and works with it has used it.
    /// </summary>
    private bool WasAnswerLost(RefreshRefusal refusal, GrantedSession session, DateTimeOffset now) =>
        session.Generation == refusal.Generation + 1 && refusal.RotatedAt > now - LostAnswerLifetime
        && refusal.UsedGeneration < session.Generation && !used.IsNoted(session.Id, session.Generation);
}
