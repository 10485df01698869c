using System.Runtime.CompilerServices;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Plans;
using GptFunctions.RateLimits;
using GptFunctions.Sessions;
using GptFunctions.Statistics;
using GptFunctions.Tokens;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace GptFunctions.Gateway;

/// <summary>A request as far as it decides who may do what.</summary>
/// <param name="Path">Percent-decoded.</param>
/// <param name="Query">As it came.</param>
/// <param name="Token">Of the Authorization header; empty when there is none.</param>
internal sealed record GatewayRequest(string Method, string Path, string Query, ReadOnlyMemory<char> Token, bool HasTokenInQuery, Occasion Occasion)
{
    /// <summary>The path of the resource that the caller turned to, where that is not the route's own: an MCP endpoint of which the route is a tool.</summary>
    public string? ResourcePath { get; init; }
}

/// <summary>A request that may go to its upstream.</summary>
/// <param name="Values">What the parameters of the route's path stand for.</param>
/// <param name="Unit">What it uses of the month's quota; null for a route that counts against none.</param>
/// <param name="Attempt">The event that was committed for it; null for a route that is not audited.</param>
internal sealed record Admission(
    GatewayRoute Route, string[] Values, Caller Caller, InternalUser User, Occasion Occasion, QuotaUnit? Unit, Guid? Attempt);

/// <summary>Either an admission or a refusal, and the user's quota when that was asked.</summary>
internal readonly record struct Verdict(Admission? Admission, GatewayRefusal? Refusal, Quota? Quota)
{
    public static implicit operator Verdict(GatewayRefusal refusal) => new(null, refusal, null);
}

