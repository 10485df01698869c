using System.Globalization;
using GptFunctions.Hosting;
using GptFunctions.Plans;
using GptFunctions.RateLimits;
using GptFunctions.Sessions;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Gateway;

/// <summary>Why a request is not answered by its upstream: what a problem document says, in sentences that a model can act on.</summary>
internal sealed record GatewayRefusal(int Status, string Title, string Detail)
{
    /// <summary>A name that programs can tell it by.</summary>
    public string? Code { get; init; }

    /// <summary>What the log says of it. The reason is the one that is called like the code, unless another is given.</summary>
    public Refusal Why
    {
        get => field == default ? Challenge?.Why ?? new Refusal(RefusalReasons.Of(Code)) : field;
        init;
    }

    /// <summary>The error of RFC 6750 for WWW-Authenticate; with an empty code none is named.</summary>
    public OAuthError? Challenge { get; init; }

    /// <summary>The scope that WWW-Authenticate asks for.</summary>
    public string? Scope { get; init; }

    /// <summary>The path of the resource of which it names the metadata.</summary>
    public string ResourcePath { get; init; } = ProtectedResources.GatewayPath;

    public int? RetryAfterSeconds { get; init; }

    public string? ViolatedPolicy { get; init; }

    /// <summary>The quota of the month that does not allow it.</summary>
    public QuotaState? Quota { get; init; }

    public IReadOnlyList<string> AllowedMethods { get; init; } = [];

    /// <summary>The rest of the request will not be read.</summary>
    public bool EndsConnection { get; init; }

    /// <summary>Of this caller, as far as it is known.</summary>
    public GatewayRefusal Of(Caller? caller) => this with { Why = Why.From(caller?.ClientId, caller?.SessionId) };

    public static GatewayRefusal NotFound { get; } = new(StatusCodes.Status404NotFound, "No such action", "The gateway has no action at this path.")
    {
        Why = new(RefusalReason.NotFound),
    };

    public static GatewayRefusal UserNotFound { get; } = new(
        StatusCodes.Status404NotFound, "Unknown user",
        "There is no account for the person who signed in. Ask them to sign up first, then to connect again.")
    {
        Code = "USER_NOT_FOUND",
    };

    public static GatewayRefusal UserBlocked { get; } = new(
        StatusCodes.Status403Forbidden, "Account blocked",
        "The account of the person who signed in is blocked. Trying again does not help; ask them to turn to support.")
    {
        Code = "USER_BLOCKED",
    };

    public static GatewayRefusal IdentityUnavailable { get; } = new(
        StatusCodes.Status503ServiceUnavailable, "Temporarily unavailable",
        "The user's account cannot be looked up right now. Nothing was changed; try again in a few seconds.")
    {
        Code = "IDENTITY_UNAVAILABLE",
        RetryAfterSeconds = 2,
    };

    public static GatewayRefusal Busy { get; } = new(
        StatusCodes.Status503ServiceUnavailable, "Too many calls are open",
        "The gateway has as many calls open as it can take. Nothing was changed; try again in a few seconds.")
    {
        Code = "GATEWAY_BUSY",
        RetryAfterSeconds = 2,
    };

    public static GatewayRefusal AuditUnavailable { get; } = new(StatusCodes.Status503ServiceUnavailable, "Temporarily unavailable",
        "This action must be recorded before it is done, and that is not possible right now. Nothing was done; try again in a few seconds.")
    {
        Code = "AUDIT_UNAVAILABLE",
        RetryAfterSeconds = 2,
    };

    /// <summary>What is bought is counted exactly or not at all.</summary>
    public static GatewayRefusal QuotaUnavailable { get; } = new(StatusCodes.Status503ServiceUnavailable, "Temporarily unavailable",
        "What the user's plan still allows cannot be looked up right now. Nothing was done; try again in a few seconds.")
    {
        Code = "QUOTA_UNAVAILABLE",
        RetryAfterSeconds = 2,
    };

