using System.Globalization;
using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Sessions;

/// <summary>A page of connected apps; <c>next</c> is the value of <c>after</c> for the following page, null on the last one.</summary>
internal sealed record SessionListResponse(IReadOnlyList<Session> Data, Guid? Next);

internal sealed record RevokedResponse(RevokedCount Data);

internal sealed record RevokedCount(int Revoked);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(SessionListResponse))]
[JsonSerializable(typeof(RevokedResponse))]
internal sealed partial class SessionsJson : JsonSerializerContext;

/// <summary>A person's connected apps as JSON, for the holder of a Clerk session JWT or of one of our access tokens.</summary>
internal sealed class SessionFunctions(SessionService service, ClerkSessions clerk, AccessTokens accessTokens, Occasions occasions)
{
    private const int DefaultPageSize = 20;

    [Function("OAuthSessions")]
    public Task<IResult> SessionsAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", "delete", Route = "oauth/sessions")] HttpRequest request) =>
        ForOwnerAsync(request, owner => HttpMethods.IsDelete(request.Method) ? RevokeAllAsync(request, owner) : ListAsync(request, owner));

    [Function("OAuthSession")]
    public Task<IResult> RevokeAsync([HttpTrigger(AuthorizationLevel.Anonymous, "delete", Route = "oauth/sessions/{id}")] HttpRequest request, string id) =>
        ForOwnerAsync(request, async owner => Guid.TryParse(id, out var sessionId) && await service.DisconnectAsync(owner, sessionId, occasions.Of(request.HttpContext))
            ? Results.NoContent()
            : OAuthResults.Error(request, new OAuthError("not_found", "You have no such session.", StatusCodes.Status404NotFound)));

    private async Task<IResult> ListAsync(HttpRequest request, SessionOwner owner)
    {
        var limit = DefaultPageSize;
        Guid? after = null;
        if (request.Query["limit"].ToString() is { Length: > 0 } size && (!int.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out limit) || limit is < 1 or > SessionService.MaximumPageSize))
        {
            return OAuthResults.Error(request, OAuthError.InvalidRequest($"limit must be a number from 1 to {SessionService.MaximumPageSize}."));
        }

        if (request.Query["after"].ToString() is { Length: > 0 } cursor)
        {
            if (!Guid.TryParse(cursor, out var id))
            {
                return OAuthResults.Error(request, OAuthError.InvalidRequest("after must be the next value of the page before."));
            }

            after = id;
        }

        var page = await service.ListAsync(owner, after, limit);
        return OAuthResults.Json(request, new SessionListResponse(page.Sessions, page.Next), SessionsJson.Default.SessionListResponse);
    }

    private async Task<IResult> RevokeAllAsync(HttpRequest request, SessionOwner owner)
    {
        var count = await service.EndAllAsync(owner, "user", occasions.Of(request.HttpContext));
        return OAuthResults.Json(request, new RevokedResponse(new RevokedCount(count)), SessionsJson.Default.RevokedResponse);
    }

    private async Task<IResult> ForOwnerAsync(HttpRequest request, Func<SessionOwner, Task<IResult>> answer)
    {
        if (Bearer.Read(request) is not { } token)
        {
            return Bearer.Challenge(request, null);
        }

        var owner = await FindOwnerAsync(token);
        return owner.Error is { } error ? Bearer.Challenge(request, error) : await answer(owner.Value!);
    }

    /// <summary>The person, who has a Clerk session, reaches everything; an app, which has an access token, what is its own.</summary>
    private async Task<Outcome<SessionOwner>> FindOwnerAsync(string token)
    {
        if (Jwt.Parse(token)?.Algorithm == "RS256") // Clerk signs with RSA, we never do
        {
            var subject = await clerk.VerifyAsync(token);
            return subject.Value is { } person ? new SessionOwner(person, null) : subject.Error!;
        }

        var verified = accessTokens.Verify(token);
        return verified.Value is not { } accessToken ? verified.Error!
            : await service.IsLiveAsync(accessToken.SessionId) ? new SessionOwner(accessToken.Subject, accessToken.ClientId)
            : new OAuthError("invalid_token", "session revoked", StatusCodes.Status401Unauthorized);
    }
}
