using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.OAuth.Pages;
using GptFunctions.Pages;
using GptFunctions.Pages.Languages;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>What a person's browser sees of the authorization server.</summary>
internal sealed class AuthorizeFunctions(
    AuthorizeService service, ConsentService consent, PageSessions pages, ScopeCatalog scopes, Occasions occasions, IOptions<TokenSettings> settings)
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
                request.HttpContext, parsed.Error!.Why.Reason, StatusCodes.Status400BadRequest, texts => texts.BrokenLink, parsed.Error.Description);
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
                ? await ContinueAsync(request, id, known, parameters[ConsentView.NotYou])
                : Show(request, null, NextStep.NotInProgress);
        }

        var browser = BrowserBinding.Ensure(request.HttpContext, settings.Value.IsHttps);
        return Show(request, browser, await service.StartAsync(parameters, browser, occasions.Of(request.HttpContext)));
    }

    private async Task<IResult> ContinueAsync(HttpRequest request, Guid id, BrowserBinding known, string? notYou)
    {
        var occasion = occasions.Of(request.HttpContext);
        if (notYou is null)
        {
            return Show(request, known, await consent.ContinueAsync(id, known, occasion));
        }

        // A link of our page alone: somebody else's could end what the person is about to answer. And a link rather than a form, because form-action
        // would have to name each host that the provider sends people on to.
        if (!known.Is(notYou, ConsentView.NotYou, id))
        {
            return Show(request, null, NextStep.NotInProgress);
        }

        var browser = BrowserBinding.Ensure(request.HttpContext, settings.Value.IsHttps);
        return Show(request, null, await service.StartAgainAsync(id, known, browser, NextStep.Continue.AskedIn(request.HttpContext), occasion));
    }

    [Function("OAuthAuthorizeDecision")]
    public async Task<IResult> DecideAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "oauth/authorize/decision")] HttpRequest request)
    {
        var parsed = await FormParameters.OfBodyAsync(request, MaximumBody);
        if (parsed.Value is not { } form)
        {
            return PageResults.Refuse(
                request.HttpContext, parsed.Error!.Why.Reason, parsed.Error.Status, texts => texts.UnreadableForm, parsed.Error.Description);
        }

        if (!Guid.TryParseExact(form["request"], "N", out var id) || FindSignedIn(request) is not { } browser || !browser.Is(form["csrf"], CsrfPurpose, id))
        {
            return Show(request, null, NextStep.NotInProgress);
        }

        var occasion = occasions.Of(request.HttpContext);
        return Guid.TryParse(form["disconnect"], out var sessionId) ? Show(request, browser, await consent.DisconnectAsync(id, browser, sessionId, occasion))
            : form["decision"] is "approve" or "deny"
                ? Show(request, browser, await consent.DecideAsync(id, browser, form["decision"] is "approve", SessionIds.Read(form["ends"]), occasion))
            : PageResults.Refuse(
                request.HttpContext, RefusalReason.InvalidRequest, StatusCodes.Status400BadRequest, texts => texts.NothingChosen);
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
            : Show(request, null, NextStep.NotInProgress);
    }

    private BrowserBinding? FindSignedIn(HttpRequest request) => BrowserBinding.FindSignedIn(request.HttpContext, settings.Value.IsHttps);

    private IResult Show(HttpRequest request, BrowserBinding? browser, NextStep step)
    {
        Language.Choose(request.HttpContext, step.Language);
        return step switch
        {
            NextStep.Redirect redirect => redirect.Show(request.HttpContext),
            NextStep.Continue next => next.Show(request.HttpContext),
            NextStep.SignedIn signedIn => signedIn.Show(request.HttpContext, settings.Value.IsHttps),
            NextStep.AskConsent { Question: var question } => PageResults.Render<ConsentPage>(
                request.HttpContext, new() { [nameof(ConsentPage.View)] = View(request.HttpContext, question, browser!) },
                RedirectUri.FormTargets(question.Request.ClientRedirectUris, question.Request.RedirectUri)),
            NextStep.Refuse refuse => refuse.Show(request.HttpContext),
            _ => throw new System.Diagnostics.UnreachableException(),
        };
    }

    private ConsentView View(HttpContext context, ConsentQuestion question, BrowserBinding browser)
    {
        var (pending, room) = (question.Request, question.Room);
        var language = Language.Of(context);
        var asked = NextStep.Continue.AskedIn(context);
        var shown = room.Ending.Count == 0 ? [] : room.EndsOthers ? room.Sessions : room.Own;
        return new ConsentView
        {
            RequestId = pending.Id.ToString("N"),
            Action = UrlQuery.Add("/oauth/authorize/decision", (Language.Parameter, asked?.Tag)),
            NotYouUrl = UrlQuery.Add(
                NextStep.Continue.UrlOf(pending.Id, asked), (ConsentView.NotYou, browser.Derive(ConsentView.NotYou, pending.Id))),
            Csrf = browser.Derive(CsrfPurpose, pending.Id),
            ClientName = pending.ClientName,
            IsSelfRegistered = pending.IsSelfRegistered,
            DocumentHost = pending.IsOfDocument ? Name.OfAddress(new Uri(pending.ClientId).Authority) : (Name?)null,
            RedirectsTo = Destination(language, pending.RedirectUri),
            SignedInAs = Name.OfAddress(pending.Email ?? pending.Subject),
            Scopes = [.. pending.Scopes.Select(scope => scopes.Sentence(scope, language.Tag)).Zip(pending.Scopes, (sentence, scope) => new ScopeLine(
                sentence.Text, sentence.Language, pending.ConsentedScopes.Length > 0 && !pending.ConsentedScopes.Contains(scope)))],
            SessionCount = shown.Count,
            EndsOthers = room.EndsOthers,
            Sessions = [.. shown.Take(ShownSessions).Select(session => new SessionLine(session.Id, session.ClientName, session.LastActive))],
            Ends = SessionIds.Write(room.Ending.Select(session => session.Id)),
            EndingNames = [.. room.Ending.Select(session => (Name)session.ClientName)],
        };
    }

    /// <summary>Where the answer goes, as people would say it: what listens on a port of theirs, or opens an own scheme, is an app of theirs.</summary>
    private static string Destination(Texts texts, string redirectUri) =>
        RedirectUri.IsLoopback(redirectUri) ? texts.AppOnThisDevice
        : RedirectUri.IsWeb(redirectUri) ? Name.OfAddress(RedirectUri.Host(redirectUri)).ToString()
        : texts.AppOnThisDeviceWith(Name.OfAddress(RedirectUri.Host(redirectUri)));
}

/// <summary>Ids of sessions in a form field: what was announced comes back with the answer.</summary>
internal static class SessionIds
{
    public static string Write(IEnumerable<Guid> ids) => string.Join(' ', ids.Select(id => id.ToString("N")));

    public static Guid[] Read(string? text) =>
        [.. (text ?? "").Split(' ').Select(id => Guid.TryParse(id, out var parsed) ? parsed : Guid.Empty).Where(id => id != Guid.Empty)];
}
