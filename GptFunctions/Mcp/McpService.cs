using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using GptFunctions.Gateway;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.OAuth;
using GptFunctions.RateLimits;
using GptFunctions.Sessions;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using ModelContextProtocol.Protocol;

namespace GptFunctions.Mcp;

/// <summary>A request to the endpoint whose token is good.</summary>
/// <param name="Context">Of the HTTP request.</param>
/// <param name="Token">As it came.</param>
internal sealed record McpCaller(HttpContext Context, ReadOnlyMemory<char> Token, Caller Caller, InternalUser User, Occasion Occasion);

/// <summary>The rules of the MCP endpoint: who sees which tools, and what a call of one is.</summary>
internal sealed partial class McpService(
    ToolCatalog tools, GatewayRoutes routes, GatewayCalls calls, McpProfile profile, ClientService clients, RateLimiter limits,
    IOptions<TokenSettings> settings, ILogger<McpService> logger)
{
    private static readonly QuotaPolicy Uncounted = new("mcp", 120, TimeSpan.FromMinutes(1));
    private static readonly TimeSpan ListLifetime = TimeSpan.FromMinutes(5);
    private readonly ConcurrentDictionary<string, bool> toldMistakes = new(StringComparer.Ordinal);

    /// <summary>Takes one of the requests that count against no quota of the user's; a refusal when a session made too many.</summary>
    public async ValueTask<GatewayRefusal?> TakeAsync(Caller caller)
    {
        var quota = new Quota(Uncounted, await limits.TryTakeAsync($"mcp|{caller.SessionId}", Uncounted.Limit, Uncounted.Period));
        return quota.Decision.RetryAfterSeconds is null ? null : GatewayRefusal.TooMany(quota);
    }

    /// <summary>The tools that the client may ever get: how else would a person be asked for more than the token has.</summary>
    /// <exception cref="Npgsql.NpgsqlException">The database is away.</exception>
    public async Task<ListToolsResult> ListAsync(Caller caller)
    {
        var scopes = await clients.ScopesOfAsync(caller.ClientId!);
        return new ListToolsResult
        {
            Tools = [.. tools.All.Where(tool => tool.Scope is null || scopes.Contains(tool.Scope)).Select(tool => tool.Definition)],
            TimeToLive = ListLifetime,
            CacheScope = CacheScope.Private,
        };
    }

    /// <summary>Asks for the scope that a tool needs: the refusal whose challenge names it, and the result that says so.</summary>
    public (GatewayRefusal Refusal, CallToolResult Result) Deny(Caller caller, McpTool tool)
    {
        var refusal = GatewayRefusal.InsufficientScope(tools.Endpoint! with { Scope = tool.Scope! }, caller.Scope);
        var challenge = HttpAuthentication.BearerChallenge(settings.Value.PublicBaseUrl!, refusal.Challenge, refusal.Scope, refusal.ResourcePath);
        var result = ToolResults.Error(refusal.Detail);
        result.Meta = new() { ["mcp/www_authenticate"] = new System.Text.Json.Nodes.JsonArray(challenge) };
        return (refusal, result);
    }

    /// <summary>Calls a tool that the token has the scope for. Whatever goes wrong is a result with a sentence in it.</summary>
    public async Task<CallToolResult> CallAsync(
        McpCaller caller, McpTool tool, IDictionary<string, JsonElement>? arguments, CancellationToken cancellationToken)
    {
        try
        {
            var given = arguments ?? new Dictionary<string, JsonElement>(StringComparer.Ordinal);
            return tool.Arguments.ProblemWith(given) is { } problem ? Refuse(caller, problem)
                : tool.Operation is null ? await profile.CallAsync(caller.Caller, caller.User)
                : await ForwardAsync(caller, tool, given, cancellationToken);
        }
        catch (Exception error) when (error is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            return Failed(caller, tool, error);
        }
    }

    private async Task<CallToolResult> ForwardAsync(
        McpCaller caller, McpTool tool, IDictionary<string, JsonElement> arguments, CancellationToken cancellationToken)
    {
        var (request, problem) = ToolRequest.Of(caller.Context, tool, routes, arguments, cancellationToken);
        if (request is null)
        {
            return Refuse(caller, problem!);
        }

        using var held = request;
        var refusal = await calls.MakeAsync(
            request.Context,
            new GatewayRequest(tool.Operation!.Method, request.Path, request.Query, caller.Token, false, caller.Occasion)
            {
                ResourcePath = tools.Endpoint!.ResourcePath,
            });
        foreach (var name in new[] { "RateLimit", "RateLimit-Policy" })
        {
            caller.Context.Response.Headers[name] = request.Context.Response.Headers[name];
        }

        cancellationToken.ThrowIfCancellationRequested();
        if (refusal is not null)
        {
            RequestNotes.Of(caller.Context).Refuse(refusal.Of(caller.Caller).Why);
            return ToolResults.Of(refusal, caller.Occasion.CorrelationId);
        }

        var (result, mistake) = ToolResults.Of(tool, request.Context.Response, request.Answer, settings.Value.PublicBaseUrl + request.Path);
        if (mistake is not null && toldMistakes.TryAdd(tool.Name, true))
        {
            LogUnexpected(tool.Name, tool.Operation.Place, mistake);
        }

        return result;
    }

    private static CallToolResult Refuse(McpCaller caller, string problem)
    {
        RequestNotes.Of(caller.Context).Refuse(new Refusal(RefusalReason.InvalidRequest, caller.Caller.ClientId, caller.Caller.SessionId));
        return ToolResults.Error(problem);
    }

    private CallToolResult Failed(McpCaller caller, McpTool tool, Exception error)
    {
        if (ErrorMapper.IsOutage(error))
        {
            LogOutage(tool.Name, caller.Occasion.CorrelationId, error.Message);
            return ToolResults.Of(GatewayRefusal.IdentityUnavailable, caller.Occasion.CorrelationId);
        }

        LogBug(tool.Name, caller.Occasion.CorrelationId, error);
        return ToolResults.Error(string.Create(
            CultureInfo.InvariantCulture,
            $"{Failure.Bug.Detail} It is {caller.Occasion.CorrelationId}. If the action changes something, check whether it did before you try again."));
    }

    [LoggerMessage(6040, LogLevel.Warning,
        "The tool {Tool} promises an object, and the upstream answered {Found}: correct {Operation} in the OpenAPI document, or the API. "
        + "Such answers go out as errors; this is said once")]
    private partial void LogUnexpected(string tool, string operation, string found);

    [LoggerMessage(6041, LogLevel.Warning, "The tool {Tool} could not be called (correlation id {CorrelationId}): {Reason}")]
    private partial void LogOutage(string tool, string correlationId, string reason);

    [LoggerMessage(6042, LogLevel.Error, "The tool {Tool} failed (correlation id {CorrelationId})")]
    private partial void LogBug(string tool, string correlationId, Exception error);
}
