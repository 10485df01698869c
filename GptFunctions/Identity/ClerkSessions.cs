using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace GptFunctions.Identity;

/// <summary>Verifies Clerk's session JWTs, which the company's own web app sends for the person who uses it.</summary>
internal sealed class ClerkSessions(IServiceProvider services, IOptions<ClerkSettings> settings, TimeProvider clock)
{
    private const int LeewaySeconds = 5;

    /// <summary>Not signed by Clerk: a forgery.</summary>
    public static OAuthError NotClerks { get; } = Invalid("The token is not a Clerk session token.", RefusalReason.TokenForged);

    /// <summary>The Clerk user id, or <c>invalid_token</c>.</summary>
    /// <exception cref="ServiceOutageException">Clerk's keys are not known yet and Clerk does not answer.</exception>
    public async Task<Outcome<string>> VerifyAsync(string token)
    {
        if (settings.Value.Issuer is not { } issuer)
        {
            return Invalid("Clerk session tokens are not accepted here: CLERK_ISSUER is not set.");
        }

        // Asked for only here: without an issuer there is no provider, and no need to load what verifies its tokens.
        if (await services.GetRequiredService<OpenIdProvider>().VerifySessionAsync(token) is not { } jwt)
        {
            return NotClerks;
        }

        var now = clock.GetUtcNow().ToUnixTimeSeconds();
        return jwt switch
        {
            _ when jwt["iss"] != issuer => Invalid("The session token is from another Clerk instance."),
            _ when !(jwt.Seconds("exp") > now - LeewaySeconds) => Invalid("expired", RefusalReason.TokenExpired),
            _ when jwt.Seconds("nbf") > now + LeewaySeconds => Invalid("The session token is not valid yet."),
            // Clerk 'act': an operator uses the application in this person's name. That is no consent, and no order, of the person.
            _ when jwt.Has("act") => Invalid("The session token is of somebody who acts for the user (act)."),
            // Clerk 'sts': a pending session still owes something, for example a second factor or the choice of an organisation.
            _ when jwt.Has("sts") && jwt["sts"] is not "active" => Invalid("The session is not active (sts)."),
            // A session token has no audience; one that has is made, from a template of Clerk's, for another API, which could use it here.
            _ when jwt.Has("aud") => Invalid("The token is for another API (aud); send the session token."),
            _ when settings.Value.AuthorizedParties is { Length: > 0 } parties && !parties.Contains(jwt["azp"]) =>
                Invalid("The session token is for another application (azp)."),
            _ when !Person.IsSubject(jwt["sub"]) => Invalid("The session token names no user."),
            _ => jwt["sub"]!,
        };
    }

    private static OAuthError Invalid(string description, RefusalReason reason = RefusalReason.TokenUnfit) =>
        new OAuthError("invalid_token", description, StatusCodes.Status401Unauthorized).Because(reason);
}
