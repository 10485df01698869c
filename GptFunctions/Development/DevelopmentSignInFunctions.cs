using GptFunctions.Development.Pages;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.OAuth;
using GptFunctions.Pages;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Options;

namespace GptFunctions.Development;

/// <summary>Development only: a page on which one chooses who one is. Anywhere else the route does not exist.</summary>
internal sealed class DevelopmentSignInFunctions(
    AuthorizeService authorize, PageSessions pages, ISignIn signIn, Occasions occasions, IOptions<TokenSettings> settings)
{
    private const int MaximumBody = 16 * 1024;
    private const int MaximumUserId = 128;
    private const string CsrfPurpose = "development-sign-in";

    [Function("DevSignIn")]
    public async Task<IResult> SignInAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "post", Route = "dev/sign-in")] HttpRequest request)
    {
        if (signIn is not DevelopmentSignIn)
        {
            return PageResults.Refuse(request.HttpContext, RefusalReason.NotFound, StatusCodes.Status404NotFound, texts => texts.NothingHere);
        }

        var parsed = HttpMethods.IsPost(request.Method) ? await FormParameters.OfBodyAsync(request, MaximumBody) : FormParameters.OfQuery(request);
        if (parsed.Value is not { } form)
        {
            return PageResults.Refuse(
                request.HttpContext, parsed.Error!.Why.Reason, parsed.Error.Status, texts => texts.UnreadableForm, parsed.Error.Description);
        }

        if (BrowserBinding.Find(request.HttpContext, settings.Value.IsHttps) is not { } browser
            || await FindStartedAsync(request.HttpContext, form["request"], browser) is not { } started)
        {
            return NotInProgress(request);
        }

        var page = new SignInForm(form["request"]!, browser.Derive(CsrfPurpose, started.Id), started);
        if (!HttpMethods.IsPost(request.Method))
        {
            return Page(request, page, null);
        }

        if (!browser.Is(form["csrf"], CsrfPurpose, started.Id))
        {
            return NotInProgress(request);
        }

        if (form["user_id"] is not { } userId || !IsUserId(userId))
        {
            RequestNotes.Of(request.HttpContext).Refuse(new Refusal(RefusalReason.InvalidRequest));
            return Page(request, page, "Use letters, digits and . _ - @ only, at most 128 of them, for example user_alice.");
        }

        return await started.SignedInAsync(new Person(userId, null, null));
    }

    /// <summary>A sign-in in progress, for an app or for a page.</summary>
    /// <param name="ClientName">Of the app; null for a page.</param>
    private sealed record Started(Guid Id, string? ClientName, IEnumerable<string> FormTargets, Func<Person, Task<IResult>> SignedInAsync);

    private sealed record SignInForm(string Request, string Csrf, Started Started);

    private async Task<Started?> FindStartedAsync(HttpContext context, string? state, BrowserBinding browser)
    {
        var occasion = occasions.Of(context);
        if (PageSessions.IsState(state))
        {
            return pages.FindStarted(context, state, occasion.Now) is { } page
                ? new Started(page.Id, null, [], person => pages.SignedInAsync(context, page, person, occasion))
                : null;
        }

        return await authorize.FindStartedAsync(state, browser, occasion.Now) is { } started
            ? new Started(
                started.Request.Id, started.Client.Name, RedirectUri.FormTargets(started.Client.RedirectUris, started.Request.RedirectUri),
                person => SignedInAsync(context, started, person, occasion))
            : null;
    }

    private async Task<IResult> SignedInAsync(HttpContext context, StartedSignIn started, Person person, Occasion occasion)
    {
        var signedIn = BrowserBinding.FindSignedIn(context, settings.Value.IsHttps);
        return await authorize.SignedInAsync(started, signedIn, person, occasion) switch
        {
            NextStep.SignedIn next => next.Show(context, settings.Value.IsHttps),
            NextStep.Refuse refuse => refuse.Show(context),
            _ => throw new System.Diagnostics.UnreachableException(),
        };
    }

    private static bool IsUserId(string text) =>
        text.Length <= MaximumUserId && text.All(character => char.IsAsciiLetterOrDigit(character) || character is '.' or '_' or '-' or '@');

    private static IResult NotInProgress(HttpRequest request) =>
        PageResults.Refuse(request.HttpContext, RefusalReason.NotInProgress, StatusCodes.Status403Forbidden, texts => texts.NotInProgress);

    private static IResult Page(HttpRequest request, SignInForm page, string? problem) =>
        PageResults.Render<DevelopmentSignInPage>(request.HttpContext, new()
        {
            [nameof(DevelopmentSignInPage.ClientName)] = page.Started.ClientName,
            [nameof(DevelopmentSignInPage.SignInRequest)] = page.Request,
            [nameof(DevelopmentSignInPage.Csrf)] = page.Csrf,
            [nameof(DevelopmentSignInPage.Problem)] = problem,
        },
        page.Started.FormTargets, problem is null ? StatusCodes.Status200OK : StatusCodes.Status400BadRequest);
}
