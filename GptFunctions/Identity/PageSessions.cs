using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using GptFunctions.Hosting;
using GptFunctions.Pages;
using GptFunctions.RateLimits;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.Identity;

/// <summary>
/// Who is signed in to our own pages (<c>/connections</c>, <c>/operations</c>). People sign in as for a consent; then their browser has a cookie of its
/// own, whose hash is in the database: for 30 minutes without a page and for 8 hours at most, in every replica, and not any more as soon as they sign
/// out or are deleted, banned or locked.
/// <code>
/// if (await pages.FindAsync(context, occasion) is not { } session) { return await pages.SignInAsync(context, "/connections", occasion); }
/// </code>
/// A form has a hidden field with <see cref="PageSession.Csrf"/>; whoever takes it asks <see cref="PageSession.IsCsrf"/>, and answers
/// <see cref="OutOfDate"/> when it is not.
/// </summary>
internal sealed class PageSessions(
    ISignIn signIn, PageSessionStore store, RateLimiter limits, IOptions<TokenSettings> tokens, IOptions<SignInSettings> settings)
{
    /// <summary>How long a session lives: without a page, and at most.</summary>
    public static readonly PageLifetimes Lifetimes = new(TimeSpan.FromMinutes(30), TimeSpan.FromHours(8));

    /// <summary>Where the form goes that every signed-in page has for its end, and what its token is for (<see cref="PageSession.Csrf"/>).</summary>
    public const string SignOutPath = "/connections/sign-out";
    public const string SignOutPurpose = "sign out";

    private const string StatePrefix = "page."; // what authorization requests are sealed into has no dot
    private const string StatePurpose = "page sign-in 1"; // the number is the format's
    private const string IdTokenPurpose = "id token";
    private const string Home = "/connections";
    private const int MaximumReturnTo = 2000;
    private const int MaximumIdToken = 4096; // it becomes a part of a URL
    private const int TriesOfCallback = 10;
    private const int FormKeyLength = 32;
    private static readonly TimeSpan SignInLifetime = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan LimitWindow = TimeSpan.FromMinutes(1);

    private bool IsHttps => tokens.Value.IsHttps;

    /// <summary>The session of the browser that sent this request; null when nobody is signed in there (any more).</summary>
    public async Task<PageSession?> FindAsync(HttpContext context, Occasion occasion) =>
        BrowserBinding.FindPage(context, IsHttps) is { } browser ? await store.FindAsync(browser.Hash, Lifetimes, occasion.Now) : null;

    /// <summary>
    /// Answers a request that needs a session and has none: sends the browser to the sign-in, which leads back to <paramref name="returnTo"/>. Who
    /// sent a form is told that it was not taken: a redirect would lose it, and form-action forbids where it leads. HEAD begins nothing.
    /// </summary>
    /// <param name="returnTo">A path of ours with its query; anything else counts as <c>/connections</c>.</param>
    /// <param name="anew">After a sign-out: the provider asks, even where it has a session still.</param>
    /// <exception cref="ServiceOutageException">The identity provider cannot be reached.</exception>
    public async Task<IResult> SignInAsync(HttpContext context, string returnTo, Occasion occasion, bool anew = false)
    {
        returnTo = IsLocal(returnTo) ? returnTo : Home;
        context.Response.Headers.CacheControl = "no-store";
        if (HttpMethods.IsHead(context.Request.Method))
        {
            return Results.Ok();
        }

        if (!HttpMethods.IsGet(context.Request.Method))
        {
            return PageResults.Refuse(
                context, RefusalReason.NotInProgress, StatusCodes.Status403Forbidden, texts => texts.NotSignedInAnyMore,
                lead: texts => new PageLink(texts.SignInAgain, returnTo));
        }

        if ((await limits.TryTakeAsync($"authorize|{occasion.Network}", settings.Value.StartLimit, LimitWindow)).RetryAfterSeconds is { } seconds)
        {
            return PageResults.Refuse(
                context, new Refusal(RefusalReason.RateLimited), StatusCodes.Status429TooManyRequests, texts => texts.TooManySignIns(seconds), seconds,
                lead: texts => new PageLink(texts.TryAgain, returnTo));
        }

        var (browser, id) = (BrowserBinding.Find(context, IsHttps) ?? BrowserBinding.New(), Guid.CreateVersion7(occasion.Now));
        var expires = (occasion.Now + SignInLifetime).UtcTicks.ToString(CultureInfo.InvariantCulture);
        var state = StatePrefix + Base64Url.EncodeToString(browser.Seal($"{id:N} {expires} {returnTo}", StatePurpose));
        var url = await signIn.StartAsync(id, state, browser, new SignInWish(Anew: anew));
        browser.KeepForSignIn(context, IsHttps);
        return new SeeOther(url);
    }

    /// <summary>Whether a state of the identity provider's answer is of a page's sign-in, and not of an app's authorization request.</summary>
    public static bool IsState(string? state) => state?.StartsWith(StatePrefix, StringComparison.Ordinal) == true;

    /// <summary>The sign-in that a state is of, if this browser began it and its ten minutes are not over.</summary>
    public StartedPageSignIn? FindStarted(HttpContext context, string? state, DateTimeOffset now)
    {
        if (!IsState(state) || BrowserBinding.Find(context, IsHttps) is not { } browser || !Base64Url.IsValid(state.AsSpan(StatePrefix.Length)))
        {
            return null;
        }

        // Whoever planted the browser's cookie can seal what they like.
        var text = browser.Open(Base64Url.DecodeFromChars(state.AsSpan(StatePrefix.Length)), StatePurpose);
        return text?.Split(' ', 3) is [var id, var expires, var returnTo] && Guid.TryParseExact(id, "N", out var parsed) && IsLocal(returnTo)
            && long.TryParse(expires, NumberStyles.None, CultureInfo.InvariantCulture, out var ticks)
            && ticks > now.UtcTicks && ticks <= (now + SignInLifetime).UtcTicks
            ? new StartedPageSignIn(parsed, returnTo)
            : null;
    }

    /// <summary>The identity provider sent the browser back for a page: begins the session and goes there.</summary>
    /// <exception cref="ServiceOutageException">The identity provider cannot be reached.</exception>
    public async Task<IResult> FinishAsync(HttpContext context, string? state, string? code, string? error, Occasion occasion)
    {
        // A few tries, because an outage of the provider costs a reload and not the sign-in; not any number, because each of them calls the provider.
        if (FindStarted(context, state, occasion.Now) is not { } started
            || (await limits.TryTakeAsync($"callback|{started.Id:N}", TriesOfCallback, SignInLifetime)).RetryAfterSeconds is not null)
        {
            return NotInProgress(context);
        }

        var (person, failure) = await signIn.FinishAsync(started.Id, BrowserBinding.Find(context, IsHttps)!, code, error);
        if (person is not null)
        {
            return await SignedInAsync(context, started, person, occasion);
        }

        var (reason, status) = failure!.IsDenial
            ? (RefusalReason.SignInDenied, StatusCodes.Status403Forbidden)
            : (RefusalReason.SignInFailed, StatusCodes.Status502BadGateway);
        return await UseUpAsync(started)
            ? PageResults.Refuse(
                context, reason, status, texts => failure.IsDenial ? texts.DidNotSignIn : texts.SignInFailed,
                lead: texts => new PageLink(texts.TryAgain, started.ReturnTo))
            : NotInProgress(context);
    }

    /// <summary>Somebody signed in for a page: the browser gets a session with a new cookie, and goes there.</summary>
    public async Task<IResult> SignedInAsync(HttpContext context, StartedPageSignIn started, Person person, Occasion occasion)
    {
        if (!await UseUpAsync(started))
        {
            return NotInProgress(context);
        }

        // Whatever cookie there was may have been planted: only the new one counts.
        var (former, fresh) = (BrowserBinding.FindPage(context, IsHttps), BrowserBinding.New());
        var idToken = person.IdToken is { Length: <= MaximumIdToken } text ? fresh.Seal(text, IdTokenPurpose) : null;
        var isLetIn = await store.SignInAsync(
            person, fresh.Hash, former?.Hash, RandomNumberGenerator.GetBytes(FormKeyLength), idToken, started.ReturnTo.Split('?')[0], Lifetimes, occasion);
        if (!isLetIn)
        {
            return PageResults.Refuse(
                context, RefusalReason.AccountClosed, StatusCodes.Status403Forbidden, texts => texts.YourAccountIsClosed,
                lead: texts => new PageLink(texts.TryAgain, started.ReturnTo));
        }

        fresh.KeepForPages(context, IsHttps, Lifetimes.Absolute);
        return new SeeOther(started.ReturnTo);
    }

    /// <summary>Ends the browser's session. The caller has checked the form's token.</summary>
    /// <param name="signedOutPath">The path of ours that says so.</param>
    /// <returns>The URL where the session at the identity provider ends and that leads to that path; null when there is none.</returns>
    public async Task<string?> SignOutAsync(HttpContext context, string signedOutPath, Occasion occasion)
    {
        if (BrowserBinding.FindPage(context, IsHttps) is not { } browser)
        {
            return null;
        }

        var idToken = await store.SignOutAsync(browser.Hash, occasion);
        BrowserBinding.ForgetPage(context, IsHttps);
        return await signIn.FindSignOutAsync(
            idToken is null ? null : browser.Open(idToken, IdTokenPurpose), tokens.Value.PublicBaseUrl + signedOutPath);
    }

    /// <summary>The page for a form whose token is not that of the session: it is older than the sign-in, or another site sent it.</summary>
    public static IResult OutOfDate(HttpContext context, string returnTo) => PageResults.Refuse(
        context, RefusalReason.NotInProgress, StatusCodes.Status403Forbidden, texts => texts.OutOfDate,
        lead: texts => new PageLink(texts.OpenItAgain, returnTo));

    /// <summary>
    /// Whether a text is a path of ours, as browsers read it: with one slash at its beginning, and nothing that they would drop (tabs, line ends) or turn
    /// into a slash (WHATWG URL, 4.4).
    /// </summary>
    public static bool IsLocal(string text) =>
        text is ['/', .. var rest] && rest is not ['/', ..] && text.Length <= MaximumReturnTo
            && text.All(character => character is > ' ' and <= '~' and not '\\');

    // A state is good once, whatever came of it: remembered as an empty bucket, for as long as it could come back.
    private async Task<bool> UseUpAsync(StartedPageSignIn started) =>
        (await limits.TryTakeAsync($"sign-in|{started.Id:N}", 1, SignInLifetime)).RetryAfterSeconds is null;

    private static IResult NotInProgress(HttpContext context) => PageResults.Refuse(
        context, RefusalReason.NotInProgress, StatusCodes.Status403Forbidden, texts => texts.SignInNotInProgress,
        lead: texts => new PageLink(texts.SignInAgain, Home));
}
