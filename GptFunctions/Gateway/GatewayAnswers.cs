using System.Globalization;
using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using GptFunctions.RateLimits;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace GptFunctions.Gateway;

/// <summary>RFC 9457, with the members of the quota-exceeded problem type where that applies.</summary>
internal sealed record GatewayProblem(
    string Type, string Title, int Status, string Detail, string CorrelationId, string? Code,
    [property: JsonPropertyName("violated-policies")] string[]? ViolatedPolicies, int? RetryAfterSeconds);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(GatewayProblem))]
internal sealed partial class GatewayJson : JsonSerializerContext;

/// <summary>The gateway's own answers.</summary>
internal static class GatewayAnswers
{
    private const string QuotaExceeded = "https://iana.org/assignments/http-problem-types#quota-exceeded";

    public static void Tell(HttpResponse response, Quota quota)
    {
        response.Headers["RateLimit-Policy"] = quota.PolicyField;
        response.Headers["RateLimit"] = quota.StateField;
    }

    public static IResult Refuse(HttpContext context, GatewayRefusal refusal)
    {
        var headers = context.Response.Headers;
        headers.CacheControl = "no-store";
        if (refusal.RetryAfterSeconds is { } seconds)
        {
            headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        if (refusal.AllowedMethods.Count > 0)
        {
            headers.Allow = string.Join(", ", refusal.AllowedMethods);
        }

        if (refusal.Challenge is not null)
        {
            headers.WWWAuthenticate = Challenge(context, refusal.Challenge, refusal.Scope!);
        }

        if (refusal.EndsConnection)
        {
            headers.Connection = "close";
        }

        return Results.Json(
            new GatewayProblem(
                refusal.ViolatedPolicy is null ? "about:blank" : QuotaExceeded, refusal.Title, refusal.Status, refusal.Detail,
                context.CorrelationId(), refusal.Code,
                refusal.ViolatedPolicy is { } policy ? [policy] : null, refusal.ViolatedPolicy is null ? null : refusal.RetryAfterSeconds),
            GatewayJson.Default.GatewayProblem, "application/problem+json", refusal.Status);
    }

    /// <summary>RFC 6750 3, RFC 9728 5.1. Without a token no error is named: the caller just did not know that one is needed.</summary>
    private static string Challenge(HttpContext context, OAuthError error, string scope)
    {
        var baseUrl = context.RequestServices.GetRequiredService<IOptions<TokenSettings>>().Value.PublicBaseUrl;
        var challenge = $"Bearer resource_metadata=\"{baseUrl}/.well-known/oauth-protected-resource/gpt\", scope=\"{scope}\"";
        return error.Code.Length == 0 ? challenge : $"{challenge}, error=\"{error.Code}\", error_description=\"{error.Description}\"";
    }
}
