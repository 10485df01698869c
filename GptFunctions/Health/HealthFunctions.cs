using System.Reflection;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Health;

internal sealed record LiveResponse(string Status);

/// <param name="UptimeSeconds">Since this process started.</param>
internal sealed record StatusResponse(string Status, string Version, bool SafeMode, long UptimeSeconds);

/// <param name="Checks">Name of each dependency -> "ok" or what is wrong.</param>
internal sealed record ReadyResponse(string Status, IReadOnlyDictionary<string, string> Checks);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(LiveResponse))]
[JsonSerializable(typeof(StatusResponse))]
[JsonSerializable(typeof(ReadyResponse))]
internal sealed partial class HealthJson : JsonSerializerContext;

/// <summary>For probes and load balancers. No authentication, no secrets, nothing that changes anything.</summary>
internal sealed class HealthFunctions(ReadinessService readiness, ProcessStart started, TimeProvider clock)
{
    private static readonly string Version = typeof(HealthFunctions).Assembly
        .GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    /// <summary>The process lives. Depends on nothing.</summary>
    [Function("Health")]
    public static IResult Health([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "health")] HttpRequest request) =>
        NoStore(request, Results.Json(new LiveResponse("healthy"), HealthJson.Default.LiveResponse));

    /// <summary>The process lives, and which one it is. Depends on nothing.</summary>
    [Function("Healthz")]
    public IResult Healthz([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "healthz")] HttpRequest request) =>
        NoStore(request, Results.Json(
            new StatusResponse("ok", Version, false, (long)clock.GetElapsedTime(started.Timestamp).TotalSeconds), HealthJson.Default.StatusResponse));

    /// <summary>Whether requests can be served: database, schema version, signing key; and where audit events are consumed, whether they are.</summary>
    [Function("Ready")]
    public async Task<IResult> ReadyAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "ready")] HttpRequest request)
    {
        var checks = await readiness.CheckAsync();
        var isReady = checks.Values.All(ReadinessService.IsServing);
        return NoStore(request, Results.Json(
            new ReadyResponse(isReady ? "ready" : "not_ready", checks), HealthJson.Default.ReadyResponse,
            statusCode: isReady ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable));
    }

    private static IResult NoStore(HttpRequest request, IResult result)
    {
        request.HttpContext.Response.Headers.CacheControl = "no-store";
        return result;
    }
}
