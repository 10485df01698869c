using System.Globalization;
using GptFunctions.Hosting;
using GptFunctions.Pages.Languages;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace GptFunctions.Pages;

/// <summary>
/// Renders pages: server-side components, no script, with headers that forbid framing, foreign content and caching, in the language of the request
/// (<see cref="Language"/>).
/// </summary>
internal static class PageResults
{
    /// <param name="formTargets">Where a form of the page may lead, redirects after the post included: browsers apply form-action to the whole chain.</param>
    public static IResult Render<TPage>(
        HttpContext context, Dictionary<string, object?> parameters, IEnumerable<string>? formTargets = null, int status = StatusCodes.Status200OK)
        where TPage : IComponent
    {
        var headers = context.Response.Headers;
        var targets = string.Join(' ', (formTargets ?? []).Distinct(StringComparer.Ordinal).Prepend("'self'"));
        var sources = context.RequestServices.GetRequiredService<Brand>().Sources;
        headers.ContentSecurityPolicy = $"{sources}; form-action {targets}; base-uri 'none'; frame-ancestors 'none'";
        headers.CacheControl = "no-store";
        headers.ContentLanguage = Language.Of(context).Tag;
        headers.Vary = "Accept-Language"; // RFC 9110 12.5.5

        // The components' navigation is given a URL, which would be made of the Host header, whatever stands there.
        var publicBase = new Uri(context.RequestServices.GetRequiredService<IOptions<TokenSettings>>().Value.PublicBaseUrl!);
        (context.Request.Scheme, context.Request.Host) = (publicBase.Scheme, new HostString(publicBase.Authority));
        return new RazorComponentResult<TPage>(parameters) { StatusCode = status };
    }

    /// <summary>The page of a refusal, which is noted for the log.</summary>
    /// <param name="forItsMakers">What only the makers of a client can do something about, in English.</param>
    /// <param name="lead">Where the page leads on, beside the links of every such page.</param>
    public static IResult Refuse(
        HttpContext context, Refusal refusal, int status, Func<Texts, Notice> say, int? retryAfterSeconds = null, string? forItsMakers = null,
        Func<Texts, PageLink>? lead = null)
    {
        RequestNotes.Of(context).Refuse(refusal);
        if (retryAfterSeconds is { } seconds)
        {
            context.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        return Error(context, status, say(Language.Of(context)), forItsMakers, lead?.Invoke(Language.Of(context)));
    }

    public static IResult Refuse(
        HttpContext context, RefusalReason reason, int status, Func<Texts, Notice> say, string? forItsMakers = null, Func<Texts, PageLink>? lead = null) =>
        Refuse(context, new Refusal(reason), status, say, null, forItsMakers, lead);

    /// <summary>The same on a page that is in English whatever somebody asks for: for engineers.</summary>
    public static IResult Refuse(
        HttpContext context, Refusal refusal, int status, string title, string detail, int? retryAfterSeconds = null, PageLink? link = null)
    {
        Language.Choose(context, Language.English);
        return Refuse(context, refusal, status, _ => new Notice(title, detail), retryAfterSeconds, null, link is null ? null : _ => link);
    }

    public static IResult Refuse(HttpContext context, RefusalReason reason, int status, string title, string detail, PageLink? link = null) =>
        Refuse(context, new Refusal(reason), status, title, detail, link: link);

    /// <summary>The page of a failure that has been noted already (<see cref="ErrorMapper"/>).</summary>
    public static IResult Error(HttpContext context, Failure failure)
    {
        var texts = Language.Of(context);
        return Error(context, failure.Status, failure switch
        {
            _ when failure == Failure.Outage => texts.Outage,
            _ when failure == Failure.Bug => texts.Bug,
            { Status: StatusCodes.Status413PayloadTooLarge } => texts.TooLarge,
            _ => texts.Unreadable,
        });
    }

    private static IResult Error(HttpContext context, int status, Notice notice, string? forItsMakers = null, PageLink? link = null) =>
        Render<ErrorPage>(context, new()
        {
            [nameof(ErrorPage.Notice)] = notice,
            [nameof(ErrorPage.ForItsMakers)] = forItsMakers,
            [nameof(ErrorPage.Link)] = link,
        }, status: status);
}

/// <summary>Where a page leads on.</summary>
/// <param name="Url">A path of ours.</param>
public sealed record PageLink(string Text, string Url);
