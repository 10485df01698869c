using System.Globalization;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Options;

namespace GptFunctions.Webhooks;

/// <summary>Where senders deliver their events, and where some delivered them before.</summary>
internal sealed class WebhookFunctions(WebhookService service, Occasions occasions, IOptions<TokenSettings> settings)
{
    public const string Receive = "Webhook";
    private const int MaximumBody = 1024 * 1024;

    /// <param name="source">A sender's name, in any case, as in the rest of a route.</param>
    [Function(Receive)]
    public async Task<IResult> ReceiveAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "webhooks/{source}")] HttpRequest request, string source)
    {
        if (service.Find(source) is not { } sender)
        {
            return Problem.Refuse(
                request.HttpContext, RefusalReason.NotFound, StatusCodes.Status404NotFound, "Not found", "Nobody's events are received here.");
        }

        var (_, body) = await RequestBody.ReadAsync(request, MaximumBody, bytes => bytes.ToArray());
        // From here on the sender may hang up: what has begun is finished, so that the next delivery finds it done.
        var result = await service.ReceiveAsync(
            sender, name => request.Headers[name] is [{ Length: > 0 } value] ? value : null, body, occasions.Of(request.HttpContext));
        return Write(request.HttpContext, result);
    }

    [Function("WebhookClerkAlias")]
    public Task<IResult> ClerkAliasAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "api/webhooks/clerk")] HttpRequest request) =>
        ReceiveAsync(request, "clerk");

    [Function("WebhookClerkAliasV2")]
    public Task<IResult> ClerkAliasV2Async([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "api/v2/webhooks/clerk")] HttpRequest request) =>
        ReceiveAsync(request, "clerk");

    [Function("WebhookStripeMoved")]
    public IResult StripeMoved([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "api/webhooks/stripe")] HttpRequest request) =>
        Problem.Refuse(request.HttpContext, RefusalReason.NotFound, StatusCodes.Status410Gone, "Gone",
            $"Stripe's events are received at {settings.Value.PublicBaseUrl}/webhooks/stripe: change the endpoint's URL in Stripe's dashboard.");

    [Function("WebhookOrdersAlias")]
    public Task<IResult> OrdersAliasAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "api/v1/post-purchase/webhook")] HttpRequest request) =>
        ReceiveAsync(request, "orders");

    [Function("WebhookVerificationAlias")]
    public Task<IResult> VerificationAliasAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "api/v1/veriff/webhook")] HttpRequest request) =>
        ReceiveAsync(request, "verification");

    private static IResult Write(HttpContext context, WebhookResult result)
    {
        var headers = context.Response.Headers;
        if (result.Status >= StatusCodes.Status400BadRequest)
        {
            RequestNotes.Of(context).Refuse(new Refusal(RefusalReasons.Of(result.Outcome)));
        }

        if (result.RetryAfterSeconds is { } seconds)
        {
            headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        if (result.IsUnverified)
        {
            headers["X-Webhook-Unverified"] = "true";
        }

        return Results.Json(result.Answer, WebhookJson.Default.WebhookAnswer, statusCode: result.Status);
    }
}
