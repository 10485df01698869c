using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.RateLimits;
using GptFunctions.Sessions;
using GptFunctions.Tokens;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace GptFunctions.Gateway;

/// <summary>A request as far as it decides who may do what.</summary>
/// <param name="Path">Percent-decoded.</param>
/// <param name="Query">As it came.</param>
/// <param name="Token">Of the Authorization header.</param>
/// <param name="Call">Takes its place once the user is known.</param>
internal sealed record GatewayRequest(string Method, string Path, string Query, string? Token, bool HasTokenInQuery, Occasion Occasion, OpenCall Call);

/// <summary>A request that may go to its upstream.</summary>
/// <param name="Values">What the parameters of the route's path stand for.</param>
/// <param name="Attempt">The event that was committed for it; null for a route that is not audited.</param>
internal sealed record Admission(GatewayRoute Route, string[] Values, Caller Caller, InternalUser User, Occasion Occasion, Guid? Attempt);

/// <summary>Either an admission or a refusal, and the user's quota when that was asked.</summary>
internal readonly record struct Verdict(Admission? Admission, GatewayRefusal? Refusal, Quota? Quota)
{
    public static implicit operator Verdict(GatewayRefusal refusal) => new(null, refusal, null);
}

/// <summary>The rules of the gateway, step by step: route, token, session, user, scope, limits, the record of the attempt.</summary>
internal sealed partial class GatewayService(
    GatewayRoutes routes, ProtectedResources resources, CallerCheck callers, RateLimiter limits, ActionLog actions,
    IOptions<GatewaySettings> settings, ILogger<GatewayService> logger)
{
    private const int ForgeriesPerAddress = 600;
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    public async ValueTask<Verdict> AdmitAsync(GatewayRequest request)
    {
        if (PathTemplate.HasControlCharacter(request.Path, request.Query))
        {
            return GatewayRefusal.ControlCharacters;
        }

        var match = routes.Find(request.Method, request.Path);
        if (match.Route is not { } route)
        {
            return match.AllowedMethods.Count > 0 ? GatewayRefusal.MethodNotAllowed(match.AllowedMethods) : GatewayRefusal.NotFound;
        }

        if (request.HasTokenInQuery)
        {
            return GatewayRefusal.TokenInQuery(route);
        }

        if (request.Token is not { } token)
        {
            return GatewayRefusal.TokenMissing(route);
        }

        var check = await callers.VerifyAsync(token, route.AllowsClerkSession ? TakenTokens.Both : TakenTokens.AccessTokens, request.Occasion.Now);
        return check.Value is not { } caller ? await RefuseTokenAsync(check.Error!, route, request.Occasion)
            : caller.IsFor(resources.Find(route.ResourcePath)!.Url) ? await AdmitAsync(request, match, caller)
            : GatewayRefusal.Unauthenticated(AccessTokens.ForAnother, route);
    }

    /// <summary>Notes how an admitted call ended, for routes that are audited.</summary>
    /// <param name="status">What the caller got.</param>
    public void Ended(Admission admission, int status, TimeSpan took)
    {
        if (admission.Attempt is { } attempt)
        {
            actions.End(attempt, status, took);
        }
    }

    private async ValueTask<Verdict> AdmitAsync(GatewayRequest request, RouteMatch match, Caller caller)
    {
        var route = match.Route!;
        InternalUser? user;
        CallerRefusal refusal;
        try
        {
            (user, refusal) = await callers.AdmitAsync(caller, route.Scope, request.Occasion.Now);
        }
        catch (Exception error) when (ErrorMapper.IsOutage(error))
        {
            LogIdentityUnavailable(request.Occasion.CorrelationId, error.Message);
            return GatewayRefusal.IdentityUnavailable;
        }

        if (user is null)
        {
            return refusal switch
            {
                CallerRefusal.SessionEnded => GatewayRefusal.Unauthenticated(CallerCheck.SessionEnded, route),
                CallerRefusal.ScopeMissing => GatewayRefusal.InsufficientScope(route, caller.Scope),
                CallerRefusal.UserBlocked => GatewayRefusal.UserBlocked,
                _ => GatewayRefusal.UserNotFound,
            };
        }

        if (request.Call.Enter(user.Id) is { } full)
        {
            return full;
        }

        var quota = await TakeAsync(route.Tier, caller.Subject);
        return quota.Decision.RetryAfterSeconds is null
            ? await RecordAsync(request, match, caller, user, quota)
            : new Verdict(null, GatewayRefusal.TooMany(quota), quota);
    }

    /// <summary>
    /// The attempt is committed before the call leaves; what cannot be recorded is not done. Not in the limit's statement: many callers share
    /// that one, and on its unlogged table it waits for no disk; this one must.
    /// </summary>
    private async ValueTask<Verdict> RecordAsync(GatewayRequest request, RouteMatch match, Caller caller, InternalUser user, Quota quota)
    {
        try
        {
            var attempt = await actions.BeginAsync(match.Route!, caller, request.Occasion);
            return new Verdict(new Admission(match.Route!, match.Values, caller, user, request.Occasion, attempt), null, quota);
        }
        catch (Exception error) when (error is NpgsqlException || ErrorMapper.IsOutage(error))
        {
            LogNotRecordable(request.Occasion.CorrelationId, match.Route!.EventType, error.Message);
            return new Verdict(null, GatewayRefusal.AuditUnavailable, quota);
        }
    }

    private async ValueTask<Quota> TakeAsync(string tier, string subject)
    {
        var limit = GatewaySettings.Tiers[tier](settings.Value);
        return new Quota(tier, limit, Minute, await limits.TryTakeAsync($"{tier}|{subject}", limit, Minute));
    }

    /// <summary>
    /// Forged tokens are limited per address. Expired and revoked ones are not: all of ChatGPT's users come from a few addresses. A good
    /// token never gets here, so nobody can lock an address out.
    /// </summary>
    private async ValueTask<Verdict> RefuseTokenAsync(OAuthError error, GatewayRoute route, Occasion occasion)
    {
        if (CallerCheck.IsForgery(error))
        {
            var quota = new Quota(
                "forged-tokens", ForgeriesPerAddress, Minute,
                await limits.TryTakeAsync($"forged-token|{occasion.Network}", ForgeriesPerAddress, Minute));
            if (quota.Decision.RetryAfterSeconds is not null)
            {
                return new Verdict(null, GatewayRefusal.TooMany(quota), quota);
            }
        }

        return GatewayRefusal.Unauthenticated(error, route);
    }

    [LoggerMessage(6010, LogLevel.Warning, "The gateway answered 503 (correlation id {CorrelationId}), because session or user cannot be looked up: {Reason}")]
    private partial void LogIdentityUnavailable(string correlationId, string reason);

    [LoggerMessage(
        6014, LogLevel.Warning,
        "The gateway answered 503 (correlation id {CorrelationId}), because the attempt {EventType} cannot be recorded: {Reason}")]
    private partial void LogNotRecordable(string correlationId, string? eventType, string reason);
}
