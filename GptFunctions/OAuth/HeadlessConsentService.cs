using GptFunctions.Audit;
using GptFunctions.Identity;
using GptFunctions.Sessions;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>What the company's own web app needs to know before it asks for consent.</summary>
/// <param name="SessionCount">The person's live sessions, in all clients.</param>
internal sealed record ConsentState(bool HasConsent, int SessionCount, string[] ExistingScopes, string[] NewScopes);

internal sealed record RedirectTo(string Url)
{
    [System.Text.Json.Serialization.JsonPropertyName("redirect_to")]
    public string Url { get; init; } = Url;
}

/// <summary>Consent asked by the company's own web app, for the person whose Clerk session it has.</summary>
internal sealed class HeadlessConsentService(
    AuthorizationRequests requests, ClientStore clients, AuthorizeStore store, UserService users, SessionService sessions, IOptionsMonitor<OAuthSettings> settings, TimeProvider clock)
{
    private static readonly OAuthError Gone = new("access_denied", "This account was deleted or is blocked.", 403);

    public async Task<Outcome<ConsentState>> ReadAsync(string subject, FormParameters parameters)
    {
        if (parameters["client_id"] is not { } clientId || await clients.FindAsync(clientId) is not { DisabledAt: null } client)
        {
            return OAuthError.InvalidRequest("client_id is missing or unknown.");
        }

        if (await users.EnsureAsync(subject) is not { } userId)
        {
            return Gone;
        }

        var scopes = parameters["scope"] is { } scope ? ScopeCatalog.Split(scope) : client.Scopes;
        if (scopes.Except(client.Scopes, StringComparer.Ordinal).FirstOrDefault() is { } unknown)
        {
            return OAuthError.InvalidScope($"The scope {unknown} is not one of this client's: {string.Join(' ', client.Scopes)}.");
        }

        var existing = await store.FindConsentAsync(userId, client.Id, null);
        var fresh = scopes.Except(existing, StringComparer.Ordinal).ToArray();
        var live = await sessions.ListAsync(subject, null, SessionService.MaximumPageSize);
        return new ConsentState(existing.Length > 0 && fresh.Length == 0, live.Sessions.Count, existing, fresh);
    }

    /// <summary>Approves a request with the parameters of <c>/oauth/authorize</c>; the answer is where the browser is to go.</summary>
    public async Task<Outcome<RedirectTo>> ApproveAsync(string subject, FormParameters parameters, RequestOrigin origin)
    {
        var outcome = await requests.CheckAsync(parameters);
        if (outcome.Error is { } error)
        {
            return error;
        }

        var now = clock.GetUtcNow();
        if (await users.EnsureAsync(subject) is not { } userId)
        {
            return Gone;
        }

        var request = outcome.Request!;
        var code = Secret.New();
        var lifetime = TimeSpan.FromSeconds(settings.CurrentValue.AuthCodeExpiry);
        var approval = await store.ApproveAsync(request, userId, RedirectUri.Host(request.RedirectUri), Secret.Hash(code), lifetime, origin, now);
        return approval is null
            ? Gone
            : new RedirectTo(RedirectUri.WithParameters(approval.RedirectUri, ("code", code), ("state", approval.State), ("iss", settings.CurrentValue.PublicBaseUrl)));
    }
}
