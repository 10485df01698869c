using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Pages;
using GptFunctions.RateLimits;
using GptFunctions.Sessions;
using GptFunctions.Statistics;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>What the browser is shown or told next.</summary>
internal abstract record NextStep
{
    /// <summary>Go to a URL: the sign-in, the client's redirect URI, or the consent page.</summary>
    internal sealed record Redirect(string Url) : NextStep
    {
        /// <summary>Why the client gets an error there; null when it gets what it wanted.</summary>
        public Refusal? Why { get; init; }
    }

    /// <summary>Ask for consent.</summary>
    internal sealed record AskConsent(ConsentQuestion Question) : NextStep;

    /// <summary>Go on with the request, and from now on with this cookie.</summary>
    internal sealed record SignedIn(Guid RequestId, BrowserBinding Browser) : NextStep
    {
        public IResult Show(HttpContext context, bool isHttps)
        {
            Browser.KeepSignedIn(context, isHttps);
            return new SeeOther($"/oauth/authorize?continue={RequestId:N}");
        }
    }

    /// <summary>Show an error page, because there is no address that an error could safely be sent to.</summary>
    internal sealed record Refuse(Refusal Why, int Status, string Title, string Detail, int? RetryAfterSeconds = null) : NextStep
    {
        public IResult Show(HttpContext context) => PageResults.Refuse(context, Why, Status, Title, Detail, RetryAfterSeconds);
    }
}

/// <summary>What the consent page says.</summary>
/// <param name="Room">The person's connected apps, and whether there is room for this one.</param>
internal sealed record ConsentQuestion(PendingRequest Request, SessionRoom Room);

/// <summary>A request before its sign-in, with the client that it is from.</summary>
internal sealed record StartedSignIn(StartedRequest Request, Client Client);

