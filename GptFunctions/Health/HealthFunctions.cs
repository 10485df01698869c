using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Health;

internal sealed record LiveResponse(string Status);

/// <param name="UptimeSeconds">Since this process started.</param>
internal sealed record StatusResponse(string Status, string Version, bool SafeMode, long UptimeSeconds);

/// <param name="Checks">Name of each dependency -> "ok", "degraded" or "failed"; for whoever shows the service key, what is wrong.</param>
internal sealed record ReadyResponse(string Status, IReadOnlyDictionary<string, string> Checks);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(LiveResponse))]
[JsonSerializable(typeof(StatusResponse))]
[JsonSerializable(typeof(ReadyResponse))]
internal sealed partial class HealthJson : JsonSerializerContext;

/// <summary>For probes and load balancers. No secrets, nothing that changes anything; what is wrong is told with the service key only.</summary>
internal sealed class HealthFunctions(ReadinessService readiness, ServiceKey serviceKey, SafeMode safeMode, ProcessStart started, TimeProvider clock)
{
    /// <summary>The process lives. Depends on nothing.</summary>
    [Function("Health")]
    public static IResult Health([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "health")] HttpRequest request) =>
        NoStore(request, Results.Json(new LiveResponse("healthy"), HealthJson.Default.LiveResponse));

    /// <summary>The process lives, and which one it is. Depends on nothing.</summary>
    [Function("Healthz")]
    public IResult Healthz([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "healthz")] HttpRequest request) =>
        NoStore(request, Results.Json(
            new StatusResponse("ok", ProgramVersion.Text, safeMode.IsOn, (long)clock.GetElapsedTime(started.Timestamp).TotalSeconds),
            HealthJson.Default.StatusResponse));

    /// <summary>Whether requests can be served: database, schema version, signing key; and where audit events are consumed, whether they are.</summary>
    [Function("Ready")]
    public async Task<IResult> ReadyAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "ready")] HttpRequest request)
    {
        var checks = await readiness.CheckAsync();
        var isReady = checks.Values.All(ReadinessService.IsServing);
        var told = serviceKey.IsShownBy(request)
            ? checks
            : checks.ToDictionary(check => check.Key, check => ReadinessService.WithoutReason(check.Value), StringComparer.Ordinal);
        return NoStore(request, Results.Json(
            new ReadyResponse(isReady ? "ready" : "not_ready", told), HealthJson.Default.ReadyResponse,
            statusCode: isReady ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable));
    }

    private static IResult NoStore(HttpRequest request, IResult result)
    {
        request.HttpContext.Response.Headers.CacheControl = "no-store";
        return result;
    }
}
