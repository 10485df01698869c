using System.Diagnostics;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Hosting;

/// <summary>The id that ties a request to its log lines, outbox rows and audit rows.</summary>
internal static class Correlation
{
    public const string Header = "x-correlation-id";
    private const int MaximumLength = 128;
    private static readonly object ItemKey = new();

    /// <summary>The request's id: the caller's when it is well-formed, else the W3C trace id, else a new one.</summary>
    public static string CorrelationId(this HttpContext context)
    {
        if (context.Items.TryGetValue(ItemKey, out var known))
        {
            return (string)known!;
        }

        var id = FromCaller(context.Request.Headers[Header]) ?? FromTraceParent(context.Request.Headers.TraceParent) ?? Guid.CreateVersion7().ToString("N");
        context.Items[ItemKey] = id;
        return id;
    }

    private static string? FromCaller(string? value) =>
        value is { Length: > 0 and <= MaximumLength } && value.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_' or '.' or ':')
            ? value
            : null;

    private static string? FromTraceParent(string? value) =>
        ActivityContext.TryParse(value, null, out var parent) ? parent.TraceId.ToHexString() : null;
}
