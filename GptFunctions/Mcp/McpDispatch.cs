using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using GptFunctions.Hosting;
using Microsoft.Extensions.Logging;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace GptFunctions.Mcp;

/// <summary>Has the SDK answer one message: a server for each, because each is a request by itself, whichever process it comes to.</summary>
internal sealed partial class McpDispatch(McpService service, ToolCatalog tools, ILogger<McpDispatch> logger)
{
    private static readonly string Version = typeof(McpDispatch).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";

    private static readonly JsonTypeInfo<Implementation> InfoType =
        (JsonTypeInfo<Implementation>)McpJsonUtilities.DefaultOptions.GetTypeInfo(typeof(Implementation));

    private static readonly JsonTypeInfo<CallToolRequestParams> ParametersType =
        (JsonTypeInfo<CallToolRequestParams>)McpJsonUtilities.DefaultOptions.GetTypeInfo(typeof(CallToolRequestParams));

    private static readonly JsonTypeInfo<CallToolResult> ResultType =
        (JsonTypeInfo<CallToolResult>)McpJsonUtilities.DefaultOptions.GetTypeInfo(typeof(CallToolResult));

    private Implementation ServerInfo => new() { Name = tools.Config!.Name, Title = tools.Config.Title, Version = Version };

    /// <param name="denied">What a call of a tool is answered with that the token has no scope for.</param>
    /// <returns>The answer; null for a message that has none, and for a stream, which the response has already.</returns>
    public async Task<JsonRpcMessage?> AnswerAsync(
        McpCaller caller, JsonRpcMessage message, CallToolResult? denied, CancellationToken cancellationToken)
    {
        if (message is JsonRpcRequest { Method: RequestMethods.ToolsCall } call && Read(call) is { } parameters && tools.Find(parameters.Name) is { } tool)
        {
            return Answer(call, denied ?? await service.CallAsync(caller, tool, parameters.Arguments, cancellationToken));
        }

        JsonRpcMessage? answer = null;
        var isStream = IsStream(message);
        var response = caller.Context.Response;
        if (isStream)
        {
            response.ContentType = "text/event-stream";
        }

        var options = Options(caller, isStream ? null : sent => answer = sent);
        var transport = new StreamableHttpServerTransport { Stateless = true };
        await using var server = McpServer.Create(transport, options, null, caller.Context.RequestServices);
        var running = server.RunAsync(cancellationToken);
        try
        {
            await transport.HandlePostRequestAsync(message, isStream ? response.Body : Stream.Null, cancellationToken);
        }
        finally
        {
            await transport.DisposeAsync();
            // nothing uses the request now
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        }

        return answer;
    }

    private static CallToolRequestParams? Read(JsonRpcRequest call)
    {
        try
        {
            return call.Params.Deserialize(ParametersType);
        }
        catch (JsonException)
        {
            return null; // the SDK's server says what is wrong
        }
    }

    /// <summary>
    /// Calls of tools are most of what comes, and a server for each would cost more than the call: so what the SDK adds to a result is added here.
    /// </summary>
    private JsonRpcResponse Answer(JsonRpcRequest call, CallToolResult result)
    {
        if (McpMessages.IsStateless(call.Context?.ProtocolVersion))
        {
            result.ResultType = "complete";
            result.Meta ??= [];
            result.Meta[MetaKeys.ServerInfo] = JsonSerializer.SerializeToNode(ServerInfo, InfoType);
        }

        return new JsonRpcResponse { Id = call.Id, Result = JsonSerializer.SerializeToNode(result, ResultType), Context = call.Context };
    }

    /// <summary>Whoever subscribes is told at once that there is nothing to wait for: the tools change with a deployment only.</summary>
    public static bool IsStream(JsonRpcMessage message) => message is JsonRpcRequest { Method: RequestMethods.SubscriptionsListen };

    /// <param name="take">Gets the answer; null where the transport writes it.</param>
    private McpServerOptions Options(McpCaller caller, Action<JsonRpcMessage>? take)
    {
        var config = tools.Config!;
        var options = new McpServerOptions
        {
            ServerInfo = ServerInfo,
            ServerInstructions = config.Instructions,
            ScopeRequests = false,
            Capabilities = new ServerCapabilities { Tools = new ToolsCapability() },
        };
        options.Handlers.ListToolsHandler = async (request, _) => await service.ListAsync(caller.Caller);
        options.Handlers.CallToolHandler = (request, _) => throw new McpProtocolException(
            $"There is no tool {request.Params?.Name}.", McpErrorCode.InvalidParams); // those that there are have been called before
        options.Filters.Message.IncomingFilters.Add(next => (context, cancellationToken) => GuardAsync(caller, next, context, cancellationToken));
        options.Filters.Message.OutgoingFilters.Add(next => (context, cancellationToken) =>
        {
            if (take is not null && context.JsonRpcMessage is (JsonRpcResponse or JsonRpcError))
            {
                take(context.JsonRpcMessage);
                AddSecuritySchemes(context.JsonRpcMessage);
                // It is written by the endpoint, as JSON; the transport only has to know that there was an answer.
                context.JsonRpcMessage = new JsonRpcResponse
                {
                    Id = ((JsonRpcMessageWithId)context.JsonRpcMessage).Id,
                    Result = null,
                    Context = context.JsonRpcMessage.Context,
                };
            }

            return next(context, cancellationToken);
        });
        return options;
    }

    /// <summary>No exception of ours becomes an error without a word.</summary>
    private async Task GuardAsync(McpCaller caller, McpMessageHandler next, MessageContext context, CancellationToken cancellationToken)
    {
        try
        {
            await next(context, cancellationToken);
        }
        catch (JsonException error)
        {
            throw new McpProtocolException($"params are not what the standard says: {error.Message}", error, McpErrorCode.InvalidParams);
        }
        catch (Exception error) when (ErrorMapper.IsOutage(error))
        {
            LogOutage(caller.Occasion.CorrelationId, error.Message);
            throw new McpProtocolException(Failure.Outage.Detail, error, McpErrorCode.InternalError);
        }
        catch (Exception error) when (error is not (McpException or OperationCanceledException))
        {
            LogBug(caller.Occasion.CorrelationId, error);
            throw new McpProtocolException($"{Failure.Bug.Detail} It is {caller.Occasion.CorrelationId}.", error, McpErrorCode.InternalError);
        }
    }

    /// <summary>What ChatGPT reads beside <c>_meta</c>, and the SDK has no member for.</summary>
    private static void AddSecuritySchemes(JsonRpcMessage message)
    {
        if (message is JsonRpcResponse { Result: JsonObject result } && result["tools"] is JsonArray list)
        {
            foreach (var tool in list.OfType<JsonObject>())
            {
                tool[McpTool.SecuritySchemes] = tool["_meta"]?[McpTool.SecuritySchemes]?.DeepClone();
            }
        }
    }

    [LoggerMessage(6043, LogLevel.Warning, "An MCP request could not be answered (correlation id {CorrelationId}): {Reason}")]
    private partial void LogOutage(string correlationId, string reason);

    [LoggerMessage(6044, LogLevel.Error, "An MCP request failed (correlation id {CorrelationId})")]
    private partial void LogBug(string correlationId, Exception error);
}
