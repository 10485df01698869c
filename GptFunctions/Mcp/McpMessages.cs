using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;

namespace GptFunctions.Mcp;

/// <summary>A message that came, or the error that answers it.</summary>
internal readonly record struct ReadMessage(JsonRpcMessage? Message, JsonRpcError? Error);

/// <summary>
/// Reads a JSON-RPC message, and compares it with its headers, which is the HTTP binding's part of MCP and not the SDK core's. Everything that is
/// wrong here is 400.
/// </summary>
internal static class McpMessages
{
    /// <summary>MCP 2026-07-28: headers say what the body says, so that whoever reads only them can trust them.</summary>
    private const int HeaderMismatch = -32020;
    private const int UnsupportedVersion = -32022;
    private const int ParseError = -32700;
    private const int InvalidRequest = -32600;
    private const int InvalidParams = -32602;
    private const string VersionHeader = "MCP-Protocol-Version";
    private const string MethodHeader = "Mcp-Method";
    private const string NameHeader = "Mcp-Name";

    /// <summary>The version since which each request says everything by itself.</summary>
    private const string Stateless = "2026-07-28";
    private static readonly string[] Versions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", Stateless];
    private static readonly JsonTypeInfo<JsonRpcMessage> MessageType = (JsonTypeInfo<JsonRpcMessage>)McpJsonUtilities.DefaultOptions.GetTypeInfo(
        typeof(JsonRpcMessage));

    public static ReadMessage Read(ReadOnlySpan<byte> body, IHeaderDictionary headers)
    {
        JsonRpcMessage? message;
        try
        {
            if (body.TrimStart(" \t\r\n"u8) is [(byte)'[', ..])
            {
                return Refuse(default, InvalidRequest, "Batches are not taken: send each message in a request of its own.");
            }

            message = JsonSerializer.Deserialize(body, MessageType);
        }
        catch (JsonException)
        {
            return IsJson(body) ? Refuse(default, InvalidRequest, "This is no JSON-RPC 2.0 message.") : Refuse(default, ParseError, "This is no JSON.");
        }

        if (message is null)
        {
            return Refuse(default, InvalidRequest, "This is no JSON-RPC 2.0 message.");
        }

        var version = headers[VersionHeader].ToString();
        if (version.Length > 0)
        {
            message.Context ??= new();
            message.Context.ProtocolVersion = version;
        }

        var error = ProblemWith(message, version, headers);
        return error is null ? new ReadMessage(message, null) : new ReadMessage(null, error);
    }

    /// <summary>Whether a version is one in which each request says everything by itself.</summary>
    public static bool IsStateless(string? version) => version == Stateless;

    public static JsonRpcError Error(RequestId id, int code, string message, JsonNode? data = null) =>
        new() { Id = id, Error = new JsonRpcErrorDetail { Code = code, Message = message, Data = data } };

    public static RequestId IdOf(JsonRpcMessage message) => message is JsonRpcRequest request ? request.Id : default;

    public static byte[] Write(JsonRpcMessage message) => JsonSerializer.SerializeToUtf8Bytes(message, MessageType);

    /// <summary>What the standard says of an error (2026-07-28, "Streamable HTTP"): older versions answer 200 and leave it to the body.</summary>
    public static int StatusOf(JsonRpcMessage answer, string? version) =>
        version != Stateless || answer is not JsonRpcError { Error.Code: var code } ? StatusCodes.Status200OK
        : code == (int)McpErrorCode.MethodNotFound ? StatusCodes.Status404NotFound
        : code is HeaderMismatch or UnsupportedVersion or (int)McpErrorCode.MissingRequiredClientCapability ? StatusCodes.Status400BadRequest
        : StatusCodes.Status200OK;

    private static JsonRpcError? ProblemWith(JsonRpcMessage message, string version, IHeaderDictionary headers)
    {
        var id = IdOf(message);
        var (method, parameters) = message switch
        {
            JsonRpcRequest request => (request.Method, request.Params),
            JsonRpcNotification notification => (notification.Method, notification.Params),
            _ => (null, null),
        };
        if (version.Length > 0 && !Versions.Contains(version))
        {
            return Error(id, UnsupportedVersion, $"The version {version} of {VersionHeader} is not known here.", new JsonObject
            {
                ["supported"] = new JsonArray(Stateless), // what server/discover says; the older ones are agreed on by their handshake
                ["requested"] = version,
            });
        }

        if (method is null)
        {
            return null;
        }

        if (parameters is not (null or JsonObject))
        {
            return Error(id, InvalidParams, "params must be an object.");
        }

        var given = parameters as JsonObject;
        return ProblemWithShape(id, method, version, given) ?? ProblemWithVersion(message, version, given)
            ?? ProblemWithHeaders(id, method, version, given, headers);
    }

