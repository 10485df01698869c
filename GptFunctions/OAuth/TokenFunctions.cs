using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.OAuth;

/// <summary>The endpoints that clients call with their credentials: token, revoke, introspect.</summary>
internal sealed class TokenFunctions(
    TokenService tokens, IssuedTokenService issued, ClientAuthentication authentication, OAuthMetrics metrics, Occasions occasions, TimeProvider clock)
{
    private const int MaximumBody = 64 * 1024;

    // The Functions host answers 404 for a method that is not listed. Listing them all is what makes a 405 possible.
    [Function(FunctionNames.Token)]
    public Task<IResult> TokenAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", "get", "head", "put", "patch", "delete", "options", Route = "oauth/token")] HttpRequest request) =>
        MeasureAsync(request, measured => AnswerAsync(request, isForScripts: true, async (client, form, occasion) =>
        {
            measured.Grant = form["grant_type"];
            var (response, error) = await tokens.GrantAsync(client, form, occasion);
            if (response is null)
            {
                return OAuthResults.Error(request, error!);
            }

            measured.Granted = response.Outcome;
            return OAuthResults.Json(request, response, OAuthJson.Default.TokenResponse);
        }));

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

    /// <summary>Every POST counts, with its time and what became of it: the reason of a refusal is the one that was noted for the log.</summary>
    private async Task<IResult> MeasureAsync(HttpRequest request, Func<Measured, Task<IResult>> answer)
    {
        var (measured, started, outcome) = (new Measured(), clock.GetTimestamp(), TokenOutcome.Failed);
        try
        {
            var result = await answer(measured);
            outcome = measured.Granted ?? (RequestNotes.Of(request.HttpContext).Refusal is { } refusal ? TokenOutcome.Refused(refusal.Reason) : outcome);
            return result;
        }
        finally
        {
            if (HttpMethods.IsPost(request.Method))
            {
                metrics.TokenAnswered(measured.Grant, outcome, clock.GetElapsedTime(started));
                if (measured is { Grant: "authorization_code", Granted: not null })
                {
                    metrics.Reached(SignInStep.Connected);
                }
            }
        }
    }

    /// <summary>What is known of a token request while it is answered.</summary>
    private sealed class Measured
    {
        public string? Grant { get; set; }

        public TokenOutcome? Granted { get; set; }
    }

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

        var occasion = occasions.Of(request.HttpContext);
        var client = await authentication.ReadAsync(request.Headers.Authorization, form.Value, occasion);
        var result = client.Error is { } refused ? OAuthResults.Error(request, refused) : await answer(client.Value!, form.Value, occasion);
        if (RequestNotes.Of(request.HttpContext) is { Refusal: not null } notes)
        {
            notes.Sent = form.Value.Find;
        }

        return result;
    }
}
