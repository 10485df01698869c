using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Sessions;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>The rules of a refresh (RFC 6749 6, RFC 9700 4.14).</summary>
internal sealed class RefreshService(
    RefreshStore store, RefreshLimit limit, UsedGenerations used, SessionService sessions, ClientAuthentication authentication,
    RefreshTokens refreshTokens, TokenAnswers answers, ProtectedResources resources, ScopeCatalog catalog, IOptions<OAuthSettings> settings)
{
    private static readonly TimeSpan LostAnswerLifetime = TimeSpan.FromDays(1);

    /// <summary>Answers with the successor of a live refresh token, or of one that was replaced a moment ago.</summary>
    public async Task<Outcome<TokenResponse>> RefreshAsync(ClientCredentials client, FormParameters form, Occasion occasion)
    {
        if (form["refresh_token"] is not { } value)
        {
            return OAuthError.InvalidRequest("refresh_token is missing.");
        }

        var presented = RefreshTokens.FromValue(value);
        var successor = refreshTokens.Successor(value);
        var named = catalog.Read(form["scope"]);
        var scopes = named.Length > 0 ? named : null; // blank counts as omitted
        var rotation = new Rotation(client, presented, successor) { Scopes = scopes, Resources = resources.Around(form["resource"]), Occasion = occasion };
        if (limit.Refuse(rotation) is { } seconds)
        {
            return TooFast(seconds).Of(client.ClientId, null);
        }

        return Renew(rotation, await store.RotateAsync(rotation), form["resource"])
            ?? await RepeatOrRefuseAsync(rotation, form["resource"]);
    }

    private TokenResponse? Renew(Rotation rotation, GrantedSession? session, string? resource) =>
        session is null
            ? null
            : answers.Of(session, rotation.Client, rotation.Successor, rotation.Scopes ?? session.Scopes, resource);

    /// <summary>A token that cannot be rotated: superseded a moment ago (its newest descendant is the answer), replayed, or simply not valid.</summary>
    /// <param name="isSecond">Somebody else had the session's lock the first time, and it was waited for.</param>
    private async Task<Outcome<TokenResponse>> RepeatOrRefuseAsync(Rotation rotation, string? resource, bool isSecond = false)
    {
        var (client, occasion) = (rotation.Client, rotation.Occasion);
        var graceStart = occasion.Now - TimeSpan.FromSeconds(settings.Value.RefreshGrace);
        var refusal = await store.ExplainAsync(client, rotation.Presented.Hash, occasion.Now, graceStart);
        if (refusal.Client.Judge(client) is { } failure)
        {
            return await authentication.RefuseAsync(client, failure, occasion);
        }

        var outcome = await RepeatOrRefuseAsync(refusal, rotation, resource, graceStart, isSecond);
        return outcome.Error?.Of(client.ClientId, refusal.Session?.Id) is { } error ? error : outcome;
    }

    private async Task<Outcome<TokenResponse>> RepeatOrRefuseAsync(
        RefreshRefusal refusal, Rotation rotation, string? resource, DateTimeOffset graceStart, bool isSecond)
    {
        var (presented, occasion) = (rotation.Presented, rotation.Occasion);
        var now = occasion.Now;
        if (refusal.Reason(presented.Value, now) is { } reason)
        {
            return OAuthError.InvalidGrant(reason, "The refresh token is unknown, expired or revoked: start again at the authorization endpoint.");
        }

        var session = refusal.Session!;
        var isLate = refusal.RotatedAt <= graceStart;
        if ((isLate && !WasAnswerLost(refusal, session, now)) || refusal.IsFarBehind)
        {
            await sessions.EndAsync(session.Id, "refresh_token_replay", AuditEvents.ReplayDetected, occasion);
            return OAuthError.InvalidGrant(
                RefusalReason.RefreshReplayed, "The refresh token was replaced earlier and has now been used again; the session has been revoked.");
        }

        if (session.Scopes.Length == 0)
        {
            return TokenAnswers.ScopesWithdrawn;
        }

        if (rotation.Scopes is { } scopes && scopes.Except(session.Scopes, StringComparer.Ordinal).Any())
        {
            return OAuthError.InvalidScope($"scope may only name scopes of the session: {string.Join(' ', session.Scopes)}.");
        }

        if (rotation.Resources?.Contains(session.Resource) == false)
        {
            return OAuthError.InvalidTarget("resource is neither the one of the session nor one beneath it.");
        }

        if (store.Wait(refusal, now) is { Ticks: > 0 } wait)
        {
            return TooFast(limit.Add(rotation, session.Id, wait));
        }

        if (refusal.RotatedAt is null)
        {
            // Nothing is wrong with the token: another statement was in the way. It stays valid, and the client may try again.
            return isSecond
                ? throw new ServiceOutageException("A live refresh token could not be rotated.")
                : Renew(rotation, await store.RotateAloneAsync(rotation), resource) ?? await RepeatOrRefuseAsync(rotation, resource, isSecond: true);
        }

        // Without the key that made the successor (it has just been rotated, and not everywhere yet) nobody is at fault but us.
        var newest = refreshTokens.Descendant(presented.Value, refusal.LaterHashes)
            ?? throw new ServiceOutageException("GPT_REFRESH_KEY lacks the key that made the successor of a refresh token.");
        if (!await store.RepeatAsync(session.Id, presented.Hash, $"{(isLate ? "late" : "grace")} {occasion.Address}", occasion))
        {
            return TooFast(limit.Add(rotation, session.Id, TimeSpan.Zero)); // others of the session were faster
        }

        return answers.Of(session, rotation.Client, newest, rotation.Scopes ?? session.Scopes, resource) with
        {
            Outcome = isLate ? TokenOutcome.Recovered : TokenOutcome.Repeated,
        };
    }

    /// <summary>
    /// As long as nobody used what came with the newest token, its predecessor is presented by somebody who never got the answer. Somebody who
    /// rotated a stolen token and works with it has used it.
    /// </summary>
    private bool WasAnswerLost(RefreshRefusal refusal, GrantedSession session, DateTimeOffset now) =>
        session.Generation == refusal.Generation + 1 && refusal.RotatedAt > now - LostAnswerLifetime
        && refusal.UsedGeneration < session.Generation && !used.IsNoted(session.Id, session.Generation);

    /// <summary>Nothing is wrong with the token, and nothing has become of it.</summary>
    private static OAuthError TooFast(int seconds) => new(
        "temporarily_unavailable", $"This connection is refreshed more often than allowed. The refresh token is still good: try again in {seconds} seconds.",
        StatusCodes.Status429TooManyRequests)
    {
        RetryAfterSeconds = seconds,
        Why = new(RefusalReason.RateLimited),
    };
}
