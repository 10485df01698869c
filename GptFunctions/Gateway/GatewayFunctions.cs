using GptFunctions.Hosting;
using GptFunctions.Plans;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Gateway;

/// <summary>The resource that access tokens are for: everything below /gpt.</summary>
internal sealed class GatewayFunctions(
    GatewayCalls calls, GatewayService service, UsageService usage, OpenApiDocument openApi, IEnumerable<IGatewayEndpoint> endpoints, Occasions occasions)
{
    public const string OpenApiPath = "/gpt/openapi.json";
    public const string UsagePath = "/gpt/usage";
    private readonly IGatewayEndpoint[] endpoints = [.. endpoints];

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
        var (user, quotas, refusal) = await service.ReadUsageAsync(Read(request));
        context.Response.Headers.CacheControl = "no-store";
        return user is null ? GatewayAnswers.Refuse(context, refusal!) : GatewayAnswers.Plan(user, usage.PlanOf(user), quotas);
    }

    [Function(FunctionNames.Gateway)]
    public async Task<IResult> ForwardAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", "post", "put", "patch", "delete", "options", Route = "gpt/{*path}")] HttpRequest request)
    {
        foreach (var endpoint in endpoints)
        {
            if (endpoint.Path == request.Path.Value)
            {
                return await endpoint.AnswerAsync(request);
            }
        }

        var context = request.HttpContext;
        var refusal = await calls.MakeAsync(context, Read(request));
        return refusal is null ? Results.Empty : GatewayAnswers.Refuse(context, refusal);
    }

    private GatewayRequest Read(HttpRequest request) => new(
        request.Method, request.Path.Value!, request.QueryString.Value ?? "", HttpAuthentication.ReadBearer(request),
        HttpAuthentication.HasTokenInQuery(request), occasions.Of(request.HttpContext));
}
