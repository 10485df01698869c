using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Identity.Pages;
using GptFunctions.OAuth;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Options;

namespace GptFunctions.Identity;

/// <summary>Development only: a page on which one chooses who one is. Anywhere else the route does not exist.</summary>
internal sealed class DevelopmentSignInFunctions(AuthorizeService authorize, ISignIn signIn, ClientAddress addresses, IOptions<OAuthSettings> settings)
{
    private const int MaximumBody = 16 * 1024;
    private const int MaximumUserId = 128;
    private const string CsrfPurpose = "development-sign-in";

    [Function("DevSignIn")]
    public async Task<IResult> SignInAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "post", Route = "dev/sign-in")] HttpRequest request)
    {
        if (signIn is not DevelopmentSignIn)
        {
            return OAuthPages.Error(request.HttpContext, StatusCodes.Status404NotFound, "There is nothing here", "People sign in at the identity provider.");
        }

        var parsed = HttpMethods.IsPost(request.Method) ? await FormParameters.OfBodyAsync(request, MaximumBody) : FormParameters.OfQuery(request);
        if (parsed.Value is not { } form)
        {
            return OAuthPages.Error(request.HttpContext, parsed.Error!.Status, "The form could not be read", parsed.Error.Description);
        }

        if (!Guid.TryParseExact(form["request"], "N", out var id) || BrowserBinding.Find(request.HttpContext, settings.Value.IsHttps) is not { } browser
            || await authorize.FindAsync(id, browser) is not { UserId: null } pending)
        {
            return NotInProgress(request);
        }

        if (!HttpMethods.IsPost(request.Method))
        {
            return Page(request, pending, browser, null);
        }

        if (!browser.Is(form["csrf"], CsrfPurpose, id))
        {
            return NotInProgress(request);
        }

        return form["user_id"] is not { } userId || !IsUserId(userId)
            ? Page(request, pending, browser, "Use letters, digits and . _ - @ only, at most 128 of them, for example user_alice.")
            : await authorize.SignedInAsync(id, browser, new Person(userId, null, null), addresses.Origin(request.HttpContext)) is NextStep.Redirect next
                ? new SeeOther(next.Url)
                : OAuthPages.Error(request.HttpContext, StatusCodes.Status403Forbidden, "This account was deleted or is blocked", "Choose another user id.");
    }

    private static bool IsUserId(string text) => text.Length <= MaximumUserId && text.All(character => char.IsAsciiLetterOrDigit(character) || character is '.' or '_' or '-' or '@');

    private static IResult NotInProgress(HttpRequest request) =>
        OAuthPages.Error(request.HttpContext, StatusCodes.Status403Forbidden, "This sign-in is not in progress here", "Go back to the app and connect again.");

    private static IResult Page(HttpRequest request, PendingRequest pending, BrowserBinding browser, string? problem) =>
        OAuthPages.Render<DevelopmentSignInPage>(request.HttpContext, new()
        {
            [nameof(DevelopmentSignInPage.ClientName)] = pending.ClientName,
            [nameof(DevelopmentSignInPage.RequestId)] = pending.Id.ToString("N"),
            [nameof(DevelopmentSignInPage.Csrf)] = browser.Derive(CsrfPurpose, pending.Id),
            [nameof(DevelopmentSignInPage.Problem)] = problem,
        }, OAuthPages.FormTargets(pending), problem is null ? StatusCodes.Status200OK : StatusCodes.Status400BadRequest);
}
