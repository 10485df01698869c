using System.Text.Json;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>Where clients introduce themselves (RFC 7591), if the operator lets them.</summary>
internal sealed class RegistrationFunctions(RegistrationService registration, IOptions<OAuthSettings> settings, Occasions occasions)
{
    private const int MaximumBody = 16 * 1024;

    [Function("OAuthRegister")]
    public async Task<IResult> RegisterAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", "get", "head", "put", "patch", "delete", "options", Route = "oauth/register")] HttpRequest request)
    {
        Cors.Allow(request);
        if (!settings.Value.AllowsRegistration)
        {
            return OAuthResults.Error(
                request,
                new OAuthError("access_denied", "Clients cannot register themselves here: ask the operator for a client id.", StatusCodes.Status404NotFound)
                    .Because(RefusalReason.RegistrationClosed));
        }

        if (!HttpMethods.IsPost(request.Method))
        {
            return HttpMethods.IsOptions(request.Method) ? Cors.Preflight(request, "POST") : OAuthResults.MethodNotAllowed(request, "JSON");
        }

        var (isTooLarge, parsed) = await RequestBody.ReadAsync<Outcome<RegistrationRequest>>(request, MaximumBody, Parse);
        var outcome = isTooLarge
            ? new OAuthError("invalid_client_metadata", $"The body is larger than {MaximumBody} bytes.", StatusCodes.Status413PayloadTooLarge)
                .Because(RefusalReason.TooLarge)
            : parsed;
        if (outcome.Value is { } metadata)
        {
            var registered = await registration.RegisterAsync(metadata, occasions.Of(request.HttpContext));
            return registered.Error is { } error
                ? OAuthResults.Error(request, error)
                : OAuthResults.Json(request, registered.Value!, OAuthJson.Default.RegistrationResponse, StatusCodes.Status201Created);
        }

        return OAuthResults.Error(request, outcome.Error!);
    }

    private static Outcome<RegistrationRequest> Parse(ReadOnlySpan<byte> body)
    {
        try
        {
            return JsonSerializer.Deserialize(body, OAuthJson.Default.RegistrationRequest) is { } request
                ? request
                : RegistrationService.InvalidMetadata("The body must be a JSON object.");
        }
        catch (JsonException error)
        {
            return RegistrationService.InvalidMetadata(
                $"The body must be a JSON object with client metadata (RFC 7591); {error.Path ?? "it"} is not as it should be.");
        }
    }
}
