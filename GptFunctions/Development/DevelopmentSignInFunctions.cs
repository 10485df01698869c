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
internal sealed class DevelopmentSignInFunctions(AuthorizeService authorize, ISignIn signIn, Occasions occasions, IOptions<TokenSettings> settings)
{
    private const int MaximumBody = 16 * 1024;
    private const int MaximumUserId = 128;
    private const string CsrfPurpose = "development-sign-in";

    [Function("DevSignIn")]
    public async Task<IResult> SignInAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "post", Route = "dev/sign-in")] HttpRequest request)
    {
        if (signIn is not DevelopmentSignIn)
        {
            return PageResults.Refuse(
                request.HttpContext, RefusalReason.NotFound, StatusCodes.Status404NotFound, "There is nothing here", "People sign in at the identity "
                    + "provider.");
        }

        var parsed = HttpMethods.IsPost(request.Method) ? await FormParameters.OfBodyAsync(request, MaximumBody) : FormParameters.OfQuery(request);
        if (parsed.Value is not { } form)
        {
            return PageResults.Refuse(
                request.HttpContext, parsed.Error!.Why.Reason, parsed.Error.Status, "The form could not be read", parsed.Error.Description);
        }

        var (isHttps, occasion) = (settings.Value.IsHttps, occasions.Of(request.HttpContext));
        if (BrowserBinding.Find(request.HttpContext, isHttps) is not { } browser
            || await authorize.FindStartedAsync(form["request"], browser, occasion.Now) is not { } started)
        {
            return NotInProgress(request);
        }

        var page = new SignInForm(form["request"]!, browser.Derive(CsrfPurpose, started.Request.Id), started);
        if (!HttpMethods.IsPost(request.Method))
        {
            return Page(request, page, null);
        }

        if (!browser.Is(form["csrf"], CsrfPurpose, started.Request.Id))
        {
            return NotInProgress(request);
        }

        if (form["user_id"] is not { } userId || !IsUserId(userId))
        {
            RequestNotes.Of(request.HttpContext).Refuse(new Refusal(RefusalReason.InvalidRequest));
            return Page(request, page, "Use letters, digits and . _ - @ only, at most 128 of them, for example user_alice.");
        }

        var signedIn = BrowserBinding.FindSignedIn(request.HttpContext, isHttps);
        return await authorize.SignedInAsync(started, signedIn, new Person(userId, null, null), occasion) switch
        {
            NextStep.SignedIn next => next.Show(request.HttpContext, isHttps),
            NextStep.Refuse refuse => refuse.Show(request.HttpContext),
            _ => throw new System.Diagnostics.UnreachableException(),
        };
    }

    private sealed record SignInForm(string Request, string Csrf, StartedSignIn Started);

    private static bool IsUserId(string text) =>
        text.Length <= MaximumUserId && text.All(character => char.IsAsciiLetterOrDigit(character) || character is '.' or '_' or '-' or '@');

    private static IResult NotInProgress(HttpRequest request) =>
        PageResults.Refuse(
            request.HttpContext, RefusalReason.NotInProgress, StatusCodes.Status403Forbidden, "This sign-in is not in progress here",
            "Go back to the app and connect again.");

    private static IResult Page(HttpRequest request, SignInForm page, string? problem) =>
        PageResults.Render<DevelopmentSignInPage>(request.HttpContext, new()
        {
            [nameof(DevelopmentSignInPage.ClientName)] = page.Started.Client.Name,
            [nameof(DevelopmentSignInPage.SignInRequest)] = page.Request,
            [nameof(DevelopmentSignInPage.Csrf)] = page.Csrf,
            [nameof(DevelopmentSignInPage.Problem)] = problem,
        },
        RedirectUri.FormTargets(page.Started.Client.RedirectUris, page.Started.Request.RedirectUri),
        problem is null ? StatusCodes.Status200OK : StatusCodes.Status400BadRequest);
}
