using System.Globalization;
using System.Text.Json.Serialization;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.OAuth;
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
internal sealed class SessionFunctions(SessionService service, ClerkSessions clerk, AccessTokens accessTokens, ClientAddress addresses)
{
    private const int DefaultPageSize = 20;

    [Function("OAuthSessions")]
    public Task<IResult> SessionsAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", "delete", Route = "oauth/sessions")] HttpRequest request) =>
        ForSubjectAsync(request, subject => HttpMethods.IsDelete(request.Method) ? RevokeAllAsync(request, subject) : ListAsync(request, subject));

    [Function("OAuthSession")]
    public Task<IResult> RevokeAsync([HttpTrigger(AuthorizationLevel.Anonymous, "delete", Route = "oauth/sessions/{id}")] HttpRequest request, string id) =>
        ForSubjectAsync(request, async subject => Guid.TryParse(id, out var sessionId) && await service.DisconnectAsync(subject, sessionId, addresses.Origin(request.HttpContext))
            ? Results.NoContent()
            : OAuthResults.Error(request, new OAuthError("not_found", "You have no such session.", StatusCodes.Status404NotFound)));

    private async Task<IResult> ListAsync(HttpRequest request, string subject)
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

        var page = await service.ListAsync(subject, after, limit);
        return OAuthResults.Json(request, new SessionListResponse(page.Sessions, page.Next), SessionsJson.Default.SessionListResponse);
    }

    private async Task<IResult> RevokeAllAsync(HttpRequest request, string subject)
    {
        var count = await service.EndAllAsync(subject, "user", addresses.Origin(request.HttpContext));
        return OAuthResults.Json(request, new RevokedResponse(new RevokedCount(count)), SessionsJson.Default.RevokedResponse);
    }

    private async Task<IResult> ForSubjectAsync(HttpRequest request, Func<string, Task<IResult>> answer)
    {
        if (Bearer.Read(request) is not { } token)
        {
            return Bearer.Challenge(request, null);
        }

        var subject = await FindSubjectAsync(token);
        return subject.Error is { } error ? Bearer.Challenge(request, error) : await answer(subject.Value!);
    }

    private async Task<Outcome<string>> FindSubjectAsync(string token)
    {
        if (Jwt.Parse(token)?.Algorithm == "RS256")
        {
            return await clerk.VerifyAsync(token); // Clerk signs with RSA, we never do
        }

        var verified = accessTokens.Verify(token);
        return verified.Value is not { } accessToken ? verified.Error!
            : await service.IsLiveAsync(accessToken.SessionId) ? accessToken.Subject
            : new OAuthError("invalid_token", "session revoked", StatusCodes.Status401Unauthorized);
    }
}
