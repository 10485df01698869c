using System.Globalization;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Options;

namespace GptFunctions.Webhooks;

/// <summary>Where senders deliver their events.</summary>
internal sealed class WebhookFunctions(
    WebhookService service, ClerkWebhooks clerk, StripeWebhooks stripe, VerificationWebhooks verification, OrderWebhooks orders,
    Occasions occasions, IOptions<TokenSettings> settings)
{
    public const string Clerk = "WebhookClerk";
    private const int MaximumBody = 1024 * 1024;

    [Function(Clerk)]
    public Task<IResult> ClerkAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "webhooks/clerk")] HttpRequest request) =>
        ReceiveAsync(clerk, request);

    [Function("WebhookClerkAlias")]
    public Task<IResult> ClerkAliasAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "api/webhooks/clerk")] HttpRequest request) =>
        ReceiveAsync(clerk, request);

    [Function("WebhookClerkAliasV2")]
    public Task<IResult> ClerkAliasV2Async([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "api/v2/webhooks/clerk")] HttpRequest request) =>
        ReceiveAsync(clerk, request);

    [Function("WebhookStripe")]
    public Task<IResult> StripeAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "webhooks/stripe")] HttpRequest request) =>
        ReceiveAsync(stripe, request);

    [Function("WebhookStripeMoved")]
    public IResult StripeMoved([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "api/webhooks/stripe")] HttpRequest request) =>
        Problem.Result(request.HttpContext, StatusCodes.Status410Gone, "Gone",
            $"Stripe's events are received at {settings.Value.PublicBaseUrl}/webhooks/stripe: change the endpoint's URL in Stripe's dashboard.");

    [Function("WebhookVerification")]
    public Task<IResult> VerificationAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "webhooks/verification")] HttpRequest request) =>
        ReceiveAsync(verification, request);

    [Function("WebhookOrders")]
    public Task<IResult> OrdersAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "webhooks/orders")] HttpRequest request) =>
        ReceiveAsync(orders, request);

    private async Task<IResult> ReceiveAsync(IWebhookSource source, HttpRequest request)
    {
        var (_, body) = await RequestBody.ReadAsync(request, MaximumBody, bytes => bytes.ToArray());
        // From here on the sender may hang up: what has begun is finished, so that the next delivery finds it done.
        var result = await service.ReceiveAsync(source, name => request.Headers[name] is [{ Length: > 0 } value] ? value : null, body, occasions.Of(request.HttpContext));
        return Write(request.HttpContext.Response.Headers, result);
    }

    private static IResult Write(IHeaderDictionary headers, WebhookResult result)
    {
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
