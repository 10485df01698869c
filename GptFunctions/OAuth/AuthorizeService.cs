using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Pages;
using GptFunctions.Pages.Languages;
using GptFunctions.RateLimits;
using GptFunctions.Statistics;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>The authorization endpoint until somebody has signed in; from there on <see cref="ConsentService"/>.</summary>
internal sealed class AuthorizeService(
    AuthorizationRequests requests, SealedRequests box, Clients clients, AuthorizeStore store, ISignIn signIn, RateLimiter limits, OAuthMetrics metrics,
    SignIns signIns, IOptions<TokenSettings> tokens, IOptions<SignInSettings> starts)
{
    private const int TriesOfCallback = 10;
    private const int MaximumLanguages = 100;
    private static readonly TimeSpan RequestLifetime = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan LimitWindow = TimeSpan.FromMinutes(1);

    private static readonly NextStep AccountClosed = new NextStep.Refuse(
        new(RefusalReason.AccountClosed), StatusCodes.Status403Forbidden, texts => texts.AccountClosed);

    /// <summary>Checks a new request and sends the browser to sign in. Nothing is kept of it here: see <see cref="SealedRequests"/>.</summary>
    public async Task<NextStep> StartAsync(FormParameters parameters, BrowserBinding browser, Occasion occasion)
    {
        if (await ProblemWithPaceAsync(occasion) is { } tooMany)
        {
            return tooMany;
        }

        var outcome = await requests.CheckAsync(parameters);
        if (outcome.Error is { } error)
        {
            return outcome.RedirectUri is { } redirectUri
                ? RedirectWithError(redirectUri, outcome.State, error)
                : new NextStep.Refuse(
                    error.Why, error.Status, texts => error.RetryAfterSeconds is null ? texts.CannotBeConnected : texts.CannotBeConnectedNow,
                    error.RetryAfterSeconds, error.Description);
        }

        var (request, now) = (outcome.Request!, occasion.Now);
        var languages = parameters[Language.Parameter];
        var started = new StartedRequest
        {
            Id = Guid.CreateVersion7(now),
            ExpiresAt = now + RequestLifetime,
            ClientId = request.Client.Id,
            RedirectUri = request.RedirectUri,
            RedirectUriGiven = request.RedirectUriGiven,
            Scopes = request.Scopes,
            State = request.State,
            CodeChallenge = request.CodeChallenge,
            Resource = request.Resource,
            Language = Language.Asked(languages)?.Tag,
        };
        // The provider may have more languages than we.
        return await SignInAsync(started, browser, new SignInWish(Languages: IsListOfLanguages(languages) ? languages : null));
    }

    /// <summary>
    /// Somebody else is to answer the request: it goes back to before its sign-in, and the provider asks who they are. What the one who is signed in
    /// was asked can be answered no more.
    /// </summary>
    /// <param name="signedIn">What the browser got at the sign-in. The caller has checked that the person asked for this.</param>
    /// <param name="browser">What the browser brings to the next one.</param>
    public async Task<NextStep> StartAgainAsync(Guid id, BrowserBinding signedIn, BrowserBinding browser, Texts? language, Occasion occasion)
    {
        if (await ProblemWithPaceAsync(occasion) is { } tooMany)
        {
            return tooMany;
        }

        if (await store.FindAsync(id, signedIn.Hash, occasion.Now) is not { } request)
        {
            return NextStep.NotInProgress;
        }

        var again = new StartedRequest
        {
            Id = Guid.CreateVersion7(occasion.Now),
            ExpiresAt = occasion.Now + RequestLifetime,
            ClientId = request.ClientId,
            RedirectUri = request.RedirectUri,
            RedirectUriGiven = request.RedirectUriGiven,
            Scopes = request.Scopes,
            State = request.State,
            CodeChallenge = request.CodeChallenge,
            Resource = request.Resource,
            Language = language?.Tag,
        };
        // First the way on, then the end of what was: an outage of the provider leaves the person where they are.
        var next = await SignInAsync(again, browser, new SignInWish(AsSomebodyElse: true, language?.Tag));
        if (!await store.ForgetAsync(id, signedIn.Hash))
        {
            return NextStep.NotInProgress;
        }

        signIns.LeftToAnother(id, request.ClientId, occasion.Now);
        return next;
    }

    private async Task<NextStep> SignInAsync(StartedRequest started, BrowserBinding browser, SignInWish wish)
    {
        var url = await signIn.StartAsync(started.Id, box.Seal(started, browser), browser, wish);
        metrics.Reached(SignInStep.Started);
        signIns.Asked(started.Id, started.ClientId, started.RedirectUri);
        return new NextStep.Redirect(url);
    }

    private async Task<NextStep?> ProblemWithPaceAsync(Occasion occasion) =>
        (await limits.TryTakeAsync($"authorize|{occasion.Network}", starts.Value.StartLimit, LimitWindow)).RetryAfterSeconds is { } seconds
            ? new NextStep.Refuse(
                new(RefusalReason.RateLimited), StatusCodes.Status429TooManyRequests, texts => texts.TooManyStarted(seconds), seconds)
            : null;

    // What cannot be one is not the provider's to see either (BCP 47: letters, digits, hyphens).
    private static bool IsListOfLanguages(string? text) =>
        text is { Length: <= MaximumLanguages } && text.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or ' ');

    /// <summary>The request that was sealed in <paramref name="state"/>, if this browser started it and its ten minutes are not over.</summary>
    /// <exception cref="ServiceOutageException">What the client says of itself cannot be read right now.</exception>
    public async Task<StartedSignIn?> FindStartedAsync(string? state, BrowserBinding browser, DateTimeOffset now)
    {
        if (box.Open(state, browser) is not { } request || request.ExpiresAt <= now)
        {
            return null;
        }

        var (client, problem) = await clients.FindAsync(request.ClientId);
        return problem?.RetryAfterSeconds is not null ? throw new ServiceOutageException(problem.Description)
            // A document may say something else by now.
            : client?.FindRedirectUri(request.RedirectUri) is null ? null
            : new StartedSignIn(request, client);
    }

    /// <summary>The provider sent the browser back: note who signed in, and go on.</summary>
    /// <param name="signedIn">What the browser got at an earlier sign-in.</param>
    public async Task<NextStep> FinishSignInAsync(
        FormParameters parameters, BrowserBinding browser, BrowserBinding? signedIn, Occasion occasion)
    {
        // A few tries, because an outage of the provider costs a reload and not the sign-in; not any number, because each of them calls the provider.
        if (await FindStartedAsync(parameters["state"], browser, occasion.Now) is not { Request: var request } started
            || (await limits.TryTakeAsync($"callback|{request.Id:N}", TriesOfCallback, RequestLifetime)).RetryAfterSeconds is not null)
        {
            return NextStep.NotInProgress;
        }

        var (person, failure) = await signIn.FinishAsync(request.Id, browser, parameters["code"], parameters["error"]);
        if (person is not null)
        {
            var next = await SignedInAsync(started, signedIn, person, occasion);
            return next is NextStep.Refuse { Why.Reason: RefusalReason.AccountClosed }
                ? RedirectWithError(
                    request.RedirectUri, request.State,
                    new OAuthError("access_denied", "This account was deleted or is blocked.").Because(RefusalReason.AccountClosed).Of(request.ClientId, null))
                : next;
        }

        // Nobody signed in: there is nobody to name, and nothing is written about it.
        var refusal = failure!.IsDenial
            ? new OAuthError("access_denied", "The person did not sign in.").Because(RefusalReason.SignInDenied)
            : new OAuthError("server_error", failure.Reason).Because(RefusalReason.SignInFailed);
        if (!await UseUpAsync(request.Id))
        {
            return NextStep.NotInProgress with { Language = started.Language };
        }

        signIns.Stopped(request.Id, request.ClientId, refusal.Why.Reason, occasion.Now);
        return RedirectWithError(request.RedirectUri, request.State, refusal.Of(request.ClientId, null));
    }

    /// <summary>
    /// Somebody signed in: now the request becomes a row. The consent page (or, with consent remembered, the code) comes next. Refused when the account
    /// was deleted or is blocked.
    /// </summary>
    /// <param name="signedIn">What the browser got at an earlier sign-in.</param>
    public async Task<NextStep> SignedInAsync(
        StartedSignIn started, BrowserBinding? signedIn, Person person, Occasion occasion)
    {
        var request = started.Request;
        if (!await UseUpAsync(request.Id))
        {
            return NextStep.NotInProgress with { Language = started.Language };
        }

        // Two tabs of one person go on side by side with one cookie; any other one may have been planted.
        var fresh = BrowserBinding.New();
        var outcome = await store.SignInAsync(started, fresh.Hash, signedIn?.Hash, person, occasion, RequestLifetime);
        if (outcome is SignInOutcome.Noted or SignInOutcome.NotedForKnownBrowser)
        {
            metrics.Reached(SignInStep.SignedIn);
            signIns.SignedIn(request.Id, request.ClientId, request.RedirectUri, person.Subject, occasion.Now);
        }
        else if (outcome == SignInOutcome.AccountClosed)
        {
            signIns.Stopped(request.Id, request.ClientId, RefusalReason.AccountClosed, occasion.Now);
        }

        return outcome switch
        {
            SignInOutcome.Noted => new NextStep.SignedIn(request.Id, fresh) { Language = started.Language },
            SignInOutcome.NotedForKnownBrowser => new NextStep.SignedIn(request.Id, signedIn!) { Language = started.Language },
            SignInOutcome.AccountClosed => AccountClosed with { Language = started.Language },
            _ => NextStep.NotInProgress with { Language = started.Language },
        };
    }

    // A state is good once, whatever came of it. Its request may have left no row, or none any more, so that is remembered apart: as an
    // empty bucket, for as long as the state could come back.
    private async Task<bool> UseUpAsync(Guid id) => (await limits.TryTakeAsync($"sign-in|{id:N}", 1, RequestLifetime)).RetryAfterSeconds is null;

    private NextStep.Redirect RedirectWithError(string redirectUri, string? state, OAuthError error) =>
        NextStep.Redirect.WithError(redirectUri, state, error, tokens.Value.PublicBaseUrl!);
}
