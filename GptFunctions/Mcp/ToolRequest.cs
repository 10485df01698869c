using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using GptFunctions.Gateway;
using GptFunctions.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace GptFunctions.Mcp;

/// <summary>
/// The HTTP request that a call of a tool stands for, in a context of its own, so that it goes the way of any other call of its route. The upstream's
/// answer is held there.
/// </summary>
internal sealed class ToolRequest : IDisposable
{
    /// <summary>What is about the request to the MCP endpoint itself, and not about the call that it asks for.</summary>
    private static readonly string[] NotPassed =
    [
        "authorization", "accept", "range", "origin", "referer", "last-event-id", "digest", "repr-digest", "want-digest", "prefer", "priority", "date",
        "cache-control", "pragma", "host",
    ];

    private static readonly string[] NotPassedPrefixes = ["content-", "accept-encoding", "if-", "mcp-", "access-control-", "sec-"];

    // For an API, not for a page: what is no ASCII stays as it is.
    private static readonly JsonWriterOptions AsItIs = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private readonly HeldAnswer held = new();

    private ToolRequest(HttpContext caller, McpTool tool, string path, string query, byte[]? body, CancellationToken cancellationToken)
    {
        Path = path;
        Query = query;
        Context = new DefaultHttpContext { RequestServices = caller.RequestServices, RequestAborted = cancellationToken };
        Context.Features.Set(RequestNotes.Of(caller));
        Context.Features.Set<IHttpRequestBodyDetectionFeature>(new BodyDetection(body is not null));
        var request = Context.Request;
        (request.Method, request.Scheme, request.Host, request.QueryString) =
            (tool.Operation!.Method, caller.Request.Scheme, caller.Request.Host, new QueryString(query));
        foreach (var (name, values) in caller.Request.Headers)
        {
            if (!NotPassed.Contains(name, StringComparer.OrdinalIgnoreCase)
                && !Array.Exists(NotPassedPrefixes, prefix => name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase)))
            {
                request.Headers[name] = values;
            }
        }

        request.Headers.Accept = "application/json, */*;q=0.5";
        request.Headers.AcceptEncoding = "identity"; // it is read here
        if (body is not null)
        {
            (request.Body, request.ContentLength, request.ContentType) = (new MemoryStream(body, writable: false), body.Length, tool.Input!.BodyType);
        }

