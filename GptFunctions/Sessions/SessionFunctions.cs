using System.Globalization;
using System.Text.Json.Serialization;
using GptFunctions.Hosting;
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
internal sealed class SessionFunctions(SessionService service, CallerCheck callers)
{
    private const int DefaultPageSize = 20;

    [Function("OAuthSessions")]
    public Task<IResult> SessionsAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", "delete", Route = "oauth/sessions")] HttpRequest request) =>
        ForOwnerAsync(request, (owner, occasion) =>
            HttpMethods.IsDelete(request.Method) ? RevokeAllAsync(request, owner, occasion) : ListAsync(request, owner, occasion.Now));

    [Function("OAuthSession")]
    public Task<IResult> RevokeAsync([HttpTrigger(AuthorizationLevel.Anonymous, "delete", Route = "oauth/sessions/{id}")] HttpRequest request, string id) =>
        ForOwnerAsync(request, async (owner, occasion) => Guid.TryParse(id, out var sessionId) && await service.DisconnectAsync(owner, sessionId, occasion)
            ? Results.NoContent()
            : OAuthResults.Error(request, new OAuthError("not_found", "You have no such session.", StatusCodes.Status404NotFound)));

    private async Task<IResult> ListAsync(HttpRequest request, SessionOwner owner, DateTimeOffset now)
    {
        var limit = DefaultPageSize;
        Guid? after = null;
        if (request.Query["limit"].ToString() is { Length: > 0 } size
            && (!int.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out limit) || limit is < 1 or > SessionService.MaximumPageSize))
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

        var page = await service.ListAsync(owner, after, limit, now);
        return OAuthResults.Json(request, new SessionListResponse(page.Sessions, page.Next), SessionsJson.Default.SessionListResponse);
    }

    private async Task<IResult> RevokeAllAsync(HttpRequest request, SessionOwner owner, Occasion occasion)
    {
        var count = await service.EndAllAsync(owner, "user", occasion);
        return OAuthResults.Json(request, new RevokedResponse(new RevokedCount(count)), SessionsJson.Default.RevokedResponse);
    }

    /// <summary>The person, who has a Clerk session, reaches everything; an app, which has an access token, what is its own.</summary>
    private Task<IResult> ForOwnerAsync(HttpRequest request, Func<SessionOwner, Occasion, Task<IResult>> answer) => callers.AnswerAsync(
        request, TakenTokens.Both, (caller, occasion) => answer(new SessionOwner(caller.Subject, caller.ClientId), occasion));
}
