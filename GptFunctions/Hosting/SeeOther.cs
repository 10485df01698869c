using Microsoft.AspNetCore.Http;

namespace GptFunctions.Hosting;

/// <summary>303 after a POST (so that the browser does not repeat it, RFC 9700 4.12), 302 otherwise; never cached.</summary>
internal sealed class SeeOther(string url) : IResult
{
    public Task ExecuteAsync(HttpContext httpContext)
    {
        httpContext.Response.StatusCode = HttpMethods.IsPost(httpContext.Request.Method) ? StatusCodes.Status303SeeOther : StatusCodes.Status302Found;
        httpContext.Response.Headers.Location = url;
        httpContext.Response.Headers.CacheControl = "no-store";
        return Task.CompletedTask;
    }
}
