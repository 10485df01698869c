using System.Globalization;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace GptFunctions.Pages;

/// <summary>Renders pages: server-side components, no script, with headers that forbid framing, foreign content and caching.</summary>
internal static class PageResults
{
    /// <param name="formTargets">Where a form of the page may lead, redirects after the post included: browsers apply form-action to the whole chain.</param>
    public static IResult Render<TPage>(
        HttpContext context, Dictionary<string, object?> parameters, IEnumerable<string>? formTargets = null, int status = StatusCodes.Status200OK)
        where TPage : IComponent
    {
        var headers = context.Response.Headers;
        var targets = string.Join(' ', (formTargets ?? []).Distinct(StringComparer.Ordinal).Prepend("'self'"));
        headers.ContentSecurityPolicy = $"default-src 'none'; img-src data:; style-src '{PageStyle.Source}'; form-action {targets}; base-uri 'none'; "
            + "frame-ancestors 'none'";
        headers.CacheControl = "no-store";

        // The components' navigation is given a URL, which would be made of the Host header, whatever stands there.
        var publicBase = new Uri(context.RequestServices.GetRequiredService<IOptions<TokenSettings>>().Value.PublicBaseUrl!);
        (context.Request.Scheme, context.Request.Host) = (publicBase.Scheme, new HostString(publicBase.Authority));
        return new RazorComponentResult<TPage>(parameters) { StatusCode = status };
    }

    /// <summary>The page of a refusal, which is noted for the log.</summary>
    public static IResult Refuse(
        HttpContext context, Refusal refusal, int status, string title, string detail, int? retryAfterSeconds = null, PageLink? link = null)
    {
        RequestNotes.Of(context).Refuse(refusal);
        if (retryAfterSeconds is { } seconds)
        {
            context.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        return Error(context, status, title, detail, link);
    }

    public static IResult Refuse(HttpContext context, RefusalReason reason, int status, string title, string detail, PageLink? link = null) =>
        Refuse(context, new Refusal(reason), status, title, detail, link: link);

    /// <summary>The page of a failure that has been noted already (<see cref="ErrorMapper"/>).</summary>
    public static IResult Error(HttpContext context, int status, string title, string detail, PageLink? link = null) => Render<ErrorPage>(context, new()
    {
        [nameof(ErrorPage.Title)] = title,
        [nameof(ErrorPage.Detail)] = detail,
        [nameof(ErrorPage.Link)] = link,
        [nameof(ErrorPage.CorrelationId)] = context.CorrelationId(),
    }, status: status);
}

/// <summary>Where a page leads on.</summary>
/// <param name="Url">A path of ours.</param>
public sealed record PageLink(string Text, string Url);
