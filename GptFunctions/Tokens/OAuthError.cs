using System.Globalization;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using GptFunctions.Hosting;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Tokens;

/// <summary>An error of RFC 6749 (and its relatives) as a value: what the wire shows and the HTTP status that goes with it.</summary>
internal sealed record OAuthError(string Code, string Description, int Status = StatusCodes.Status400BadRequest)
{
    /// <summary>RFC 6749 4.1.2.1 and 5.2: printable ASCII without quotation mark and backslash. Some descriptions name what the client sent.</summary>
    public string Description { get; } = string.Concat(
        Description.Select(character => character is >= ' ' and <= '~' and not ('"' or '\\') ? character : '?'));

    /// <summary>For 429: whole seconds after which another try is admitted.</summary>
    public int? RetryAfterSeconds { get; init; }

    /// <summary>What the log says of it, and the wire does not. The reason is the one that is called like the code, unless another is given.</summary>
    public Refusal Why { get; init; } = new(RefusalReasons.Of(Code));

    public static OAuthError InvalidRequest(string description) => new("invalid_request", description);

    /// <param name="reason">To the client all of them are the same; whoever asks why people have to sign in again needs to know which.</param>
    public static OAuthError InvalidGrant(RefusalReason reason, string description) => new("invalid_grant", description) { Why = new(reason) };

    public static OAuthError InvalidScope(string description) => new("invalid_scope", description);

    /// <summary>RFC 8707 section 2.</summary>
    public static OAuthError InvalidTarget(string description) => new("invalid_target", description);

    public static OAuthError InvalidClient(string description, RefusalReason reason = RefusalReason.InvalidClient) =>
        new("invalid_client", description, StatusCodes.Status401Unauthorized) { Why = new(reason) };

    /// <summary>One text for an unknown client and a wrong secret, so that they cannot be told apart by anybody but us.</summary>
    public static OAuthError ClientAuthenticationFailed(RefusalReason reason) =>
        InvalidClient("Client authentication failed: check the client id and the client secret.", reason);

    public static OAuthError TooManyFailures(int retryAfterSeconds) =>
        new(
            "invalid_client",
            $"Too many failed client authentications from this address. Check the client secret and try again in {retryAfterSeconds} seconds.",
            StatusCodes.Status429TooManyRequests)
        {
            RetryAfterSeconds = retryAfterSeconds,
            Why = new(RefusalReason.TooManyFailures),
        };

    /// <summary>For another reason than the one that is called like its code.</summary>
    public OAuthError Because(RefusalReason reason) => this with { Why = Why with { Reason = reason } };

    /// <summary>Of this client and session, as far as they are known.</summary>
    public OAuthError Of(string? clientId, Guid? sessionId) => this with { Why = Why.From(clientId, sessionId) };
}

/// <summary>Either a value or the error that the protocol has for its absence.</summary>
internal readonly record struct Outcome<T>(T? Value, OAuthError? Error)
    where T : class
{
    public static implicit operator Outcome<T>(T value) => new(value, null);

    public static implicit operator Outcome<T>(OAuthError error) => new(null, error);
}

/// <summary>The body of an error answer (RFC 6749 5.2).</summary>
internal sealed record ErrorResponse(string Error, string ErrorDescription);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ErrorResponse))]
internal sealed partial class ErrorJson : JsonSerializerContext;

/// <summary>Answers in the form of RFC 6749.</summary>
internal static class OAuthResults
{
    /// <summary>RFC 6749 5.1: no answer with credentials, and no error, may be stored.</summary>
    public static void ForbidCaching(HttpRequest request)
    {
        request.HttpContext.Response.Headers.CacheControl = "no-store";
        request.HttpContext.Response.Headers.Pragma = "no-cache";
    }

    public static IResult Json<T>(HttpRequest request, T value, JsonTypeInfo<T> type, int status = StatusCodes.Status200OK)
    {
        ForbidCaching(request);
        return Results.Json(value, type, statusCode: status);
    }

    /// <summary>200 and nothing to say. An empty JSON object, because some clients (simple-oauth2) read every answer as JSON.</summary>
    public static IResult Done(HttpRequest request)
    {
        ForbidCaching(request);
        return Results.Text("{}", "application/json");
    }

    /// <summary>Turns a refusal into its answer, and notes it for the log and the meters.</summary>
    public static IResult Error(HttpRequest request, OAuthError error)
    {
        RequestNotes.Of(request.HttpContext).Refuse(error.Why);
        ForbidCaching(request);
        var headers = request.HttpContext.Response.Headers;
        if (error.RetryAfterSeconds is { } seconds)
        {
            headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        if (error.Status == StatusCodes.Status401Unauthorized && request.Headers.Authorization.Count > 0)
        {
            HttpAuthentication.ChallengeBasic(request.HttpContext);
        }

        return Body(error);
    }

    /// <summary>401 of a route that takes bearer tokens; without an error for a request that brought none.</summary>
    public static IResult Unauthorized(HttpRequest request, OAuthError? error)
    {
        RequestNotes.Of(request.HttpContext).Refuse(error?.Why ?? new Refusal(RefusalReason.TokenMissing));
        ForbidCaching(request);
        HttpAuthentication.ChallengeBearer(request.HttpContext, error);
        return Body(error ?? new OAuthError("unauthorized", "Send an access token: Authorization: Bearer <token>.", StatusCodes.Status401Unauthorized));
    }

    public static IResult MethodNotAllowed(HttpRequest request, string body = "form")
    {
        request.HttpContext.Response.Headers.Allow = "POST";
        return Error(request, new OAuthError("invalid_request", $"Use POST with a {body} body.", StatusCodes.Status405MethodNotAllowed)
            .Because(RefusalReason.MethodNotAllowed));
    }

    private static IResult Body(OAuthError error) =>
        Results.Json(new ErrorResponse(error.Code, error.Description), ErrorJson.Default.ErrorResponse, statusCode: error.Status);
}
