using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;

namespace GptFunctions.Identity;

/// <summary>Sign-in by OpenID Connect: authorization code flow with PKCE, state and nonce (OpenID Connect Core 3.1, RFC 7636).</summary>
internal sealed partial class OpenIdSignIn(
    OpenIdProvider provider, IOptions<ClerkSettings> clerk, IOptions<TokenSettings> tokens, TimeProvider clock, ILogger<OpenIdSignIn> logger) : ISignIn
{
    private const int LeewaySeconds = 30;

    /// <summary>Where the provider sends people back to.</summary>
    public const string CallbackPath = "/oauth/callback";

    private string CallbackUrl => tokens.Value.PublicBaseUrl + CallbackPath;

    public async Task<string> StartAsync(Guid requestId, string state, BrowserBinding browser, SignInWish wish)
    {
        var configuration = await provider.ReadConfigurationAsync();
        return UrlQuery.Add(
            new Uri(configuration.AuthorizationEndpoint).AbsoluteUri,
            ("response_type", "code"),
            ("client_id", clerk.Value.ClientId),
            ("redirect_uri", CallbackUrl),
            ("scope", "openid profile email"),
            ("state", state),
            ("nonce", browser.Derive("nonce", requestId)),
            ("code_challenge", Pkce.Challenge(browser.Derive("verifier", requestId))),
            ("code_challenge_method", "S256"),
            ("prompt", wish.Anew ? "login" : wish.AsSomebodyElse ? PromptOf(configuration) : null),
            ("ui_locales", wish.Languages));
    }

    public async Task<(Person? Person, SignInFailure? Failure)> FinishAsync(Guid requestId, BrowserBinding browser, string? code, string? error)
    {
        if (error is not null || code is null)
        {
            return (null, new SignInFailure("The identity provider did not sign you in.", error is "access_denied"));
        }

        if (await ExchangeAsync(await provider.ReadConfigurationAsync(), code, browser.Derive("verifier", requestId)) is not { } idToken)
        {
            return (null, new SignInFailure("The identity provider refused its own code.", false));
        }

        var jwt = await provider.VerifyIdTokenAsync(idToken);
        if (ProblemWith(jwt, browser.Derive("nonce", requestId)) is { } problem)
        {
            LogIdTokenRefused(problem);
            return (null, new SignInFailure("The identity provider's answer could not be verified.", false));
        }

        return (new Person(jwt!["sub"]!, Person.Shown(jwt["email"]), Person.Shown(jwt["name"])) { IdToken = idToken }, null);
    }

    public async Task<string?> FindSignOutAsync(string? idToken, string returnUrl)
    {
        try
        {
            return (await provider.ReadConfigurationAsync()).EndSessionEndpoint is { } endpoint && OpenIdProvider.IsWebAddress(endpoint)
                ? UrlQuery.Add(
                    new Uri(endpoint).AbsoluteUri, ("id_token_hint", idToken), ("client_id", clerk.Value.ClientId), ("post_logout_redirect_uri", returnUrl))
                : null;
        }
        catch (ServiceOutageException)
        {
            return null;
        }
    }

    // OpenID Connect Core 3.1.2.1: every provider knows login; one that lets people choose among their accounts is asked for that.
    private static string PromptOf(OpenIdConnectConfiguration configuration) =>
        configuration.PromptValuesSupported.Contains("select_account") ? "select_account" : "login";

    // OpenID Connect Core 3.1.3.7
    private string? ProblemWith(Jwt? jwt, string nonce) => jwt switch
    {
        null => "signature",
        _ when jwt["iss"] != clerk.Value.Issuer => "iss",
        _ when !jwt.HasAudience(clerk.Value.ClientId!) => "aud",
        _ when jwt["azp"] is { } party && party != clerk.Value.ClientId => "azp",
        _ when !(jwt.Seconds("exp") > clock.GetUtcNow().ToUnixTimeSeconds() - LeewaySeconds) => "exp",
        _ when !(jwt.Seconds("iat") <= clock.GetUtcNow().ToUnixTimeSeconds() + LeewaySeconds) => "iat",
        _ when jwt["nonce"] != nonce => "nonce",
        _ when !Person.IsSubject(jwt["sub"]) => "sub",
        _ => null,
    };

    private async Task<string?> ExchangeAsync(OpenIdConnectConfiguration configuration, string code, string verifier)
    {
        var form = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["grant_type"] = "authorization_code",
            ["code"] = code,
            ["redirect_uri"] = CallbackUrl,
            ["code_verifier"] = verifier,
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, configuration.TokenEndpoint);
        if (configuration.TokenEndpointAuthMethodsSupported is { Count: > 0 } methods && !methods.Contains("client_secret_basic"))
        {
            form["client_id"] = clerk.Value.ClientId!;
            form["client_secret"] = clerk.Value.ClientSecret!;
        }
        else
        {
            var credentials = $"{Uri.EscapeDataString(clerk.Value.ClientId!)}:{Uri.EscapeDataString(clerk.Value.ClientSecret!)}";
            request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(credentials)));
        }

        request.Content = new FormUrlEncodedContent(form);
        try
        {
            using var response = await provider.Http.SendAsync(request);
            if ((int)response.StatusCode is 408 or 429 or >= 500)
            {
                throw new ServiceOutageException("The identity provider's token endpoint failed.");
            }

            using var document = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync());
            if (response.IsSuccessStatusCode)
            {
                return document.RootElement.TryGetProperty("id_token", out var idToken) ? idToken.GetString() : null;
            }

            // invalid_client here means that CLERK_OAUTH_CLIENT_ID or its secret is wrong: somebody must be able to find out.
            LogCodeRefused((int)response.StatusCode, document.RootElement.TryGetProperty("error", out var reason) ? reason.GetString() : null);
            return null;
        }
        catch (Exception error) when (error is HttpRequestException or JsonException or InvalidOperationException or TaskCanceledException)
        {
            throw new ServiceOutageException("The identity provider's token endpoint does not answer.", error);
        }
    }

    [LoggerMessage(2001, LogLevel.Warning, "An ID token was refused because of its {Claim}")]
    private partial void LogIdTokenRefused(string claim);

    [LoggerMessage(2002, LogLevel.Warning, "The identity provider's token endpoint refused the code: {Status} {Error}")]
    private partial void LogCodeRefused(int status, string? error);
}
