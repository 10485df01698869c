using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Verification;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(OrderVerification))]
internal sealed partial class VerificationJson : JsonSerializerContext;

/// <summary>How an order stands, and the sending of callbacks.</summary>
internal sealed class VerificationFunctions(CallbackService callbacks, ServiceKey serviceKey)
{
    public const string SendCallbacks = "SendCallbacks";

    [Function("Verification")]
    public async Task<IResult> ReadAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "verifications/{orderId}")] HttpRequest request, string orderId)
    {
        if (!serviceKey.IsShownBy(request))
        {
            return ServiceKey.Refuse(request.HttpContext);
        }

        return await callbacks.FindOrderAsync(orderId) is { } order
            ? Results.Json(order, VerificationJson.Default.OrderVerification)
            : Problem.Refuse(
                request.HttpContext, RefusalReason.NotFound, StatusCodes.Status404NotFound, "No such order", "No event has told of an order with this id.");
    }

    // Between two looks of the dispatcher, which writes the callbacks. Every process fires; each claims its own.
    [Function(SendCallbacks)]
    public Task SendCallbacksAsync([TimerTrigger("5/10 * * * * *", UseMonitor = false)] TimerInfo timer, CancellationToken cancellationToken) =>
        callbacks.RunAsync(cancellationToken);
}
