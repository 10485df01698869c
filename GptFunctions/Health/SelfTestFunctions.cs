using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Health;

/// <param name="Reason">Null when healthy.</param>
internal sealed record DatabaseResponse(string Status, string? Reason);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(DatabaseResponse))]
internal sealed partial class DatabaseJson : JsonSerializerContext;

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
            ? Results.Json(SelfTestResponse.Full(found), SelfTestJson.Default.SelfTestResponseSubsystemResponse, statusCode: status)
            : Results.Json(SelfTestResponse.Brief(found), SelfTestJson.Default.SelfTestResponseSubsystemState, statusCode: status);
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
}