/// <summary>The rules of the gateway, step by step: route, token, session, user, scope, limits, the record of the attempt.</summary>
internal sealed partial class GatewayService(
    GatewayRoutes routes, ProtectedResources resources, CallerCheck callers, RateLimiter limits, UsageService usage, ActionLog actions, GatewayMetrics metrics,
    ClientUsage clientUsage, SignIns signIns, SafeMode safeMode, IOptions<GatewaySettings> settings, ILogger<GatewayService> logger)
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly QuotaPolicy Forgeries = new("forged-tokens", 600, Minute); // of an address
    private readonly Dictionary<string, QuotaPolicy> tiers = GatewaySettings.Tiers.ToDictionary(
        tier => tier.Key, tier => new QuotaPolicy(tier.Key, tier.Value(settings.Value), Minute), StringComparer.Ordinal);

    /// <param name="place">Taken once the user is known.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))] // nobody keeps the task, so its memory serves the next call
    public async ValueTask<Verdict> AdmitAsync(GatewayRequest request, OpenCall place)
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

        var (caller, user, refused) = await IdentifyAsync(request, route, route.Scope);
        if (user is null)
        {
            return refused;
        }

        if (place.Enter(user.Id) is { } full)
        {
            return full.Of(caller);
        }

        var month = route.Quota is { } name ? usage.StateOf(user, name, request.Occasion.Now) : null;
        var (key, tier) = (caller!.LimitOf(route.Tier), tiers[route.Tier]);
        var (quota, unit, refusal) = month is { Limit: not 0 }
            ? await TakeAsync(key, tier, UsageService.UnitOf(user, month, request.Occasion.Now), month, request.Occasion)
            : Taken(new Quota(tier, await limits.TryTakeAsync(key, tier.Limit, Minute)), month, user, request.Occasion);
        var verdict = refusal is null ? await RecordAsync(request, match, caller, user, quota!, unit) : Refused(refusal, quota);
        if (verdict.Admission is not null && caller.ClientId is { } clientId)
        {
            clientUsage.Add(clientId, user.Id, request.Occasion.Now);
        }

        return verdict.Refusal is { } reason ? verdict with { Refusal = reason.Of(caller) } : verdict;
    }

    /// <summary>Who calls an endpoint that is no route to an upstream: checked as for a route, but for scope and limits.</summary>
    /// <param name="endpoint">Says which resource it is, and which scopes a challenge asks for.</param>
    public async ValueTask<(Caller? Caller, InternalUser? User, GatewayRefusal? Refusal)> IdentifyAsync(GatewayRequest request, GatewayRoute endpoint)
    {
        var (caller, user, refused) = await IdentifyAsync(request, endpoint, null);
        return (caller, user, refused.Refusal);
    }

    /// <summary>How the plan of whoever calls stands: with any scope, and not counted.</summary>
    /// <returns>The user, the plan that counts and each quota; or a refusal.</returns>
    public async Task<(InternalUser? User, IReadOnlyList<QuotaState> Quotas, GatewayRefusal? Refusal)> ReadUsageAsync(GatewayRequest request)
    {
        var occasion = request.Occasion;
        var (caller, user, refused) = await IdentifyAsync(request, null, null);
        if (user is null)
        {
            return (null, [], refused.Refusal);
        }

        try
        {
            return (user, await usage.ReadAsync(user, occasion.Now), null);
        }
        catch (Exception error) when (error is NpgsqlException || ErrorMapper.IsOutage(error))
        {
            LogQuotaUnavailable(occasion.CorrelationId, error.Message);
            return (null, [], GatewayRefusal.QuotaUnavailable.Of(caller));
        }
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

    /// <summary>Whose token it is, when it is good for the route (null: for anything of the gateway), its session lives and the user may act.</summary>
    /// <param name="scope">Null: any.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<(Caller? Caller, InternalUser? User, Verdict Refused)> IdentifyAsync(GatewayRequest request, GatewayRoute? route, string? scope)
    {
        var occasion = request.Occasion;
        if (route is not null && Traces.Described is { } span && span.GetTagItem("http.route") is null) // a request may make several calls
        {
            span.SetTag("http.route", route.Path.Text);
        }

        if (request.HasTokenInQuery)
        {
            return (null, null, GatewayRefusal.TokenInQuery(route));
        }

        if (request.Token.IsEmpty)
        {
            return (null, null, GatewayRefusal.TokenMissing(route));
        }

        var taken = route?.AllowsClerkSession == true ? TakenTokens.Both : TakenTokens.AccessTokens;
        var (caller, error) = await callers.VerifyAsync(request.Token, taken, occasion.Now);
        if (caller is null)
        {
            return (null, null, await RefuseTokenAsync(error!, route, occasion));
        }

        if (!caller.IsFor(resources.Find(request.ResourcePath ?? route?.ResourcePath ?? ProtectedResources.GatewayPath)!.Url))
        {
            return (null, null, GatewayRefusal.Unauthenticated(AccessTokens.ForAnother, route).Of(caller));
        }

        try
        {
            var (user, refusal) = await callers.AdmitAsync(caller, scope, occasion.Now);
            if (user is not null && caller.SessionId is { } sessionId)
            {
                signIns.Called(sessionId, occasion.Now);
            }

            return (caller, user, refusal switch
            {
                CallerRefusal.None => default(Verdict),
                CallerRefusal.SessionEnded => GatewayRefusal.Unauthenticated(CallerCheck.SessionEnded, route).Of(caller),
                CallerRefusal.ScopeMissing => GatewayRefusal.InsufficientScope(route!, caller.Scope).Of(caller),
                CallerRefusal.UserBlocked => GatewayRefusal.UserBlocked.Of(caller),
                _ => GatewayRefusal.UserNotFound.Of(caller),
            });
        }
        catch (Exception failure) when (ErrorMapper.IsOutage(failure))
        {
            LogIdentityUnavailable(occasion.CorrelationId, failure.Message);
            return (null, null, GatewayRefusal.IdentityUnavailable.Of(caller));
        }
    }

    private Verdict Refused(GatewayRefusal refusal, Quota? quota)
    {
        if (refusal.Quota is { } used)
        {
            metrics.QuotaRefused(used.Quota, refusal.Code!);
        }

        return new Verdict(null, refusal, quota);
    }

    /// <summary>
    /// The attempt is committed before the call leaves; what cannot be recorded is not done. Not in the limit's statement: many callers share
    /// that one, and on its unlogged table it waits for no disk; this one must.
    /// </summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Verdict> RecordAsync(GatewayRequest request, RouteMatch match, Caller caller, InternalUser user, Quota quota, QuotaUnit? unit)
    {
        try
        {
            var attempt = await actions.BeginAsync(match.Route!, caller, request.Occasion);
            if (safeMode.IsForAll && match.Route!.HasEffect(request.Method))
            {
                return await SkipAsync(match.Route, attempt, quota, unit, request.Occasion);
            }

            return new Verdict(new Admission(match.Route!, match.Values, caller, user, request.Occasion, unit, attempt), null, quota);
        }
        catch (Exception error) when (error is NpgsqlException || ErrorMapper.IsOutage(error))
        {
            LogNotRecordable(request.Occasion.CorrelationId, match.Route!.EventType, error.Message);
            if (unit is not null)
            {
                await usage.GiveBackAsync(unit);
            }

            return new Verdict(null, GatewayRefusal.AuditUnavailable, quota);
        }
    }

    /// <summary>In safe mode: the caller is told, the trail says skipped, and the month is not charged.</summary>
    private async Task<Verdict> SkipAsync(GatewayRoute route, Guid? attempt, Quota quota, QuotaUnit? unit, Occasion occasion)
    {
        if (attempt is { } recorded)
        {
            actions.Skip(recorded);
        }

        if (unit is not null)
        {
            await usage.GiveBackAsync(unit);
        }

        LogSkipped(route.Name, occasion.CorrelationId);
        return new Verdict(null, GatewayRefusal.SafeMode, quota);
    }

    /// <summary>One of the calls of the minute was asked for, and none of the month.</summary>
    /// <param name="month">Of which the user's plan gives nothing; null where the route counts against no quota.</param>
    private (Quota? Quota, QuotaUnit? Unit, GatewayRefusal? Refusal) Taken(Quota quota, QuotaState? month, InternalUser user, Occasion occasion) =>
        (quota, null, quota.Decision.RetryAfterSeconds is not null ? GatewayRefusal.TooMany(quota)
            : month is null ? null
            : GatewayRefusal.PlanRequired(month, usage.IsPaidFor(user, occasion.Now)));

    /// <summary>Takes one of the calls of the minute, and with it one of the month.</summary>
    /// <returns>How the minute's limit stands (null: nobody knows), the unit of the month, and why not.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<(Quota? Quota, QuotaUnit? Unit, GatewayRefusal? Refusal)> TakeAsync(
        LimitKey key, QuotaPolicy tier, QuotaUnit unit, QuotaState month, Occasion occasion)
    {
        try
        {
            var (decision, answer) = await limits.TryTakeAsync(key, tier.Limit, Minute, unit);
            var quota = new Quota(tier, decision);
            return answer is not { } counted ? (quota, null, GatewayRefusal.TooMany(quota))
                : counted.IsTaken ? (quota, unit, null)
                : (quota, null, GatewayRefusal.QuotaUsedUp(
                    month with { Used = counted.Used }, (int)Math.Ceiling((month.ResetsAt - occasion.Now).TotalSeconds)));
        }
        catch (Exception error) when (error is NpgsqlException || ErrorMapper.IsOutage(error))
        {
            usage.GiveBackLater(unit);
            LogQuotaUnavailable(occasion.CorrelationId, error.Message);
            return (null, null, GatewayRefusal.QuotaUnavailable);
        }
    }

    /// <summary>
    /// Forged tokens are limited per address. Expired and revoked ones are not: all of ChatGPT's users come from a few addresses. A good
    /// token never gets here, so nobody can lock an address out.
    /// </summary>
    private async ValueTask<Verdict> RefuseTokenAsync(OAuthError error, GatewayRoute? route, Occasion occasion)
    {
        if (CallerCheck.IsForgery(error))
        {
            var quota = new Quota(Forgeries, await limits.TryTakeAsync($"forged-token|{occasion.Network}", Forgeries.Limit, Minute));
            if (quota.Decision.RetryAfterSeconds is not null)
            {
                return new Verdict(null, GatewayRefusal.TooMany(quota), quota);
            }
        }

        return GatewayRefusal.Unauthenticated(error, route);
    }

    [LoggerMessage(6030, LogLevel.Information, "The action {Route} was not forwarded, because of safe mode (correlation id {CorrelationId})")]
    private partial void LogSkipped(string route, string correlationId);

    [LoggerMessage(6010, LogLevel.Warning, "The gateway answered 503 (correlation id {CorrelationId}), because session or user cannot be looked up: {Reason}")]
    private partial void LogIdentityUnavailable(string correlationId, string reason);

    [LoggerMessage(6015, LogLevel.Warning, "The gateway answered 503 (correlation id {CorrelationId}), because the month's quota cannot be counted: {Reason}")]
    private partial void LogQuotaUnavailable(string correlationId, string reason);

    [LoggerMessage(
        6014, LogLevel.Warning,
        "The gateway answered 503 (correlation id {CorrelationId}), because the attempt {EventType} cannot be recorded: {Reason}")]
    private partial void LogNotRecordable(string correlationId, string? eventType, string reason);
}
