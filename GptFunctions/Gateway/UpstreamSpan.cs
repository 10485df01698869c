using System.Diagnostics;
using System.Globalization;
using GptFunctions.Hosting;

namespace GptFunctions.Gateway;

/// <summary>
/// The span of a call to an upstream, from the request to the end of the answer (semantic conventions for HTTP client spans, stable since 1.23.0). Instead of
/// HttpClient's own, whose URL would have the values of the path.
/// </summary>
internal static class UpstreamSpan
{
    private const int FirstError = 400;

    /// <summary>Null where nobody records it.</summary>
    public static Activity? Start(string method, GatewayRoute route)
    {
        var span = Traces.Source.StartActivity(method, ActivityKind.Client);
        if (span is { IsAllDataRequested: true })
        {
            span.DisplayName = $"{method} {route.UpstreamPath.Text}";
            span.SetTag("http.request.method", method);
            span.SetTag("server.address", route.Upstream.Host);
            span.SetTag("server.port", route.Upstream.Port);
            span.SetTag("url.full", route.Upstream.GetLeftPart(UriPartial.Path).TrimEnd('/') + route.UpstreamPath.Text); // the template's
            span.SetTag("gpt.route", route.Name);
        }

        return span;
    }

    /// <summary>Ends it: what is done for the month's quota afterwards is not the upstream's.</summary>
    /// <param name="status">What the caller was told.</param>
    public static void End(Activity? span, int status)
    {
        if (span is { IsAllDataRequested: true })
        {
            span.SetTag("http.response.status_code", status);
            if (status >= FirstError)
            {
                span.SetTag("error.type", status.ToString(CultureInfo.InvariantCulture));
                span.SetStatus(ActivityStatusCode.Error);
            }
        }

        span?.Stop();
    }
}
