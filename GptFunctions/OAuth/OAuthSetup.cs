using GptFunctions.Hosting;
using GptFunctions.Pages;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.OAuth;

internal static class OAuthSetup
{
    /// <summary>The authorization server: authorize, consent, token, revoke, introspect, register, metadata, clients.</summary>
    public static void AddOAuth(this IHostApplicationBuilder builder)
    {
        builder.AddSettings<OAuthSettings>();
        builder.AddSettings<RefreshKeys>();
        var services = builder.Services;
        services.AddSingleton<RefreshTokens>().AddSingleton<OAuthMetrics>();
        services.AddSingleton<ClientStore>().AddSingleton<ClientSearchStore>().AddSingleton<ClientService>().AddSingleton<ClientAuthentication>();
        services.AddSingleton<FailureTally>().AddHostedService(provider => provider.GetRequiredService<FailureTally>());
        services.AddSingleton(OutsideNetwork.Real).AddSingleton<OutsideDocuments>();
        services.AddSingleton<ClientDescriptions>().AddSingleton<Clients>().AddSingleton<ClientAssertions>();
        services.AddSingleton<RegistrationService>().AddSingleton<KnownHosts>();
        services.AddSingleton<AuthorizationRequests>().AddSingleton<SealedRequests>().AddSingleton<AuthorizeStore>().AddSingleton<AuthorizeService>()
            .AddSingleton<ConsentService>().AddSingleton<HeadlessConsentService>();
        services.AddSingleton<RefreshLimit>().AddHostedService(provider => provider.GetRequiredService<RefreshLimit>());
        services.AddSingleton<TokenStore>().AddSingleton<RefreshStore>().AddSingleton<TokenAnswers>().AddSingleton<RefreshService>()
            .AddSingleton<TokenService>();
        services.AddSingleton<IssuedTokenStore>().AddSingleton<IssuedTokenService>();

        services.AddSingleton(new ErrorFormat("/oauth", (context, failure) =>
            OAuthResults.Error(context.Request, new OAuthError(CodeFor(failure.Status), failure.Detail, failure.Status))));
        foreach (var page in (string[])["/oauth/authorize", "/oauth/callback"])
        {
            services.AddSingleton(new ErrorFormat(page, PageResults.Error));
        }
    }

    // RFC 6749 4.1.2.1 has names for outages and bugs; they are never invalid_grant or invalid_client, which make clients drop their tokens.
    private static string CodeFor(int status) => status switch
    {
        StatusCodes.Status503ServiceUnavailable => "temporarily_unavailable",
        >= StatusCodes.Status500InternalServerError => "server_error",
        _ => "invalid_request",
    };
}
