using System.Globalization;
using GptFunctions.Gateway;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using ModelContextProtocol.Protocol;

namespace GptFunctions.Mcp;

/// <summary>
/// The MCP endpoint over HTTP ("Streamable HTTP", without sessions and without a stream from the server): every message is a POST by itself, and
/// its answer JSON.
/// </summary>
internal sealed class McpHttp(
    ToolCatalog tools, GatewayService gateway, McpService service, McpDispatch dispatch, Occasions occasions, IOptions<TokenSettings> settings,
    IHostEnvironment environment) : IGatewayEndpoint
{
    private const int MaximumBody = 1024 * 1024;
    private const int TooManyRequests = -32000;
    private static readonly string[] TakenHeaders =
        ["Authorization", "Content-Type", "Accept", "x-correlation-id", "Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name"];
    private readonly string ourOrigin = new Uri(settings.Value.PublicBaseUrl!).GetLeftPart(UriPartial.Authority);

    public string? Path => tools.Config?.Path;

    public async Task<IResult> AnswerAsync(HttpRequest request)
    {
        var context = request.HttpContext;
        if (!AllowOrigin(request))
        {
            return Problem.Refuse(
                context, RefusalReason.OriginNotAllowed, StatusCodes.Status403Forbidden, "Origin not allowed", "Pages of this origin may not call here: the "
                    + "operator lists those that may.");
        }

        if (HttpMethods.IsOptions(request.Method))
        {
            return Preflight(request);
        }

        if (!HttpMethods.IsPost(request.Method))
        {
            return GatewayAnswers.Refuse(context, GatewayRefusal.MethodNotAllowed(["POST", "OPTIONS"]));
        }

        var token = HttpAuthentication.ReadBearer(request);
        var occasion = occasions.Of(context);
        var (caller, user, refusal) = await gateway.IdentifyAsync(
            new GatewayRequest("POST", request.Path.Value!, "", token, HttpAuthentication.HasTokenInQuery(request), occasion), tools.Endpoint!);
        if (refusal is not null)
        {
            return GatewayAnswers.Refuse(context, refusal);
        }

        var (isTooLarge, read) = await RequestBody.ReadAsync(request, MaximumBody, body => McpMessages.Read(body, request.Headers));
        if (!isTooLarge && read.Message is null)
        {
            RequestNotes.Of(context).Refuse(new Refusal(RefusalReason.InvalidRequest, caller?.ClientId, caller?.SessionId));
        }

        return isTooLarge
            ? Problem.Refuse(context, RefusalReason.TooLarge, StatusCodes.Status413PayloadTooLarge, "Request too large", "A message may have 1 MB at most.")
            : read.Message is { } message ? await AnswerAsync(new McpCaller(context, token, caller!, user!, occasion), message)
            : Json(context, read.Error!, StatusCodes.Status400BadRequest);
    }

    private async Task<IResult> AnswerAsync(McpCaller caller, JsonRpcMessage message)
    {
        var context = caller.Context;
        var tool = message is JsonRpcRequest { Method: RequestMethods.ToolsCall } call ? tools.Find(call.Params!["name"]!.GetValue<string>()) : null;
        if (tool?.Operation is null && await service.TakeAsync(caller.Caller) is { } tooMany)
        {
            RequestNotes.Of(context).Refuse(tooMany.Of(caller.Caller).Why);
            context.Response.Headers.RetryAfter = tooMany.RetryAfterSeconds!.Value.ToString(CultureInfo.InvariantCulture);
            return Json(context, McpMessages.Error(McpMessages.IdOf(message), TooManyRequests, tooMany.Detail), StatusCodes.Status429TooManyRequests);
        }

        CallToolResult? denied = null;
        if (tool?.Scope is { } scope && !caller.Caller.Has(scope))
        {
            (var refusal, denied) = service.Deny(caller.Caller, tool);
            RequestNotes.Of(context).Refuse(refusal.Of(caller.Caller).Why);
            HttpAuthentication.ChallengeBearer(context, refusal.Challenge, refusal.Scope, refusal.ResourcePath);
        }

        var answer = await dispatch.AnswerAsync(caller, message, denied, context.RequestAborted);
        return answer is null ? McpDispatch.IsStream(message) ? Results.Empty : Results.StatusCode(StatusCodes.Status202Accepted)
            : Json(
                context, answer,
                denied is not null && answer is JsonRpcResponse ? StatusCodes.Status403Forbidden
                    : McpMessages.StatusOf(answer, message.Context?.ProtocolVersion));
    }

    private static IResult Json(HttpContext context, JsonRpcMessage message, int status)
    {
        context.Response.StatusCode = status;
        if (status >= StatusCodes.Status400BadRequest)
        {
            RequestNotes.Of(context).Refuse(
                new Refusal(status == StatusCodes.Status404NotFound ? RefusalReason.NotFound : RefusalReason.InvalidRequest)); // where nobody said it better
        }

        context.Response.Headers.CacheControl = "no-store"; // one person's
        return Results.Bytes(McpMessages.Write(message), "application/json");
    }

    /// <summary>
    /// Whether whatever sent this may: programs say no origin, pages of browsers do. Against pages that find this by another name (DNS rebinding), as
    /// the standard wants it.
    /// </summary>
    private bool AllowOrigin(HttpRequest request)
    {
        var origin = request.Headers.Origin.ToString();
        if (origin.Length == 0)
        {
            return true;
        }

        var headers = request.HttpContext.Response.Headers;
        headers.Append("Vary", "Origin");
        if (!IsAllowed(origin))
        {
            return false;
        }

        headers.AccessControlAllowOrigin = origin;
        headers.AccessControlExposeHeaders = "WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy, x-correlation-id";
        return true;
    }

    private bool IsAllowed(string origin) =>
        origin.Equals(ourOrigin, StringComparison.OrdinalIgnoreCase)
        || tools.Config!.AllowedOrigins.Contains(origin, StringComparer.OrdinalIgnoreCase)
        || (environment.IsDevelopment() && Uri.TryCreate(origin, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url.IsLoopback);

    /// <summary>No wildcard stands for Authorization, so what the browser asks for is said back, as far as it is taken.</summary>
    private static IResult Preflight(HttpRequest request)
    {
        var asked = request.Headers.AccessControlRequestHeaders.ToString().Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var taken = asked.Where(name => name.StartsWith("mcp-", StringComparison.OrdinalIgnoreCase)
            && name.All(character => char.IsAsciiLetterOrDigit(character) || character == '-'));
        var headers = request.HttpContext.Response.Headers;
        headers.AccessControlAllowMethods = "POST";
        headers.AccessControlAllowHeaders = string.Join(
            ", ", TakenHeaders.Union(taken, StringComparer.OrdinalIgnoreCase));
        headers.AccessControlMaxAge = "86400";
        return Results.NoContent();
    }
}
