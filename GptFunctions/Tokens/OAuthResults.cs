using System.Globalization;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Tokens;

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

    public static IResult Error(HttpRequest request, OAuthError error)
    {
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
        ForbidCaching(request);
        HttpAuthentication.ChallengeBearer(request.HttpContext, error);
        return Body(error ?? new OAuthError("unauthorized", "Send an access token: Authorization: Bearer <token>.", StatusCodes.Status401Unauthorized));
    }

    public static IResult MethodNotAllowed(HttpRequest request, string body = "form")
    {
        request.HttpContext.Response.Headers.Allow = "POST";
        return Error(request, new OAuthError("invalid_request", $"Use POST with a {body} body.", StatusCodes.Status405MethodNotAllowed));
    }

    private static IResult Body(OAuthError error) =>
        Results.Json(new ErrorResponse(error.Code, error.Description), ErrorJson.Default.ErrorResponse, statusCode: error.Status);
}
