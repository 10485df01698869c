using System.Collections.Concurrent;
using System.Text;
using System.Text.Json.Nodes;
using GptFunctions.Hosting;
using GptFunctions.Verification;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.Development;

/// <summary>
/// Development only: takes callbacks as a company's shop would, checks their signature, and shows the last ones. Anywhere else the route does not exist.
/// </summary>
internal sealed class DemoCallbackFunctions(IHostEnvironment environment, IOptionsMonitor<CallbackKeys> keys)
{
    private const int Shown = 20;
    private static readonly ConcurrentQueue<string> Received = new(); // of this process; a look, no more

    [Function("DevCallbacks")]
    public async Task<IResult> AnswerAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "post", Route = "dev/callbacks")] HttpRequest request)
    {
        if (!environment.IsDevelopment())
        {
            return Problem.Refuse(request.HttpContext, RefusalReason.NotFound, StatusCodes.Status404NotFound, "Not found", "There is nothing here.");
        }

        if (!HttpMethods.IsPost(request.Method))
        {
            return Results.Text($"[{string.Join(",\n", Received)}]", "application/json");
        }

        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body);
        var (id, time, signature) = (Header("webhook-id"), Header("webhook-timestamp"), Header("webhook-signature"));
        if (keys.CurrentValue.Secrets.Length == 0 || keys.CurrentValue.Sign(id, time, body.ToArray()) != signature)
        {
            return Problem.Refuse(
                request.HttpContext, RefusalReason.InvalidSignature, StatusCodes.Status400BadRequest, "Not ours",
                "The signature is not that of "
                    + "VERIFICATION_CALLBACK_SECRET.");
        }

        Received.Enqueue(
            new JsonObject { ["webhook-id"] = id, ["signature"] = "right", ["body"] = JsonNode.Parse(Encoding.UTF8.GetString(body.ToArray())) }
                .ToJsonString());
        while (Received.Count > Shown)
        {
            Received.TryDequeue(out _);
        }

        return Results.NoContent();

        string Header(string name) => request.Headers[name].ToString();
    }
}