        Context.Response.Body = held;
    }

    public DefaultHttpContext Context { get; }

    /// <summary>Percent-decoded, as the gateway takes it.</summary>
    public string Path { get; }

    /// <summary>With its question mark; or empty.</summary>
    public string Query { get; }

    public ReadOnlyMemory<byte> Answer => held.GetBuffer().AsMemory(0, (int)held.Length);

    /// <param name="caller">The request to the MCP endpoint.</param>
    /// <param name="arguments">Conform to the tool's schema.</param>
    /// <returns>The request, or a sentence about the argument that cannot be sent.</returns>
    public static (ToolRequest? Request, string? Problem) Of(
        HttpContext caller, McpTool tool, GatewayRoutes routes, IDictionary<string, JsonElement> arguments, CancellationToken cancellationToken)
    {
        var (route, input) = (tool.Operation!.Route, tool.Input!);
        var values = route.Path.Parameters.Select(name => Text(arguments[ArgumentOf(input, name)])).ToArray();
        // As HTTP would have it: what leads to another route is no value of this one's parameter.
        var path = Uri.UnescapeDataString(route.Path.Fill(route.Path.Parameters, values));
        if (routes.Find(tool.Operation.Method, path).Route != route)
        {
            var names = string.Join(" or ", route.Path.Parameters.Select(name => ArgumentOf(input, name)));
            return (
                null, $"The value of {names} cannot stand in a path here: it must not be empty, '.' or '..', hold '/', '\\' or '%', or name another action.");
        }

        var query = new StringBuilder();
        var headers = new List<KeyValuePair<string, string>>();
        foreach (var parameter in input.Parameters)
        {
            if (!arguments.TryGetValue(parameter.Argument, out var value) || parameter.Place == "path")
            {
                continue;
            }

            if (parameter.Place == "query")
            {
                AddQuery(query, parameter, value);
            }
            else if (Simple(parameter, value) is var text && text.AsSpan().ContainsAnyInRange('\0', '\x1f'))
            {
                return (null, $"The value of {parameter.Argument} cannot stand in a header: it must be one line.");
            }
            else
            {
                headers.Add(KeyValuePair.Create(parameter.Name, text));
            }
        }

        var request = new ToolRequest(caller, tool, path, query.ToString(), Body(input, arguments), cancellationToken);
        headers.ForEach(header => request.Context.Request.Headers[header.Key] = header.Value);
        return (request, null);
    }

    public void Dispose() => held.Dispose();

    private static string ArgumentOf(ToolInput input, string name) =>
        input.Parameters.First(parameter => parameter.Place == "path" && parameter.Name == name).Argument;

    private static byte[]? Body(ToolInput input, IDictionary<string, JsonElement> arguments)
    {
        if (input.BodyType is null)
        {
            return null;
        }

        var buffer = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(buffer, AsItIs);
        if (input.HasBodyArgument)
        {
            if (!arguments.TryGetValue("body", out var body))
            {
                return null;
            }

            body.WriteTo(json);
        }
        else
        {
            var members = arguments.Where(argument => !input.Parameters.Any(parameter => parameter.Argument == argument.Key)).ToList();
            if (members.Count == 0 && !input.IsBodyRequired)
            {
                return null;
            }

            json.WriteStartObject();
            foreach (var (name, value) in members)
            {
                json.WritePropertyName(name);
                value.WriteTo(json);
            }

            json.WriteEndObject();
        }

        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>OpenAPI 3.1.1 4.8.12.2: how values stand in a query.</summary>
    private static void AddQuery(StringBuilder query, ToolParameter parameter, JsonElement value)
    {
        if (parameter.IsJson || value.ValueKind is not (JsonValueKind.Array or JsonValueKind.Object))
        {
            Add(parameter.Name, parameter.IsJson ? value.GetRawText() : Text(value));
        }
        else if (value.ValueKind == JsonValueKind.Object)
        {
            if (parameter.Style == "form" && !parameter.Explodes)
            {
                Add(parameter.Name, Simple(parameter, value));
            }
            else
            {
                foreach (var member in value.EnumerateObject())
                {
                    Add(parameter.Style == "deepObject" ? $"{parameter.Name}[{member.Name}]" : member.Name, Text(member.Value));
                }
            }
        }
        else if (parameter.Explodes)
        {
            foreach (var item in value.EnumerateArray())
            {
                Add(parameter.Name, Text(item));
            }
        }
        else
        {
            var separator = parameter.Style switch { "spaceDelimited" => " ", "pipeDelimited" => "|", _ => "," };
            Add(parameter.Name, string.Join(separator, value.EnumerateArray().Select(Text)));
        }

        void Add(string name, string text) =>
            query.Append(query.Length == 0 ? '?' : '&').Append(Uri.EscapeDataString(name)).Append('=').Append(Uri.EscapeDataString(text));
    }

    /// <summary>The style <c>simple</c>: with commas between.</summary>
    private static string Simple(ToolParameter parameter, JsonElement value) => value.ValueKind switch
    {
        _ when parameter.IsJson => value.GetRawText(),
        JsonValueKind.Array => string.Join(',', value.EnumerateArray().Select(Text)),
        JsonValueKind.Object => string.Join(
            ',', value.EnumerateObject().Select(member => parameter.Explodes ? $"{member.Name}={Text(member.Value)}" : $"{member.Name},{Text(member.Value)}")),
        _ => Text(value),
    };

    private static string Text(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Null => "",
        JsonValueKind.Array => string.Join(',', value.EnumerateArray().Select(Text)),
        _ => value.GetRawText(),
    };

    private sealed record BodyDetection(bool CanHaveBody) : IHttpRequestBodyDetectionFeature;

    /// <summary>An upstream's answer in memory, which has an end also where its route has no cap.</summary>
    private sealed class HeldAnswer : MemoryStream
    {
        public override void Write(byte[] buffer, int offset, int count)
        {
            Check(count);
            base.Write(buffer, offset, count);
        }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            Check(buffer.Length);
            base.Write(buffer);
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
        {
            Check(count);
            return base.WriteAsync(buffer, offset, count, cancellationToken);
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Check(buffer.Length);
            return base.WriteAsync(buffer, cancellationToken);
        }

        private void Check(int more)
        {
            if (Length + more > 4L * Forwarder.UncappedCharacters)
            {
                throw new AnswerTooLongException(Forwarder.UncappedCharacters);
            }
        }
    }
}