    /// <summary>What the SDK would answer with no more than "an error occurred".</summary>
    private static JsonRpcError? ProblemWithShape(RequestId id, string method, string version, JsonObject? parameters) =>
        parameters?["_meta"] is not (null or JsonObject) ? Error(id, InvalidParams, "params._meta must be an object.")
        : method switch
        {
            "tools/call" => Text(parameters, "name") is null ? Error(id, InvalidParams, "params.name must be the name of a tool.")
                : parameters!["arguments"] is not (null or JsonObject) ? Error(id, InvalidParams, "params.arguments must be an object.")
                : null,
            "tools/list" => parameters?["cursor"] is not null && Text(parameters, "cursor") is null ? Error(id, InvalidParams, "params.cursor must be a text.")
                : null,
            "initialize" when version != Stateless => Text(parameters, "protocolVersion") is null || parameters!["capabilities"] is not JsonObject
                || parameters["clientInfo"] is not JsonObject client || Text(client, "name") is null || Text(client, "version") is null
                ? Error(id, InvalidParams, "params must have protocolVersion, capabilities and clientInfo with name and version.")
                : null,
            _ => null,
        };

    private static JsonRpcError? ProblemWithVersion(JsonRpcMessage message, string version, JsonObject? parameters)
    {
        var id = IdOf(message);
        var meta = parameters?["_meta"] as JsonObject;
        var said = Text(meta, MetaKeys.ProtocolVersion);
        if (message is JsonRpcRequest { Method: "initialize" } && version.Length > 0 && Text(parameters, "protocolVersion") is { } asked && asked != version)
        {
            return Error(id, HeaderMismatch, $"{VersionHeader} says {version}, params.protocolVersion {asked}.");
        }

        if (version != Stateless && said != Stateless)
        {
            return null;
        }

        return version.Length == 0 ? Error(id, HeaderMismatch, $"The header {VersionHeader} is missing, and _meta says {said}.")
            : said is not null && said != version ? Error(id, HeaderMismatch, $"{VersionHeader} says {version}, _meta/{MetaKeys.ProtocolVersion} {said}.")
            : message is not JsonRpcRequest ? null
            : said is null ? Error(id, InvalidParams, $"params._meta lacks {MetaKeys.ProtocolVersion}, which version {version} needs in each request.")
            : meta![MetaKeys.ClientCapabilities] is not JsonObject
                ? Error(id, InvalidParams, $"params._meta lacks {MetaKeys.ClientCapabilities}, an object, which version {version} needs in each request.")
            : meta[MetaKeys.ClientInfo] is { } info && (Text(info as JsonObject, "name") is null || Text(info as JsonObject, "version") is null)
                ? Error(id, InvalidParams, $"params._meta/{MetaKeys.ClientInfo} must have name and version.")
            : null;
    }

    private static JsonRpcError? ProblemWithHeaders(RequestId id, string method, string version, JsonObject? parameters, IHeaderDictionary headers)
    {
        if (version != Stateless)
        {
            return null;
        }

        var called = headers[MethodHeader].ToString().Trim();
        if (called != method)
        {
            return Error(
                id, HeaderMismatch, called.Length == 0 ? $"The header {MethodHeader} is missing." : $"{MethodHeader} says {called}, the body {method}.");
        }

        var name = method switch
        {
            "tools/call" or "prompts/get" => Text(parameters, "name"),
            "resources/read" => Text(parameters, "uri"),
            _ => null,
        };
        if (name is null)
        {
            return null;
        }

        var header = headers[NameHeader].ToString().Trim();
        return header.Length == 0 ? Error(id, HeaderMismatch, $"The header {NameHeader} is missing.")
            : header.AsSpan().ContainsAnyExceptInRange(' ', '~') || McpHeaderEncoder.DecodeValue(header) != name
                ? Error(id, HeaderMismatch, $"{NameHeader} says something else than the body: {name}.")
            : null;
    }

    private static string? Text(JsonObject? owner, string name) =>
        owner?[name] is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    private static bool IsJson(ReadOnlySpan<byte> body)
    {
        try
        {
            var reader = new Utf8JsonReader(body);
            reader.Read();
            reader.Skip();
            return !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static ReadMessage Refuse(RequestId id, int code, string message) => new(null, Error(id, code, message));
}
