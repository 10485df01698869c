using GptFunctions.OAuth.Pages;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>Development only: where the demo client's redirect ends, so that the flow can be walked in a browser. It shows the code and the next command.</summary>
internal sealed class DevelopmentCallbackFunctions(IHostEnvironment environment, IOptions<OAuthSettings> settings)
{
    [Function("DevCallback")]
    public IResult Callback([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "dev/callback")] HttpRequest request) =>
        environment.IsDevelopment() && FormParameters.OfQuery(request).Value is { } parameters
            ? OAuthPages.Render<DevelopmentCallbackPage>(request.HttpContext, new()
            {
                [nameof(DevelopmentCallbackPage.Error)] = parameters["code"] is null ? parameters["error"] ?? "no code came back" : null,
                [nameof(DevelopmentCallbackPage.Description)] = parameters["error_description"],
                [nameof(DevelopmentCallbackPage.Command)] = $"curl -u {settings.Value.ClientId}:SECRET -d grant_type=authorization_code -d code={parameters["code"]} --data-urlencode redirect_uri={settings.Value.RedirectUris[0]} {settings.Value.PublicBaseUrl}/oauth/token",
                [nameof(DevelopmentCallbackPage.ExpiresIn)] = settings.Value.AuthCodeExpiry,
            })
            : OAuthPages.Error(request.HttpContext, StatusCodes.Status404NotFound, "There is nothing here", "This page exists in Development only.");
}
