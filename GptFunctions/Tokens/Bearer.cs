using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tokens;

/// <summary>Bearer tokens on our own resources (RFC 6750, RFC 9728 5.1).</summary>
internal static class Bearer
{
    private const string Scheme = "Bearer ";

    /// <summary>The token of the Authorization header. A token in the query or the body is never looked for (RFC 6750 2.3, RFC 9700 4.3.2).</summary>
    public static string? Read(HttpRequest request)
    {
        var header = request.Headers.Authorization.ToString();
        return header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) && header.Length > Scheme.Length ? header[Scheme.Length..].Trim() : null;
    }

    /// <summary>401. Without a token there is no error code (RFC 6750 3.1): the caller just did not know that one is needed.</summary>
    public static IResult Challenge(HttpRequest request, OAuthError? error)
    {
        var baseUrl = request.HttpContext.RequestServices.GetRequiredService<IOptions<TokenSettings>>().Value.PublicBaseUrl;
        var challenge = $"Bearer resource_metadata=\"{baseUrl}/.well-known/oauth-protected-resource\"";
        request.HttpContext.Response.Headers.WWWAuthenticate = error is null ? challenge : $"{challenge}, error=\"{error.Code}\", error_description=\"{error.Description}\"";
        OAuthResults.ForbidCaching(request);
        var body = error ?? new OAuthError("unauthorized", "Send an access token: Authorization: Bearer <token>.");
        return Results.Json(new ErrorResponse(body.Code, body.Description), ErrorJson.Default.ErrorResponse, statusCode: StatusCodes.Status401Unauthorized);
    }
}
