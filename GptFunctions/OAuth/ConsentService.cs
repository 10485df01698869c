using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Sessions;
using GptFunctions.Statistics;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>The authorization endpoint from the sign-in on: consent -> code. What comes before is <see cref="AuthorizeService"/>.</summary>
internal sealed class ConsentService(
    AuthorizeStore store, SessionService sessions, OAuthMetrics metrics, SignIns signIns, IOptions<TokenSettings> tokens, IOptions<OAuthSettings> settings)
{
    /// <summary>Where a request goes on after the sign-in: to the consent page, or back to the client with a code.</summary>
    public async Task<NextStep> ContinueAsync(Guid id, BrowserBinding browser, Occasion occasion)
    {
        if (await FindAsync(id, browser, occasion.Now) is not { } request)
        {
            return NextStep.NotInProgress;
        }

        var consented = await store.FindConsentAsync(request.UserId, request.ClientId, RedirectUri.Host(request.RedirectUri));
        var room = await ReadRoomAsync(request, occasion.Now);
        var hasConsent = !request.Scopes.Except(consented, StringComparer.Ordinal).Any();
        // With consent remembered nobody is asked, unless another app would be disconnected to make room.
        if (hasConsent && !room.EndsOthers)
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
            return NextStep.NotInProgress;
        }

        if (isApproved)
        {
            // The page may be older than the last of the person's connected apps: then it is shown again, with what approval means now.
            return (await ReadRoomAsync(request, occasion.Now)).IsEnough(announced)
                ? await ApproveAsync(request, browser, wasAsked: true, announced, occasion)
                : new NextStep.Continue(id);
        }

        if (!await store.DenyAsync(id, browser.Hash, occasion))
        {
            return NextStep.NotInProgress;
        }

        signIns.Stopped(id, request.ClientId, RefusalReason.ConsentDenied, occasion.Now);
        return NextStep.Redirect.WithError(
            request.RedirectUri, request.State,
            new OAuthError("access_denied", "The person did not agree.").Because(RefusalReason.ConsentDenied).Of(request.ClientId, null),
            tokens.Value.PublicBaseUrl!);
    }

    /// <summary>The person disconnects another app on the consent page, to make room; then the page is shown again.</summary>
    public async Task<NextStep> DisconnectAsync(Guid id, BrowserBinding browser, Guid sessionId, Occasion occasion)
    {
        if (await FindAsync(id, browser, occasion.Now) is not { Subject: var subject })
        {
            return NextStep.NotInProgress;
        }

        await sessions.DisconnectAsync(new SessionOwner(subject, null), sessionId, occasion);
        return new NextStep.Continue(id);
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
            return NextStep.NotInProgress;
        }

        metrics.Reached(SignInStep.Approved);
        signIns.Delivered(request.Id, request.ClientId, request.RedirectUri, request.Subject, wasAsked, occasion.Now);
        return RedirectWithCode(approval, code);
    }

    private NextStep.Redirect RedirectWithCode(Approval approval, string code) =>
        new(UrlQuery.Add(approval.RedirectUri, ("code", code), ("state", approval.State), ("iss", tokens.Value.PublicBaseUrl)));
}
