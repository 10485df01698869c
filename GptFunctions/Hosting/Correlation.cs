using System.Buffers;
using System.Diagnostics;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Hosting;

/// <summary>The id that ties a request to its log lines, outbox rows and audit rows.</summary>
internal static class Correlation
{
    public const string Header = "x-correlation-id";
    private const int MaximumLength = 128;
    private const int TraceIdLength = 32;
    private static readonly SearchValues<char> TraceIdCharacters = SearchValues.Create("0123456789abcdef");

    /// <summary>The request's id: the caller's when it is well-formed, else the W3C trace id, else a new one.</summary>
    public static string CorrelationId(this HttpContext context) => RequestNotes.Of(context).CorrelationId ??=
        FromCaller(context.Request.Headers[Header]) ?? FromTraceParent(context.Request.Headers.TraceParent) ?? Guid.CreateVersion7().ToString("N");

    /// <summary>Whether an id would do as that of a trace (W3C Trace Context 3.2.2.3), as one that was made here does.</summary>
    public static bool IsTraceId(string id) =>
        id.Length == TraceIdLength && !id.AsSpan().ContainsAnyExcept(TraceIdCharacters) && id.AsSpan().ContainsAnyExcept('0');

    private static string? FromCaller(string? value) =>
        value is { Length: > 0 and <= MaximumLength } && value.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_' or '.' or ':')
            ? value
            : null;

    private static string? FromTraceParent(string? value) =>
        ActivityContext.TryParse(value, null, out var parent) ? parent.TraceId.ToHexString() : null;
}
