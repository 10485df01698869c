using System.Net;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace GptFunctions.Identity;

/// <summary>
/// The identity provider knows our client and its redirect URI: asked to sign nobody in (prompt=none), it leads on, and refuses what it does not know. For
/// an operator who asks, not for the self-test: it is a request as a browser sends it.
/// </summary>
internal sealed class RedirectCheck(IServiceProvider services, IOptions<ClerkSettings> clerk, IOptions<TokenSettings> tokens) : ICheck
{
    public string Name => "clerk_redirect_uri";

    public async Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        var redirect = tokens.Value.PublicBaseUrl + OpenIdSignIn.CallbackPath;
        finding.Details["redirect_uri"] = redirect;
        if (clerk.Value.Issuer is null)
        {
            return; // the check of Clerk says so
        }

        var provider = services.GetRequiredService<OpenIdProvider>();
        var endpoint = (await provider.ReadConfigurationAsync()).AuthorizationEndpoint;
        var query = new QueryBuilder
        {
            { "response_type", "code" },
            { "client_id", clerk.Value.ClientId! },
            { "redirect_uri", redirect },
            { "scope", "openid" },
            { "state", "doctor" },
            { "prompt", "none" },
            { "code_challenge", Pkce.Challenge("doctor-doctor-doctor-doctor-doctor-doctor-doctor") },
            { "code_challenge_method", "S256" },
        };
        var url = new Uri(endpoint + (endpoint.Contains('?', StringComparison.Ordinal) ? "&" : "?") + query.ToQueryString().Value![1..]);
        try
        {
            using var answer = await provider.Http.GetAsync(url, cancellationToken);
            Judge(answer.StatusCode, redirect, finding);
        }
        catch (HttpRequestException error)
        {
            finding.Say(CheckState.Degraded, $"The identity provider does not answer to a sign-in: {error.Message}");
        }
    }

    private static void Judge(HttpStatusCode status, string redirect, Finding finding)
    {
        finding.Details["status"] = (int)status;
        if (status is >= HttpStatusCode.BadRequest and < HttpStatusCode.InternalServerError)
        {
            finding.Say(
                CheckState.Blocker,
                $"The identity provider refuses CLERK_OAUTH_CLIENT_ID with the redirect URI {redirect}: enter it at the OAuth application in its dashboard.");
        }
        else if (status >= HttpStatusCode.InternalServerError)
        {
            finding.Say(CheckState.Degraded, $"The identity provider answered {(int)status} to a sign-in.");
        }
    }
}