    public static GatewayRefusal Unreachable { get; } = new(
        StatusCodes.Status502BadGateway, "The service behind this action cannot be reached",
        "The connection failed. If the action changes something, check whether it did before you try again.")
    {
        Code = "UPSTREAM_UNREACHABLE",
    };

    public static GatewayRefusal InvalidAnswer { get; } = new(
        StatusCodes.Status502BadGateway, "The service behind this action answered with something else than HTTP",
        "Its answer could not be read. If the action changes something, check whether it did before you try again.")
    {
        Code = "UPSTREAM_INVALID_RESPONSE",
    };

    /// <summary>No 401: a host would ask people to sign in again, which changes nothing.</summary>
    public static GatewayRefusal UpstreamUnauthorized { get; } = new(
        StatusCodes.Status502BadGateway, "The service behind this action does not accept the gateway",
        "This is a mistake in the set-up of the service, not in the request or the user's sign-in. Trying or signing in again will not help: tell whoever "
            + "runs it.")
    {
        Code = "UPSTREAM_UNAUTHORIZED",
    };

    /// <summary>No Retry-After: only an operator ends it.</summary>
    public static GatewayRefusal SafeMode { get; } = new(
        StatusCodes.Status503ServiceUnavailable, "Nothing was done",
        "This service is in safe mode: actions that change something are not carried out, and this one was not. Trying again does not help for now; tell the "
            + "user that it was not done. Actions that only read work.")
    {
        Code = "SAFE_MODE",
    };

    public static GatewayRefusal ControlCharacters { get; } =
        new(StatusCodes.Status400BadRequest, "Bad request", "The URL has control characters in it. Leave them out.")
        {
            Why = new(RefusalReason.InvalidRequest),
        };

    public static GatewayRefusal MethodNotAllowed(IReadOnlyList<string> methods) =>
        new(StatusCodes.Status405MethodNotAllowed, "Method not allowed", $"This path takes {string.Join(", ", methods)}.")
        {
            Why = new(RefusalReason.MethodNotAllowed),
            AllowedMethods = methods,
        };

    /// <param name="route">Null, as below: any scope of the gateway does.</param>
    public static GatewayRefusal TokenInQuery(GatewayRoute? route) => Unauthenticated(
        new OAuthError("invalid_request", "Send the access token in the Authorization header, never in the URL.", StatusCodes.Status400BadRequest)
            .Because(RefusalReason.TokenInUrl), route);

    public static GatewayRefusal TokenMissing(GatewayRoute? route) => Unauthenticated(
        new OAuthError("", "Send an access token: Authorization: Bearer <token>.", StatusCodes.Status401Unauthorized)
            .Because(RefusalReason.TokenMissing), route);

    public static GatewayRefusal Unauthenticated(OAuthError error, GatewayRoute? route) =>
        new(error.Status, error.Status == StatusCodes.Status401Unauthorized ? "Sign-in needed" : "Bad request", error.Description)
        {
            Challenge = error,
            Scope = route?.Scope,
            ResourcePath = route?.ResourcePath ?? ProtectedResources.GatewayPath,
        };

    /// <param name="granted">What the token has. MCP hosts ask for what they are told instead of that, so they are told all of it.</param>
    public static GatewayRefusal InsufficientScope(GatewayRoute route, string? granted) => new(
        StatusCodes.Status403Forbidden, "Not permitted",
        $"The user has not allowed this: the access token lacks the scope {route.Scope}. Ask the user to connect again and to allow it.")
    {
        Challenge = new OAuthError("insufficient_scope", $"The scope {route.Scope} is needed.", StatusCodes.Status403Forbidden),
        Scope = route.IsMcpServer ? $"{granted} {route.Scope}".TrimStart() : route.Scope,
        ResourcePath = route.ResourcePath,
    };