/// <summary>The authorization endpoint: request -> sign-in -> consent -> code.</summary>
internal sealed class AuthorizeService(
    AuthorizationRequests requests, SealedRequests box, Clients clients, AuthorizeStore store, SessionService sessions, ISignIn signIn, RateLimiter limits,
    OAuthMetrics metrics, SignIns signIns, IOptions<TokenSettings> tokens, IOptions<SignInSettings> starts, IOptions<OAuthSettings> settings)
{
    public static readonly NextStep NotInProgress = new NextStep.Refuse(
        new(RefusalReason.NotInProgress), 403, "This sign-in is not in progress here",
        "It belongs to another browser, took longer than ten minutes, or has already been answered. Go back to the app and connect again.");

    private const int TriesOfCallback = 10;
    private static readonly TimeSpan RequestLifetime = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan LimitWindow = TimeSpan.FromMinutes(1);

    private static readonly NextStep AccountClosed = new NextStep.Refuse(
        new(RefusalReason.AccountClosed), 403, "This account was deleted or is blocked", "Choose another account.");

    /// <summary>Checks a new request and sends the browser to sign in. Nothing is kept of it here: see <see cref="SealedRequests"/>.</summary>
    public async Task<NextStep> StartAsync(FormParameters parameters, BrowserBinding browser, Occasion occasion)
    {
        if ((await limits.TryTakeAsync($"authorize|{occasion.Network}", starts.Value.StartLimit, LimitWindow)).RetryAfterSeconds is { } seconds)
        {
            return new NextStep.Refuse(
                new(RefusalReason.RateLimited), 429, "Too many connections were started",
                $"They came from your network within a minute. Wait {seconds} seconds, then go back to the app and connect again.", seconds);
        }

        var outcome = await requests.CheckAsync(parameters);
        if (outcome.Error is { } error)
        {
            return outcome.RedirectUri is { } redirectUri
                ? RedirectWithError(redirectUri, outcome.State, error)
                : new NextStep.Refuse(
                    error.Why, error.Status, error.RetryAfterSeconds is null ? "This app cannot be connected" : "This app cannot be connected right now",
                    error.Description, error.RetryAfterSeconds);
        }

        var (request, now) = (outcome.Request!, occasion.Now);
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
        };
        var url = await signIn.StartAsync(started.Id, box.Seal(started, browser), browser);
        metrics.Reached(SignInStep.Started);
        signIns.Asked(started.Id, started.ClientId, started.RedirectUri);
        return new NextStep.Redirect(url);
    }

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
            return NotInProgress;
        }

        var (person, failure) = await signIn.FinishAsync(request.Id, browser, parameters["code"], parameters["error"]);
        if (person is not null)
        {
            var next = await SignedInAsync(started, signedIn, person, occasion);
            return next == AccountClosed
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
            return NotInProgress;
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
            return NotInProgress;
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
            SignInOutcome.Noted => new NextStep.SignedIn(request.Id, fresh),
            SignInOutcome.NotedForKnownBrowser => new NextStep.SignedIn(request.Id, signedIn!),
            SignInOutcome.AccountClosed => AccountClosed,
            _ => NotInProgress,
        };
    }

    // A state is good once, whatever came of it. Its request may have left no row, or none any more, so that is remembered apart: as an
    // empty bucket, for as long as the state could come back.
    private async Task<bool> UseUpAsync(Guid id) => (await limits.TryTakeAsync($"sign-in|{id:N}", 1, RequestLifetime)).RetryAfterSeconds is null;

    /// <summary>Where a request goes on after the sign-in: to the consent page, or back to the client with a code.</summary>
    public async Task<NextStep> ContinueAsync(Guid id, BrowserBinding browser, Occasion occasion)
    {
        if (await FindAsync(id, browser, occasion.Now) is not { } request)
        {
            return NotInProgress;
        }

        var consented = await store.FindConsentAsync(request.UserId, request.ClientId, RedirectUri.Host(request.RedirectUri));
        var room = await ReadRoomAsync(request, occasion.Now);
        var hasConsent = !request.Scopes.Except(consented, StringComparer.Ordinal).Any();
        // With consent remembered nobody is asked, unless another app would be disconnected to make room.
        if (hasConsent && room.Ending.All(session => session.ClientId == request.ClientId))
        {
            return await ApproveAsync(request, browser, wasAsked: false, [], occasion);
        }

        metrics.Reached(SignInStep.Asked);
        signIns.Shown(id, request.ClientId, request.RedirectUri, occasion.Now);
        return new NextStep.AskConsent(new ConsentQuestion(request with { ConsentedScopes = consented }, room));
    }

    /// <summary>The person's answer on the consent page. The caller has checked the CSRF token.</summary>
    /// <param name="announced">The sessions of which the page said that approval ends them. Ids of anybody else's are of no effect.</param>
    public async Task<NextStep> DecideAsync(
        Guid id, BrowserBinding browser, bool isApproved, Guid[] announced, Occasion occasion)
    {
        if (await FindAsync(id, browser, occasion.Now) is not { } request)
        {
            return NotInProgress;
        }

        if (isApproved)
        {
            // The page may be older than the last of the person's connected apps: then it is shown again, with what approval means now.
            return (await ReadRoomAsync(request, occasion.Now)).IsEnough(announced)
                ? await ApproveAsync(request, browser, wasAsked: true, announced, occasion)
                : new NextStep.Redirect($"/oauth/authorize?continue={id:N}");
        }

        if (!await store.DenyAsync(id, browser.Hash, occasion))
        {
            return NotInProgress;
        }

        signIns.Stopped(id, request.ClientId, RefusalReason.ConsentDenied, occasion.Now);
        return RedirectWithError(
            request.RedirectUri, request.State,
            new OAuthError("access_denied", "The person did not agree.").Because(RefusalReason.ConsentDenied).Of(request.ClientId, null));
    }

    /// <summary>The person disconnects another app on the consent page, to make room; then the page is shown again.</summary>
    public async Task<NextStep> DisconnectAsync(Guid id, BrowserBinding browser, Guid sessionId, Occasion occasion)
    {
        if (await FindAsync(id, browser, occasion.Now) is not { Subject: var subject })
        {
            return NotInProgress;
        }

        await sessions.DisconnectAsync(new SessionOwner(subject, null), sessionId, occasion);
        return new NextStep.Redirect($"/oauth/authorize?continue={id:N}");
    }

    /// <summary>The request, if somebody signed in for it in this browser and it has not been decided.</summary>
    private Task<PendingRequest?> FindAsync(Guid id, BrowserBinding browser, DateTimeOffset now) => store.FindAsync(id, browser.Hash, now);

    private Task<SessionRoom> ReadRoomAsync(PendingRequest request, DateTimeOffset now) =>
        sessions.ReadRoomAsync(request.Subject, request.ClientId, settings.Value.SessionLimits, now);

    private async Task<NextStep> ApproveAsync(
        PendingRequest request, BrowserBinding browser, bool wasAsked, Guid[] mayEnd, Occasion occasion)
    {
        var code = Secret.New();
        var lifetime = TimeSpan.FromSeconds(settings.Value.AuthCodeExpiry);
        var approval = await store.ApproveAsync(
            request, browser.Hash, RedirectUri.Host(request.RedirectUri), wasAsked, mayEnd, Sha256.Of(code), lifetime, occasion);
        if (approval is null)
        {
            return NotInProgress;
        }

        metrics.Reached(SignInStep.Approved);
        signIns.Delivered(request.Id, request.ClientId, request.RedirectUri, request.Subject, wasAsked, occasion.Now);
        return RedirectWithCode(approval, code);
    }

    private NextStep.Redirect RedirectWithCode(Approval approval, string code) =>
        new(UrlQuery.Add(approval.RedirectUri, ("code", code), ("state", approval.State), ("iss", tokens.Value.PublicBaseUrl)));

    // RFC 9207: iss in error responses as well
    private NextStep.Redirect RedirectWithError(string redirectUri, string? state, OAuthError error) =>
        new(UrlQuery.Add(redirectUri, ("error", error.Code), ("error_description", error.Description), ("state", state), ("iss", tokens.Value.PublicBaseUrl)))
        {
            Why = error.Why,
        };
}
