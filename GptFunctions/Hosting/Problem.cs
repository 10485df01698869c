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
    /// <param name="reason">What the log and the meters call it.</param>
    public static IResult Refuse(HttpContext context, RefusalReason reason, int status, string title, string detail)
    {
        RequestNotes.Of(context).Refuse(new Refusal(reason));
        return Result(context, status, title, detail);
    }

    /// <summary>The same for a failure that has been noted already (<see cref="ErrorMapper"/>).</summary>
    internal static IResult Result(HttpContext context, int status, string title, string detail)
    {
        context.Response.Headers.CacheControl = "no-store";
        var document = new ProblemDocument("about:blank", title, status, detail, context.CorrelationId());
        return Results.Json(document, HostingJson.Default.ProblemDocument, "application/problem+json", status);
    }
}