    public static GatewayRefusal TooMany(Quota quota)
    {
        var seconds = quota.Decision.RetryAfterSeconds!.Value;
        var detail =
            $"All {quota.Policy.Limit} calls of this kind per {(int)quota.Policy.Period.TotalSeconds} seconds are used up. "
            + $"Wait {seconds} second{(seconds == 1 ? "" : "s")}, then try again; calls before that are refused.";
        return new(StatusCodes.Status429TooManyRequests, "Too many requests", detail)
        {
            Why = new(RefusalReason.RateLimited),
            RetryAfterSeconds = seconds,
            ViolatedPolicy = quota.Policy.Name,
        };
    }

    /// <summary>Where waiting does not help: no plan, one that is not paid for, or one that does not include this.</summary>
    public static GatewayRefusal PlanRequired(QuotaState quota, bool isPaidFor) => new(
        StatusCodes.Status402PaymentRequired, "Plan required",
        (quota.Plan is null ? $"This needs a plan that includes {quota.Quota}, and the user has none."
            : isPaidFor ? $"The user's plan, {quota.Plan}, does not include {quota.Quota}."
            : $"The user's plan, {quota.Plan}, is not paid for.")
            + " Nothing was done, and trying again does not help: ask the user to " + (isPaidFor || quota.Plan is null ? "choose such a plan" : "pay for it")
            + " first.")
    {
        Code = "PLAN_REQUIRED",
        Quota = quota,
    };

    /// <param name="seconds">Until the next month begins.</param>
    public static GatewayRefusal QuotaUsedUp(QuotaState quota, int seconds) => new(
        StatusCodes.Status429TooManyRequests, "The month's quota is used up",
        string.Create(
            CultureInfo.InvariantCulture,
            $"The user's plan, {quota.Plan}, gives {quota.Limit} {quota.Quota} a month, and all are used. The next ones come on "
                + $"{quota.ResetsAt:d MMMM yyyy} (UTC), or with a larger plan. Nothing was done; tell the user, and do not try again before."))
    {
        Code = "QUOTA_USED_UP",
        RetryAfterSeconds = seconds,
        ViolatedPolicy = quota.Quota,
        Quota = quota,
    };

    public static GatewayRefusal TooManyOpen(int open) => new(
        StatusCodes.Status429TooManyRequests, "Too many calls at once",
        $"The user has {open} calls open already. Wait until one of them has ended, then try again. Nothing was changed.")
    {
        Code = "TOO_MANY_OPEN_CALLS",
        RetryAfterSeconds = 5,
    };

    public static GatewayRefusal TooSlow(TimeSpan timeout) => new(
        StatusCodes.Status504GatewayTimeout, "The service behind this action is too slow",
        $"There was no answer within {(int)timeout.TotalSeconds} seconds. If the action changes something, check whether it did before you try again.")
    {
        Code = "UPSTREAM_TIMEOUT",
    };

    public static GatewayRefusal TooLarge(int maximum) => new(
        StatusCodes.Status502BadGateway, "The answer is too large",
        $"The service behind this action answered with more than {maximum} characters. Ask for less: narrow the search, or page through the results.")
    {
        Code = "RESPONSE_TOO_LARGE",
    };

    public static GatewayRefusal UploadStalled(TimeSpan patience) =>
        new(StatusCodes.Status408RequestTimeout, "The request did not arrive",
            $"Nothing of the request's body came for {(int)patience.TotalSeconds} seconds. If the action changes something, check whether it did before you "
                + "try again.")
        {
            Code = "UPLOAD_TIMEOUT",
            EndsConnection = true,
        };

    /// <param name="error">What came of reading the body.</param>
    public static GatewayRefusal BadBody(Exception error) => error is BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge }
        ? new(StatusCodes.Status413PayloadTooLarge, "Request too large", "The request body is too large.")
        {
            Why = new(RefusalReason.TooLarge),
        }
        : new(error is BadHttpRequestException bad ? bad.StatusCode : StatusCodes.Status400BadRequest, "Bad request", "The request body could not be read.")
        {
            Why = new(RefusalReason.InvalidRequest),
        };
}
