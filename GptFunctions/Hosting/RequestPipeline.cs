using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Hosting;

/// <summary>What surrounds every request in both hosts: the correlation id is echoed and the security headers are set.</summary>
internal sealed class RequestPipeline : IStartupFilter
{
    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        app.Use((context, following) =>
        {
            // When the answer starts, and not before: mapping an error clears what a function had set.
            context.Response.OnStarting(SetHeaders, context);
            return following(context);
        });
        next(app);
    };

    private static Task SetHeaders(object state)
    {
        var context = (HttpContext)state;
        var headers = context.Response.Headers;
        headers[Correlation.Header] = context.CorrelationId();
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        return Task.CompletedTask;
    }
}
