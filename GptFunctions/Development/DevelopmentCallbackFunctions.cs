using System.Buffers.Text;
using GptFunctions.Development.Pages;
using GptFunctions.Hosting;
using GptFunctions.OAuth;
using GptFunctions.Pages;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.Development;

/// <summary>
/// Development only: where the demo client's redirect ends, so that the flow can be walked in a browser. It shows the code and the next command.
/// </summary>
internal sealed class DevelopmentCallbackFunctions(IHostEnvironment environment, IOptions<TokenSettings> tokens, IOptions<OAuthSettings> settings)
{
    private const int CodeLength = 43;

    [Function("DevCallback")]
    public IResult Callback([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "dev/callback")] HttpRequest request)
    {
        if (!environment.IsDevelopment() || FormParameters.OfQuery(request).Value is not { } parameters)
        {
            return PageResults.Refuse(request.HttpContext, RefusalReason.NotFound, StatusCodes.Status404NotFound, texts => texts.NothingHere);
        }

        // The command is made to be pasted into a shell, and anybody can link to this page: only what is certainly a code goes into it.
        var code = parameters["code"] is { Length: CodeLength } text && Base64Url.IsValid(text) ? text : null;
        return PageResults.Render<DevelopmentCallbackPage>(request.HttpContext, new()
        {
            [nameof(DevelopmentCallbackPage.Error)] = code is null ? parameters["error"] ?? "no code came back" : null,
            [nameof(DevelopmentCallbackPage.Description)] = parameters["error_description"],
            [nameof(DevelopmentCallbackPage.Command)] = $"""
                curl -u {settings.Value.ClientId}:SECRET \
                  -d grant_type=authorization_code \
                  -d code={code} \
                  --data-urlencode redirect_uri={settings.Value.RedirectUris[0]} \
                  {tokens.Value.PublicBaseUrl}/oauth/token
                """,
            [nameof(DevelopmentCallbackPage.ExpiresIn)] = settings.Value.AuthCodeExpiry,
        });
    }
}
