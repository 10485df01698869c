using System.Collections.Frozen;
using System.Diagnostics;
using GptFunctions.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace GptFunctions.Telemetry;

/// <summary>
/// Gives ASP.NET Core's span of a request its name and attributes (semantic conventions for HTTP server spans, stable since 1.23.0). Paths hold ids
/// and queries hold codes, so the route's template stands for both; the caller's address and user agent are left out.
/// </summary>
internal sealed class ServerSpans : IStartupFilter
{
    /// <summary>Asked every few seconds by whoever watches over the program: never recorded.</summary>
    private static readonly FrozenSet<string> Probes =
        FrozenSet.Create(StringComparer.OrdinalIgnoreCase, "/health", "/healthz", "/ready", "/__selftest", "/__selftest/simple");

    // RFC 9110 9 and RFC 5789; any other is _OTHER.
    private static readonly FrozenSet<string> Methods =
        FrozenSet.Create(StringComparer.Ordinal, "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH");

    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        app.Use((context, following) => context.Features.Get<IHttpActivityFeature>()?.Activity is { IsAllDataRequested: true } span
            ? DescribeAsync(span, context, following)
            : following(context));
        next(app);
    };

    private static async Task DescribeAsync(Activity span, HttpContext context, RequestDelegate following)
    {
        if (Probes.Contains(context.Request.Path.Value ?? ""))
        {
            span.IsAllDataRequested = false;
            span.ActivityTraceFlags &= ~ActivityTraceFlags.Recorded; // what follows from it goes by this
            await following(context);
            return;
        }

        try
        {
            await following(context);
        }
        finally
        {
            Describe(span, context);
        }
    }

    private static void Describe(Activity span, HttpContext context)
    {
        var method = Methods.Contains(context.Request.Method) ? context.Request.Method : "_OTHER";
        // The gateway knows a better one than the endpoint, which is the same for all that it forwards.
        var route = (string?)span.GetTagItem("http.route") ?? RequestLog.RouteOf(context);
        var (name, status) = (method == "_OTHER" ? "HTTP" : method, context.Response.StatusCode);
        span.DisplayName = route is null ? name : $"{name} {route}";
        span.SetTag("http.request.method", method);
        span.SetTag("http.response.status_code", status);
        span.SetTag("http.route", route);
        span.SetTag("url.scheme", context.Request.Scheme);
        span.SetTag("url.path", route);
        span.SetTag("network.protocol.version", context.Request.Protocol is ['H', 'T', 'T', 'P', '/', .. var version] ? version : null);
        span.SetTag("gpt.correlation_id", context.CorrelationId());
        span.SetTag("gpt.refusal", RequestNotes.Of(context).Refusal?.Reason.Text());
        if (status >= StatusCodes.Status500InternalServerError)
        {
            span.SetTag("error.type", status.ToString(System.Globalization.CultureInfo.InvariantCulture));
            span.SetStatus(ActivityStatusCode.Error);
        }
    }
}
