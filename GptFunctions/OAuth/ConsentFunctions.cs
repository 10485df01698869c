using GptFunctions.Hosting;
using GptFunctions.Sessions;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.OAuth;

/// <summary>Consent for the company's own web app: it has a Clerk session and asks the person on a page of its own.</summary>
internal sealed class ConsentFunctions(HeadlessConsentService service, CallerCheck callers)
{
    private const int MaximumBody = 64 * 1024;

    [Function("OAuthConsent")]
    public Task<IResult> ConsentAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "post", Route = "oauth/consent")] HttpRequest request) =>
        callers.AnswerAsync(request, TakenTokens.ClerkSessions, (caller, occasion) =>
            HttpMethods.IsPost(request.Method) ? ApproveAsync(request, caller.Subject, occasion) : ReadAsync(request, caller.Subject, occasion.Now));

    private async Task<IResult> ReadAsync(HttpRequest request, string subject, DateTimeOffset now)
    {
        var parameters = FormParameters.OfQuery(request);
        if (parameters.Error is { } unreadable)
        {
            return OAuthResults.Error(request, unreadable);
        }

        var state = await service.ReadAsync(subject, parameters.Value!, now);
        return state.Error is { } error
            ? OAuthResults.Error(request, error)
            : OAuthResults.Json(request, new(state.Value!), OAuthJson.Default.DataResponseConsentState);
    }

    private async Task<IResult> ApproveAsync(HttpRequest request, string subject, Occasion occasion)
    {
        var parameters = request.HasJsonContentType()
            ? await FormParameters.OfJsonAsync(request, MaximumBody)
            : await FormParameters.OfBodyAsync(request, MaximumBody);
        if (parameters.Error is { } unreadable)
        {
            return OAuthResults.Error(request, unreadable);
        }

        var approved = await service.ApproveAsync(subject, parameters.Value!, occasion);
        return approved.Error is { } error
            ? OAuthResults.Error(request, error)
            : OAuthResults.Json(request, new(approved.Value!), OAuthJson.Default.DataResponseRedirectTo);
    }
}
