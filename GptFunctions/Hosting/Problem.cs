using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Hosting;

/// <summary>RFC 9457 problem document.</summary>
internal sealed record ProblemDocument(string Type, string Title, int Status, string Detail, string CorrelationId);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ProblemDocument))]
internal sealed partial class HostingJson : JsonSerializerContext;

internal static class Problem
{
    /// <summary>A problem+json answer; <paramref name="detail"/> is a sentence that says what to do.</summary>
    public static IResult Result(HttpContext context, int status, string title, string detail)
    {
        context.Response.Headers.CacheControl = "no-store";
        var document = new ProblemDocument("about:blank", title, status, detail, context.CorrelationId());
        return Results.Json(document, HostingJson.Default.ProblemDocument, "application/problem+json", status);
    }
}
