using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Gateway;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using ModelContextProtocol.Protocol;

namespace GptFunctions.Mcp;

/// <summary>What a model gets to see of an answer.</summary>
internal static class ToolResults
{
    private const int LargestResource = 1024 * 1024;

    /// <summary>A sentence that a model can act on.</summary>
    public static CallToolResult Error(string sentence) => new() { Content = [new TextContentBlock { Text = sentence }], IsError = true };

    /// <summary>Why the gateway did not ask the upstream, or has no answer of it: the sentence of its problem document, and what programs go by.</summary>
    public static CallToolResult Of(GatewayRefusal refusal, string correlationId)
    {
        var result = Error(refusal.Detail);
        result.Meta = new JsonObject { ["status"] = refusal.Status, ["correlation_id"] = correlationId };
        if (refusal.Code is { } code)
        {
            result.Meta["code"] = code;
        }

        if (refusal.RetryAfterSeconds is { } seconds)
        {
            result.Meta["retry_after_seconds"] = seconds;
        }

        return result;
    }

    /// <summary>The upstream's answer, whatever it is.</summary>
    /// <param name="url">Of the call, as the caller may know it.</param>
    /// <returns>The result, and what the answer should have been according to the document; null when it is as it says.</returns>
    public static (CallToolResult Result, string? Mistake) Of(McpTool tool, HttpResponse response, ReadOnlyMemory<byte> content, string url)
    {
        var (status, type) = (response.StatusCode, response.ContentType);
        var isEncoded = response.Headers.ContentEncoding.Count > 0;
        if (status >= StatusCodes.Status300MultipleChoices)
        {
            return (Error(Failure(status, type, isEncoded ? "" : Text(content, type))), null);
        }

        if (!isEncoded && (MediaTypes.IsJson(type) || type is null) && Parse(content) is { } json)
        {
            return OfJson(tool, json, Text(content, type));
        }

        if (content.IsEmpty)
        {
            return Unexpected(
                tool, new CallToolResult { Content = [new TextContentBlock { Text = $"Done. The answer has no content ({status})." }] }, "no content");
        }

        if (!isEncoded && (type is null || MediaTypes.IsText(type) || MediaTypes.IsJson(type)))
        {
            return Unexpected(tool, new CallToolResult { Content = [new TextContentBlock { Text = Text(content, type) }] }, "a text");
        }

        if (content.Length > LargestResource)
        {
            return (
                Error($"The answer is {MediaTypes.Name(type)} of {content.Length} bytes, and more than {LargestResource} cannot be handed on. Ask for less."),
                null);
        }

        var resource = BlobResourceContents.FromBytes(content.ToArray(), url, MediaTypes.Name(type));
        return Unexpected(tool, new CallToolResult { Content = [new EmbeddedResourceBlock { Resource = resource }] }, MediaTypes.Name(type));
    }

    private static (CallToolResult Result, string? Mistake) OfJson(McpTool tool, JsonElement json, string text)
    {
        var result = new CallToolResult { Content = [new TextContentBlock { Text = text }] };
        if (json.ValueKind != JsonValueKind.Object)
        {
            return Unexpected(tool, result, json.ValueKind == JsonValueKind.Array ? "a list" : "no object");
        }

        if (tool.Output?.ProblemWith(json, "it") is { } problem)
        {
            return Unexpected(tool, result, "an object of another kind: " + problem.TrimEnd('.'));
        }

        result.StructuredContent = json;
        return (result, null);
    }

    /// <summary>Hosts refuse a result without what <c>outputSchema</c> promises; so it is an error, with the answer in it.</summary>
    private static (CallToolResult Result, string? Mistake) Unexpected(McpTool tool, CallToolResult result, string found)
    {
        if (tool.Output is null)
        {
            return (result, null);
        }

        result.IsError = true;
        result.Content.Add(new TextContentBlock
        {
            Text = $"The service behind this action was asked, and answered with something else than its description says: {found}. "
                + "The answer stands above; if the action changes something, it probably did.",
        });
        return (result, found);
    }

    private static string Failure(int status, string? type, string text)
    {
        if (MediaTypes.IsJson(type) && Parse(Encoding.UTF8.GetBytes(text)) is { ValueKind: JsonValueKind.Object } problem)
        {
            var sentence = string.Join(": ", new[] { Member(problem, "title"), Member(problem, "detail") }.Where(part => part is not null));
            if (sentence.Length > 0)
            {
                return sentence;
            }
        }

        return text.Length == 0 ? $"The service behind this action answered {status}, without a word."
            : $"The service behind this action answered {status}: {text}";
    }

    private static string? Member(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text : null;

    private static JsonElement? Parse(ReadOnlyMemory<byte> content)
    {
        try
        {
            return content.IsEmpty ? null : JsonElement.Parse(content.Span);
        }
        catch (JsonException)
        {
            return null; // it says JSON and is none: a text
        }
    }

    private static string Text(ReadOnlyMemory<byte> content, string? type)
    {
        try
        {
            var encoding = MediaTypeHeaderValue.TryParse(type, out var parsed) && parsed.Charset.HasValue
                ? Encoding.GetEncoding(HeaderUtilities.RemoveQuotes(parsed.Charset).ToString())
                : Encoding.UTF8;
            return encoding.GetString(content.Span);
        }
        catch (ArgumentException)
        {
            return Encoding.UTF8.GetString(content.Span); // a charset that nobody here knows
        }
    }
}
