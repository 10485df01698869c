using Microsoft.AspNetCore.Http;

namespace GptFunctions.Hosting;

/// <summary>Lets scripts of any origin read an answer. Safe where credentials are in the request itself and never in cookies.</summary>
internal static class Cors
{
    public static void Allow(HttpRequest request) => request.HttpContext.Response.Headers.AccessControlAllowOrigin = "*";

    /// <summary>The answer to a preflight request.</summary>
    public static IResult Preflight(HttpRequest request, string methods)
    {
        Allow(request);
        var headers = request.HttpContext.Response.Headers;
        headers.AccessControlAllowMethods = methods;
        headers.AccessControlAllowHeaders = "Authorization, Content-Type, x-correlation-id, mcp-protocol-version";
        headers.AccessControlMaxAge = "86400";
        return Results.NoContent();
    }
}
