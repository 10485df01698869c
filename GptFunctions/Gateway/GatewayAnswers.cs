using System.Globalization;
using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Plans;
using GptFunctions.RateLimits;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Gateway;

/// <summary>RFC 9457, with the members of the quota-exceeded problem type where that applies.</summary>
internal sealed record GatewayProblem(
    string Type, string Title, int Status, string Detail, string CorrelationId, string? Code,
    [property: JsonPropertyName("violated-policies")] string[]? ViolatedPolicies, int? RetryAfterSeconds)
{
    public string? Quota { get; init; }

    public string? Plan { get; init; }

    public int? Limit { get; init; }

    public long? Used { get; init; }

    public DateTimeOffset? ResetsAt { get; init; }
}

/// <summary>How a quota stands; null where there is no limit.</summary>
internal sealed record UsageAnswer(int? Limit, long Used, long? Remaining, DateTimeOffset ResetsAt);

/// <summary>What <c>GET /gpt/usage</c> answers.</summary>
internal sealed record PlanAnswer(string? Plan, string? PlanStatus, IReadOnlyDictionary<string, UsageAnswer> Quotas);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(GatewayProblem))]
internal sealed partial class GatewayJson : JsonSerializerContext;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(PlanAnswer))]
internal sealed partial class PlanJson : JsonSerializerContext;

/// <summary>The gateway's own answers.</summary>
internal static class GatewayAnswers
{
    private const string QuotaExceeded = "https://iana.org/assignments/http-problem-types#quota-exceeded";

    public static void Tell(HttpResponse response, Quota quota)
    {
        response.Headers["RateLimit-Policy"] = quota.Policy.Field;
        response.Headers["RateLimit"] = quota.StateField;
    }

    public static IResult Plan(InternalUser user, string? plan, IEnumerable<QuotaState> quotas) => Results.Json(
        new PlanAnswer(plan, user.PlanStatus, quotas.ToDictionary(quota => quota.Quota, Usage, StringComparer.Ordinal)), PlanJson.Default.PlanAnswer);

    private static UsageAnswer Usage(QuotaState quota) => quota.HasLimit
        ? new UsageAnswer(quota.Limit, quota.Used, Math.Max(0, quota.Limit - quota.Used), quota.ResetsAt)
        : new UsageAnswer(null, quota.Used, null, quota.ResetsAt);

    /// <summary>Turns a refusal into its answer, and notes it for the log and the meters.</summary>
    public static IResult Refuse(HttpContext context, GatewayRefusal refusal)
    {
        RequestNotes.Of(context).Refuse(refusal.Why);
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
            HttpAuthentication.ChallengeBearer(context, refusal.Challenge, refusal.Scope, refusal.ResourcePath);
        }

        if (refusal.EndsConnection)
        {
            headers.Connection = "close";
        }

        return Results.Json(
            new GatewayProblem(
                refusal.ViolatedPolicy is null ? "about:blank" : QuotaExceeded, refusal.Title, refusal.Status, refusal.Detail,
                context.CorrelationId(), refusal.Code,
                refusal.ViolatedPolicy is { } policy ? [policy] : null, refusal.ViolatedPolicy is null ? null : refusal.RetryAfterSeconds)
            {
                Quota = refusal.Quota?.Quota,
                Plan = refusal.Quota?.Plan,
                Limit = refusal.Quota?.Limit,
                Used = refusal.RetryAfterSeconds is null ? null : refusal.Quota?.Used,
                ResetsAt = refusal.RetryAfterSeconds is null ? null : refusal.Quota?.ResetsAt,
            },
            GatewayJson.Default.GatewayProblem, "application/problem+json", refusal.Status);
    }
}
