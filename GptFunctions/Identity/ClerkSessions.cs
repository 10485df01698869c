using GptFunctions.OAuth;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace GptFunctions.Identity;

/// <summary>Verifies Clerk's session JWTs, which the company's own web app sends for the person who uses it.</summary>
internal sealed class ClerkSessions(IServiceProvider services, IOptions<ClerkSettings> settings, TimeProvider clock)
{
    private const int LeewaySeconds = 5;
    private static readonly string[] Algorithms = ["RS256"];

    /// <summary>Not signed by Clerk: a forgery.</summary>
    public static OAuthError NotClerks { get; } = Invalid("The token is not a Clerk session token.");

    /// <summary>The Clerk user id, or <c>invalid_token</c>.</summary>
    /// <exception cref="Hosting.ServiceOutageException">Clerk's keys are not known yet and Clerk does not answer.</exception>
    public async Task<Outcome<string>> VerifyAsync(string token)
    {
        if (settings.Value.Issuer is not { } issuer)
        {
            return Invalid("Clerk session tokens are not accepted here: CLERK_ISSUER is not set.");
        }

        var keys = services.GetRequiredService<OpenIdProvider>().SessionKeys;
        var jwt = Jwt.Parse(token);
        if (jwt is null || !await keys.VerifyAsync(jwt, Algorithms))
        {
            return NotClerks;
        }

        var now = clock.GetUtcNow().ToUnixTimeSeconds();
        return jwt switch
        {
            _ when jwt["iss"] != issuer => Invalid("The session token is from another Clerk instance."),
            _ when !(jwt.Seconds("exp") > now - LeewaySeconds) => Invalid("expired"),
            _ when jwt.Seconds("nbf") > now + LeewaySeconds => Invalid("The session token is not valid yet."),
            _ when settings.Value.AuthorizedParties is { Length: > 0 } parties && !parties.Contains(jwt["azp"]) => Invalid("The session token is for another application (azp)."),
            _ when jwt["sub"] is not { Length: > 0 } => Invalid("The session token names no user."),
            _ => jwt["sub"]!,
        };
    }

    private static OAuthError Invalid(string description) => new("invalid_token", description, StatusCodes.Status401Unauthorized);
}
