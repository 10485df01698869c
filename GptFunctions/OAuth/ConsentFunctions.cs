using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.OAuth;

/// <summary>Consent for the company's own web app: it has a Clerk session and asks the person on a page of its own.</summary>
internal sealed class ConsentFunctions(HeadlessConsentService service, ClerkSessions clerk, Occasions occasions)
{
    private const int MaximumBody = 64 * 1024;

    [Function("OAuthConsent")]
    public async Task<IResult> ConsentAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "post", Route = "oauth/consent")] HttpRequest request)
    {
        if (Bearer.Read(request) is not { } token)
        {
            return Bearer.Challenge(request, null);
        }

        var subject = await clerk.VerifyAsync(token);
        if (subject.Error is { } refused)
        {
            return Bearer.Challenge(request, refused);
        }

        return HttpMethods.IsPost(request.Method) ? await ApproveAsync(request, subject.Value!) : await ReadAsync(request, subject.Value!);
    }

    private async Task<IResult> ReadAsync(HttpRequest request, string subject)
    {
        var parameters = FormParameters.OfQuery(request);
        if (parameters.Error is { } unreadable)
        {
            return OAuthResults.Error(request, unreadable);
        }

        var state = await service.ReadAsync(subject, parameters.Value!, occasions.Of(request.HttpContext).Now);
        return state.Error is { } error ? OAuthResults.Error(request, error) : OAuthResults.Json(request, new(state.Value!), OAuthJson.Default.DataResponseConsentState);
    }

    private async Task<IResult> ApproveAsync(HttpRequest request, string subject)
    {
        var parameters = request.HasJsonContentType() ? await FormParameters.OfJsonAsync(request, MaximumBody) : await FormParameters.OfBodyAsync(request, MaximumBody);
        if (parameters.Error is { } unreadable)
        {
            return OAuthResults.Error(request, unreadable);
        }

        var approved = await service.ApproveAsync(subject, parameters.Value!, occasions.Of(request.HttpContext));
        return approved.Error is { } error ? OAuthResults.Error(request, error) : OAuthResults.Json(request, new(approved.Value!), OAuthJson.Default.DataResponseRedirectTo);
    }
}
