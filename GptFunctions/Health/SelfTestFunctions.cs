using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Health;

/// <param name="Status">ok, degraded, or blocker when there is any.</param>
/// <param name="Timestamp">When this was found out.</param>
internal sealed record SelfTestResponse<TSubsystem>(
    CheckState Status, string Version, bool SafeMode, DateTimeOffset Timestamp, SortedDictionary<string, TSubsystem> Subsystems, SelfTestCounts Metrics);

/// <summary>What everybody may know.</summary>
internal sealed record SubsystemState(CheckState Status);

/// <summary>What operators know beside it.</summary>
internal sealed record SubsystemResponse(CheckState Status, long DurationMs, JsonObject? Details, string? Error);

/// <summary>How many subsystems there are, in all and by their own status.</summary>
internal sealed record SelfTestCounts(int Total, int Passed, int SafeMode, int Degraded, int Blocker);

/// <param name="Reason">Null when healthy.</param>
internal sealed record DatabaseResponse(string Status, string? Reason);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, Converters = [typeof(CheckStateConverter)])]
[JsonSerializable(typeof(SelfTestResponse<SubsystemState>))]
[JsonSerializable(typeof(SelfTestResponse<SubsystemResponse>))]
internal sealed partial class SelfTestJson : JsonSerializerContext;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(DatabaseResponse))]
internal sealed partial class DatabaseJson : JsonSerializerContext;

internal sealed class CheckStateConverter() : JsonStringEnumConverter<CheckState>(JsonNamingPolicy.SnakeCaseLower);

/// <summary>How the parts of the program do, and whether they let it work: for operators, and for whoever watches from outside.</summary>
internal sealed class SelfTestFunctions(SelfTestService selfTest, ReadinessService readiness, ServiceKey serviceKey)
{
    public const string Name = "SelfTest";

    /// <summary>Each part of the program with its state; 503 when any of them is a blocker. Details are for whoever shows the service key.</summary>
    [Function(Name)]
    public async Task<IResult> RunAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "__selftest")] HttpRequest request)
    {
        var found = await selfTest.RunAsync();
        request.HttpContext.Response.Headers.CacheControl = "no-store";
        var status = found.State == CheckState.Blocker ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK;
        return serviceKey.IsShownBy(request)
            ? Results.Json(Describe(found, Detail), SelfTestJson.Default.SelfTestResponseSubsystemResponse, statusCode: status)
            : Results.Json(
                Describe(found, subsystem => new SubsystemState(subsystem.State)), SelfTestJson.Default.SelfTestResponseSubsystemState, statusCode: status);
    }

    /// <summary>Whether the database answers.</summary>
    [Function("SelfTestSimple")]
    public async Task<IResult> RunSimpleAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "__selftest/simple")] HttpRequest request)
    {
        request.HttpContext.Response.Headers.CacheControl = "no-store";
        return await readiness.IsDatabaseConnectedAsync()
            ? Results.Json(new DatabaseResponse("healthy", null), DatabaseJson.Default.DatabaseResponse)
            : Results.Json(
                new DatabaseResponse("unhealthy", "database_disconnected"), DatabaseJson.Default.DatabaseResponse,
                statusCode: StatusCodes.Status503ServiceUnavailable);
    }

    private static SubsystemResponse Detail(Subsystem subsystem) =>
        new(subsystem.State, (long)subsystem.Took.TotalMilliseconds, subsystem.Finding?.Details, subsystem.Error);

    private static SelfTestResponse<TSubsystem> Describe<TSubsystem>(SelfTest found, Func<Subsystem, TSubsystem> describe)
    {
        int Count(CheckState state) => found.Subsystems.Count(subsystem => subsystem.State == state);
        return new(
            found.State, ProgramVersion.Text, found.IsSafeMode, found.At,
            new(found.Subsystems.ToDictionary(subsystem => subsystem.Name, describe, StringComparer.Ordinal), StringComparer.Ordinal),
            new(
                found.Subsystems.Count, Count(CheckState.Ok), Count(CheckState.SafeMode), Count(CheckState.Degraded), Count(CheckState.Blocker)));
    }
}
