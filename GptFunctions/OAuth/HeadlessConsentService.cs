using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Sessions;
using GptFunctions.Statistics;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>What the company's own web app needs to know before it asks for consent.</summary>
/// <param name="SessionCount">The person's live sessions, in all clients.</param>
/// <param name="Ends">The sessions that this connection ends for want of room: to be shown to the person, and their ids to be sent with the approval.</param>
internal sealed record ConsentState(bool HasConsent, int SessionCount, string[] ExistingScopes, string[] NewScopes, EndingSession[] Ends);

internal sealed record EndingSession(Guid Id, string ClientName);

internal sealed record RedirectTo(string Url)
{
    [System.Text.Json.Serialization.JsonPropertyName("redirect_to")]
    public string Url { get; init; } = Url;
}

/// <summary>Consent asked by the company's own web app, for the person whose Clerk session it has.</summary>
internal sealed class HeadlessConsentService(
    AuthorizationRequests requests, Clients clients, ScopeCatalog catalog, AuthorizeStore store, UserStore users, SessionService sessions,
    OAuthMetrics metrics, SignIns signIns, IOptions<TokenSettings> tokens, IOptions<OAuthSettings> settings)
{
    private static readonly OAuthError Gone =
        new OAuthError("access_denied", "This account was deleted or is blocked.", 403).Because(RefusalReason.AccountClosed);

    public async Task<Outcome<ConsentState>> ReadAsync(string subject, FormParameters parameters, DateTimeOffset now)
    {
        if (parameters["client_id"] is not { } clientId || await clients.FindAsync(clientId) is not { Client: { } client })
        {
            return OAuthError.InvalidRequest("client_id is missing or unknown.");
        }

        if (await users.EnsureAsync(subject, now) is not { } userId)
        {
            return Gone;
        }

        var scopes = client.Asked(catalog, parameters["scope"]);
        if (scopes.Except(client.Ceiling(catalog), StringComparer.Ordinal).FirstOrDefault() is { } unknown)
        {
            return OAuthError.InvalidScope($"The scope {unknown} is not one of this client's: {string.Join(' ', client.Ceiling(catalog))}.");
        }

        var existing = await store.FindConsentAsync(userId, client.Id, null);
        var fresh = scopes.Except(existing, StringComparer.Ordinal).ToArray();
        var room = await ReadRoomAsync(subject, client.Id, now);
        return new ConsentState(
            existing.Length > 0 && fresh.Length == 0, room.Sessions.Count, existing, fresh,
            [.. room.Ending.Select(session => new EndingSession(session.Id, session.ClientName))]);
    }

    /// <summary>Approves a request with the parameters of <c>/oauth/authorize</c>; the answer is where the browser is to go.</summary>
    public async Task<Outcome<RedirectTo>> ApproveAsync(string subject, FormParameters parameters, Occasion occasion)
    {
        var outcome = await requests.CheckAsync(parameters);
        if (outcome.Error is { } error)
        {
            return error;
        }

        if (outcome.Request!.Client.IsSelfRegistered)
        {
            // Our own page says that nobody has checked such a client, and asks each time; somebody else's page may not stand in for that.
            return new OAuthError(
                "access_denied", "This client registered itself and nobody has approved it yet: GptFunctions clients update ID --approve.",
                StatusCodes.Status403Forbidden).Because(RefusalReason.ClientUnapproved).Of(outcome.Request.Client.Id, null);
        }

        if (await users.EnsureAsync(subject, occasion.Now) is not { } userId)
        {
            return Gone;
        }

        var request = outcome.Request;
        var announced = SessionIds.Read(parameters["ends"]);
        if (!(await ReadRoomAsync(subject, request.Client.Id, occasion.Now)).IsEnough(announced))
        {
            return new OAuthError(
                "session_limit",
                "The person has as many connected apps as allowed: show them what GET /oauth/consent names in ends, and send those ids back, "
                    + "separated by spaces.",
                StatusCodes.Status409Conflict);
        }

        var code = Secret.New();
        var lifetime = TimeSpan.FromSeconds(settings.Value.AuthCodeExpiry);
        var redirectHost = RedirectUri.Host(request.RedirectUri);
        var id = Guid.CreateVersion7(occasion.Now);
        var approval = await store.ApproveAsync(id, request, userId, redirectHost, announced, Sha256.Of(code), lifetime, occasion);
        if (approval is null)
        {
            return Gone;
        }

        metrics.Reached(SignInStep.Approved);
        signIns.Delivered(id, request.Client.Id, request.RedirectUri, subject, wasAsked: true, occasion.Now);
        return new RedirectTo(UrlQuery.Add(approval.RedirectUri, ("code", code), ("state", approval.State), ("iss", tokens.Value.PublicBaseUrl)));
    }

    private Task<SessionRoom> ReadRoomAsync(string subject, string clientId, DateTimeOffset now) =>
        sessions.ReadRoomAsync(subject, clientId, settings.Value.SessionLimits, now);
}
