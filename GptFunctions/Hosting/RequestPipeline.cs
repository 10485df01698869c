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
            var headers = context.Response.Headers;
            headers[Correlation.Header] = context.CorrelationId();
            headers.XContentTypeOptions = "nosniff";
            headers.XFrameOptions = "DENY";
            headers["Referrer-Policy"] = "no-referrer";
            return following(context);
        });
        next(app);
    };
}
