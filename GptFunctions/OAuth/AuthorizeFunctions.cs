using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.OAuth.Pages;
using GptFunctions.Pages;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>What a person's browser sees of the authorization server.</summary>
internal sealed class AuthorizeFunctions(AuthorizeService service, PageSessions pages, ScopeCatalog scopes, Occasions occasions, IOptions<TokenSettings> settings)
{
    private const int MaximumBody = 64 * 1024; // a thousand ids of sessions
    private const int ShownSessions = 100;
    private const string CsrfPurpose = "csrf";

    [Function("OAuthAuthorize")]
    public async Task<IResult> AuthorizeAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "oauth/authorize")] HttpRequest request)
    {
        var parsed = FormParameters.OfQuery(request);
        if (parsed.Value is not { } parameters)
        {
            return PageResults.Refuse(
                request.HttpContext, parsed.Error!.Why.Reason, StatusCodes.Status400BadRequest, "This link is broken", parsed.Error.Description);
        }

        if (HttpMethods.IsHead(request.Method))
        {
            // Link previews and scanners ask so. It is safe (RFC 9110 9.3.2): no sign-in begins, nothing is kept.
            request.HttpContext.Response.Headers.CacheControl = "no-store";
            return Results.Ok();
        }

        if (parameters["continue"] is { } handle)
        {
            return Guid.TryParseExact(handle, "N", out var id) && FindSignedIn(request) is { } known
                ? Show(request, known, await service.ContinueAsync(id, known, occasions.Of(request.HttpContext)))
                : Show(request, null, AuthorizeService.NotInProgress);
        }

        var browser = BrowserBinding.Ensure(request.HttpContext, settings.Value.IsHttps);
        return Show(request, browser, await service.StartAsync(parameters, browser, occasions.Of(request.HttpContext)));
    }

    [Function("OAuthAuthorizeDecision")]
    public async Task<IResult> DecideAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "oauth/authorize/decision")] HttpRequest request)
    {
        var parsed = await FormParameters.OfBodyAsync(request, MaximumBody);
        if (parsed.Value is not { } form)
        {
            return PageResults.Refuse(
                request.HttpContext, parsed.Error!.Why.Reason, parsed.Error.Status, "The form could not be read", parsed.Error.Description);
        }

        if (!Guid.TryParseExact(form["request"], "N", out var id) || FindSignedIn(request) is not { } browser || !browser.Is(form["csrf"], CsrfPurpose, id))
        {
            return Show(request, null, AuthorizeService.NotInProgress);
        }

        var occasion = occasions.Of(request.HttpContext);
        return Guid.TryParse(form["disconnect"], out var sessionId) ? Show(request, browser, await service.DisconnectAsync(id, browser, sessionId, occasion))
            : form["decision"] is "approve" or "deny"
                ? Show(request, browser, await service.DecideAsync(id, browser, form["decision"] is "approve", SessionIds.Read(form["ends"]), occasion))
            : PageResults.Refuse(
                request.HttpContext, RefusalReason.InvalidRequest, StatusCodes.Status400BadRequest, "Nothing was chosen",
                "Go back and press Allow or Cancel.");
    }

    [Function("OAuthCallback")]
    public async Task<IResult> CallbackAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "oauth/callback")] HttpRequest request)
    {
        var occasion = occasions.Of(request.HttpContext);
        var parameters = FormParameters.OfQuery(request).Value;
        if (PageSessions.IsState(parameters?["state"]))
        {
            return await pages.FinishAsync(request.HttpContext, parameters!["state"], parameters["code"], parameters["error"], occasion);
        }

        return parameters is not null && BrowserBinding.Find(request.HttpContext, settings.Value.IsHttps) is { } browser
            ? Show(request, null, await service.FinishSignInAsync(parameters, browser, FindSignedIn(request), occasion))
            : Show(request, null, AuthorizeService.NotInProgress);
    }

    private BrowserBinding? FindSignedIn(HttpRequest request) => BrowserBinding.FindSignedIn(request.HttpContext, settings.Value.IsHttps);

    private IResult Show(HttpRequest request, BrowserBinding? browser, NextStep step) => step switch
    {
        NextStep.Redirect redirect => Redirect(request, redirect),
        NextStep.SignedIn signedIn => signedIn.Show(request.HttpContext, settings.Value.IsHttps),
        NextStep.AskConsent { Question: var question } => PageResults.Render<ConsentPage>(
            request.HttpContext, new() { [nameof(ConsentPage.View)] = View(question, browser!) },
            RedirectUri.FormTargets(question.Request.ClientRedirectUris, question.Request.RedirectUri)),
        NextStep.Refuse refuse => refuse.Show(request.HttpContext),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private static SeeOther Redirect(HttpRequest request, NextStep.Redirect redirect)
    {
        if (redirect.Why is { } refusal)
        {
            RequestNotes.Of(request.HttpContext).Refuse(refusal);
        }

        return new SeeOther(redirect.Url);
    }

    private ConsentView View(ConsentQuestion question, BrowserBinding browser)
    {
        var (pending, room) = (question.Request, question.Room);
        var shown = room.Ending.Count == 0 ? [] : room.IsFull ? room.Sessions : room.Own;
        return new ConsentView
        {
            RequestId = pending.Id.ToString("N"),
            Csrf = browser.Derive(CsrfPurpose, pending.Id),
            ClientName = pending.ClientName,
            IsSelfRegistered = pending.IsSelfRegistered,
            DocumentHost = pending.IsOfDocument ? new Uri(pending.ClientId).Authority : null,
            RedirectHost = RedirectUri.Host(pending.RedirectUri),
            SignedInAs = pending.Email ?? pending.Subject,
            Scopes = [.. pending.Scopes.Select(scope => new ScopeLine(
                scopes.Sentence(scope), pending.ConsentedScopes.Length > 0 && !pending.ConsentedScopes.Contains(scope)))],
            SessionCount = shown.Count,
            IsFull = room.IsFull,
            Sessions = [.. shown.Take(ShownSessions).Select(session => new SessionLine(session.Id, session.ClientName, session.LastActive))],
            Ends = SessionIds.Write(room.Ending.Select(session => session.Id)),
            EndingNames = [.. room.Ending.Select(session => session.ClientName)],
        };
    }
}

/// <summary>Ids of sessions in a form field: what was announced comes back with the answer.</summary>
internal static class SessionIds
{
    public static string Write(IEnumerable<Guid> ids) => string.Join(' ', ids.Select(id => id.ToString("N")));

    public static Guid[] Read(string? text) =>
        [.. (text ?? "").Split(' ').Select(id => Guid.TryParse(id, out var parsed) ? parsed : Guid.Empty).Where(id => id != Guid.Empty)];
}
