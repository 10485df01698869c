using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.OAuth;

/// <summary>The endpoints that clients call with their credentials: token, revoke, introspect.</summary>
internal sealed class TokenFunctions(TokenService tokens, IssuedTokenService issued, Occasions occasions)
{
    private const int MaximumBody = 64 * 1024;

    // The Functions host answers 404 for a method that is not listed. Listing them all is what makes a 405 possible.
    [Function(FunctionNames.Token)]
    public Task<IResult> TokenAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", "get", "head", "put", "patch", "delete", "options", Route = "oauth/token")] HttpRequest request) =>
        AnswerAsync(request, isForScripts: true, async (client, form, occasion) => await tokens.GrantAsync(client, form, occasion) switch
        {
            { Error: { } error } => OAuthResults.Error(request, error),
            { Value: var response } => OAuthResults.Json(request, response!, OAuthJson.Default.TokenResponse),
        });

    [Function("OAuthRevoke")]
    public Task<IResult> RevokeAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", "get", "head", "put", "patch", "delete", "options", Route = "oauth/revoke")] HttpRequest request) =>
        AnswerAsync(request, isForScripts: false, async (client, form, occasion) => await issued.RevokeAsync(client, form, occasion) is { } error
            ? OAuthResults.Error(request, error)
            : OAuthResults.Done(request));

    [Function("OAuthIntrospect")]
    public Task<IResult> IntrospectAsync(
        [HttpTrigger(
            AuthorizationLevel.Anonymous, "post", "get", "head", "put", "patch", "delete", "options", Route = "oauth/introspect")] HttpRequest request) =>
        AnswerAsync(request, isForScripts: false, async (client, form, occasion) => await issued.IntrospectAsync(client, form, occasion) switch
        {
            { Error: { } error } => OAuthResults.Error(request, error),
            { Value: var response } => OAuthResults.Json(request, response!, OAuthJson.Default.IntrospectionResponse),
        });

    /// <param name="isForScripts">Whether scripts of other origins may call this (CORS).</param>
    private async Task<IResult> AnswerAsync(HttpRequest request, bool isForScripts, Func<ClientCredentials, FormParameters, Occasion, Task<IResult>> answer)
    {
        if (isForScripts)
        {
            Cors.Allow(request);
        }

        if (!HttpMethods.IsPost(request.Method))
        {
            return isForScripts && HttpMethods.IsOptions(request.Method) ? Cors.Preflight(request, "POST") : OAuthResults.MethodNotAllowed(request);
        }

        var form = await FormParameters.OfBodyAsync(request, MaximumBody);
        if (form.Error is { } unreadable)
        {
            return OAuthResults.Error(request, unreadable);
        }

        if (form.Value!.Repeated.FirstOrDefault() is { } repeated)
        {
            return OAuthResults.Error(request, OAuthError.InvalidRequest($"The parameter {repeated} was sent more than once."));
        }

        var client = ClientAuthentication.Read(request.Headers.Authorization, form.Value);
        return client.Error is { } refused
            ? OAuthResults.Error(request, refused)
            : await answer(client.Value!, form.Value, occasions.Of(request.HttpContext));
    }
}
