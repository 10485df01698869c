using GptFunctions.Hosting;
using GptFunctions.Plans;
using GptFunctions.RateLimits;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Gateway;

/// <summary>The resource that access tokens are for: everything below /gpt.</summary>
internal sealed class GatewayFunctions(
    GatewayService service, UsageService usage, Forwarder forwarder, OpenApiDocument openApi, GatewayMetrics metrics, OpenCalls calls,
    Occasions occasions, TimeProvider clock)
{
    public const string OpenApiPath = "/gpt/openapi.json";
    public const string UsagePath = "/gpt/usage";

    /// <summary>What one pastes into the GPT builder.</summary>
    [Function("GatewayOpenApi")]
    public IResult OpenApi([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", "options", Route = "gpt/openapi.json")] HttpRequest request)
    {
        if (HttpMethods.IsOptions(request.Method))
        {
            return Cors.Preflight(request, "GET, HEAD");
        }

        if (openApi.Text is not { } document)
        {
            return GatewayAnswers.Refuse(request.HttpContext, GatewayRefusal.NotFound);
        }

        Cors.Allow(request);
        request.HttpContext.Response.Headers.CacheControl = "no-cache";
        return Results.Bytes(document, "application/json");
    }

    /// <summary>What the caller's plan gives, and what of it is used.</summary>
    [Function("GatewayPlanUsage")]
    public async Task<IResult> UsageAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "gpt/usage")] HttpRequest request)
    {
        var context = request.HttpContext;
        var (user, quotas, refusal) = await service.ReadUsageAsync(
            HttpAuthentication.ReadBearer(request), request.Query.ContainsKey("access_token"), occasions.Of(context));
        context.Response.Headers.CacheControl = "no-store";
        return user is null ? GatewayAnswers.Refuse(context, refusal!) : GatewayAnswers.Plan(user, usage.PlanOf(user), quotas);
    }

    [Function(FunctionNames.Gateway)]
    public async Task<IResult> ForwardAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", "post", "put", "patch", "delete", "options", Route = "gpt/{*path}")] HttpRequest request)
    {
        var (context, started) = (request.HttpContext, clock.GetTimestamp());
        using var call = new OpenCall(calls);
        var verdict = await service.AdmitAsync(
            new GatewayRequest(
                request.Method, request.Path.Value!, request.QueryString.Value ?? "", HttpAuthentication.ReadBearer(request),
                request.Query.ContainsKey("access_token"), occasions.Of(context), call));
        if (verdict.Quota is { } quota)
        {
            GatewayAnswers.Tell(context.Response, quota);
        }

        if (verdict.Admission is not { } admission)
        {
            metrics.Answered(null, verdict.Refusal!.Status, clock.GetElapsedTime(started));
            return GatewayAnswers.Refuse(context, verdict.Refusal);
        }

        var status = StatusCodes.Status500InternalServerError;
        try
        {
            (status, var refusal) = await forwarder.ForwardAsync(context, admission);
            return refusal is null ? Results.Empty : GatewayAnswers.Refuse(context, refusal);
        }
        finally
        {
            service.Ended(admission, status, clock.GetElapsedTime(started));
            metrics.Answered(admission.Route.Name, status, clock.GetElapsedTime(started));
        }
    }
}
