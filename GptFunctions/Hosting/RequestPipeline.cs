using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Hosting;

/// <summary>What surrounds every request in both hosts: the correlation id is echoed, the security headers are set, and a line is written.</summary>
internal sealed class RequestPipeline(RequestLog log, SafeMode safeMode, TimeProvider clock) : IStartupFilter
{
    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        Func<object, Task> setHeaders = SetHeaders;
        app.Use(async (context, following) =>
        {
            var started = clock.GetTimestamp();
            // When the answer starts, and not before: mapping an error clears what a function had set.
            context.Response.OnStarting(setHeaders, context);
            using var scope = log.BeginScope(context);
            try
            {
                await following(context);
            }
            finally
            {
                log.Completed(context, started);
            }
        });
        next(app);
    };

    private Task SetHeaders(object state)
    {
        var context = (HttpContext)state;
        var headers = context.Response.Headers;
        headers[Correlation.Header] = context.CorrelationId();
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        if (safeMode.IsOn)
        {
            headers[SafeMode.Header] = "true";
        }

        return Task.CompletedTask;
    }
}
