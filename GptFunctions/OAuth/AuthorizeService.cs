using GptFunctions.Audit;
using GptFunctions.Identity;
using GptFunctions.Sessions;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>What the browser is shown or told next.</summary>
internal abstract record NextStep
{
    /// <summary>Go to a URL: the sign-in, the client's redirect URI, or the consent page.</summary>
    internal sealed record Redirect(string Url) : NextStep;

    /// <summary>Ask for consent.</summary>
    internal sealed record AskConsent(ConsentQuestion Question) : NextStep;

    /// <summary>Show an error page, because there is no address that an error could safely be sent to.</summary>
    internal sealed record Refuse(int Status, string Title, string Detail) : NextStep;
}

/// <summary>What the consent page says.</summary>
/// <param name="Sessions">The person's connected apps when there are as many as allowed; empty otherwise.</param>
internal sealed record ConsentQuestion(PendingRequest Request, IReadOnlyList<Session> Sessions);

/// <summary>The authorization endpoint: request -> sign-in -> consent -> code.</summary>
internal sealed class AuthorizeService(
    AuthorizationRequests requests, AuthorizeStore store, SessionService sessions, ISignIn signIn, IOptionsMonitor<OAuthSettings> settings, TimeProvider clock)
{
    public static readonly NextStep NotInProgress = new NextStep.Refuse(403, "This sign-in is not in progress here", "It belongs to another browser, took longer than ten minutes, or has already been answered. Go back to the app and connect again.");

    private static readonly TimeSpan RequestLifetime = TimeSpan.FromMinutes(10);

    /// <summary>Checks a new request, keeps it, and sends the browser to sign in.</summary>
    public async Task<NextStep> StartAsync(FormParameters parameters, BrowserBinding browser)
    {
        var outcome = await requests.CheckAsync(parameters);
        if (outcome.Error is { } error)
        {
            return outcome.RedirectUri is { } redirectUri
                ? RedirectWithError(redirectUri, outcome.State, error)
                : new NextStep.Refuse(400, "This app cannot be connected", error.Description);
        }

        var now = clock.GetUtcNow();
        var id = Guid.CreateVersion7(now);
        var signInUrl = await signIn.StartAsync(id, browser);
        await store.InsertAsync(id, browser.Hash, outcome.Request!, now, RequestLifetime);
        return new NextStep.Redirect(signInUrl);
    }

    /// <summary>The request, if this browser started it and it still runs.</summary>
    public async Task<PendingRequest?> FindAsync(Guid id, BrowserBinding browser)
    {
        var request = await store.FindAsync(id, browser.Hash, clock.GetUtcNow());
        return request is { IsDecided: false } ? request : null;
    }

    /// <summary>The provider sent the browser back: note who signed in, and go on.</summary>
    public async Task<NextStep> FinishSignInAsync(Guid id, BrowserBinding browser, string? code, string? error, RequestOrigin origin)
    {
        if (await FindAsync(id, browser) is not { UserId: null } request)
        {
            return NotInProgress;
        }

        var (person, failure) = await signIn.FinishAsync(id, browser, code, error);
        if (person is not null && await SignedInAsync(id, browser, person, origin) is NextStep.Redirect next)
        {
            return next;
        }

        // The state is used up whatever came of it. A second callback with the same state must not end what the first one began.
        var refusal = person is not null ? new OAuthError("access_denied", "This account was deleted or is blocked.")
            : failure!.IsDenial ? new OAuthError("access_denied", "The person did not sign in.")
            : new OAuthError("server_error", failure.Reason);
        return await store.DenyAsync(id, browser.Hash, isSignedIn: false, origin, clock.GetUtcNow())
            ? RedirectWithError(request.RedirectUri, request.State, refusal)
            : NotInProgress;
    }

    /// <summary>Notes who signed in; the consent page (or, with consent remembered, the code) comes next. Refused when the account was deleted or is blocked.</summary>
    public async Task<NextStep> SignedInAsync(Guid id, BrowserBinding browser, Person person, RequestOrigin origin) =>
        await store.SignInAsync(id, browser.Hash, person, origin, clock.GetUtcNow())
            ? new NextStep.Redirect($"/oauth/authorize?continue={id:N}")
            : NotInProgress;

    /// <summary>Where a request in progress goes on: to sign-in, to the consent page, or back to the client with a code.</summary>
    public async Task<NextStep> ContinueAsync(Guid id, BrowserBinding browser, RequestOrigin origin)
    {
        if (await FindAsync(id, browser) is not { } request)
        {
            return NotInProgress;
        }

        if (request.UserId is not { } userId)
        {
            return new NextStep.Redirect(await signIn.StartAsync(id, browser));
        }

        var consented = await store.FindConsentAsync(userId, request.ClientId, RedirectUri.Host(request.RedirectUri));
        var crowding = await FindCrowdingSessionsAsync(request);
        var hasConsent = !request.Scopes.Except(consented, StringComparer.Ordinal).Any();
        // With consent remembered nobody is asked, unless another app would be disconnected to make room.
        return hasConsent && (crowding.Count == 0 || crowding.MinBy(session => session.LastActive)!.ClientId == request.ClientId)
            ? await ApproveAsync(request, browser, wasAsked: false, origin)
            : new NextStep.AskConsent(new ConsentQuestion(request with { ConsentedScopes = consented }, crowding));
    }

    /// <summary>The person's answer on the consent page. The caller has checked the CSRF token.</summary>
    public async Task<NextStep> DecideAsync(Guid id, BrowserBinding browser, bool isApproved, RequestOrigin origin)
    {
        if (await FindAsync(id, browser) is not { UserId: not null } request)
        {
            return NotInProgress;
        }

        if (isApproved)
        {
            return await ApproveAsync(request, browser, wasAsked: true, origin);
        }

        return await store.DenyAsync(id, browser.Hash, isSignedIn: true, origin, clock.GetUtcNow())
            ? RedirectWithError(request.RedirectUri, request.State, new OAuthError("access_denied", "The person did not agree."))
            : NotInProgress;
    }

    /// <summary>The person disconnects another app on the consent page, to make room; then the page is shown again.</summary>
    public async Task<NextStep> DisconnectAsync(Guid id, BrowserBinding browser, Guid sessionId, RequestOrigin origin)
    {
        if (await FindAsync(id, browser) is not { Subject: { } subject })
        {
            return NotInProgress;
        }

        await sessions.DisconnectAsync(subject, sessionId, origin);
        return new NextStep.Redirect($"/oauth/authorize?continue={id:N}");
    }

    private async Task<IReadOnlyList<Session>> FindCrowdingSessionsAsync(PendingRequest request)
    {
        var page = await sessions.ListAsync(request.Subject!, null, SessionService.MaximumPageSize);
        return page.Sessions.Count >= settings.CurrentValue.MaxSessionsPerUser ? page.Sessions : [];
    }

    private async Task<NextStep> ApproveAsync(PendingRequest request, BrowserBinding browser, bool wasAsked, RequestOrigin origin)
    {
        var code = Secret.New();
        var lifetime = TimeSpan.FromSeconds(settings.CurrentValue.AuthCodeExpiry);
        var approval = await store.ApproveAsync(request, browser.Hash, RedirectUri.Host(request.RedirectUri), wasAsked, Secret.Hash(code), lifetime, origin, clock.GetUtcNow());
        return approval is null ? NotInProgress : RedirectWithCode(approval, code);
    }

    private NextStep.Redirect RedirectWithCode(Approval approval, string code) =>
        new(RedirectUri.WithParameters(approval.RedirectUri, ("code", code), ("state", approval.State), ("iss", settings.CurrentValue.PublicBaseUrl)));

    // RFC 9207: iss in error responses as well
    private NextStep.Redirect RedirectWithError(string redirectUri, string? state, OAuthError error) =>
        new(RedirectUri.WithParameters(redirectUri, ("error", error.Code), ("error_description", error.Description), ("state", state), ("iss", settings.CurrentValue.PublicBaseUrl)));
}
