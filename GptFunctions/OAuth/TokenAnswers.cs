using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using GptFunctions.Tokens;

namespace GptFunctions.OAuth;

/// <summary>A successful answer of the token endpoint (RFC 6749 5.1).</summary>
/// <param name="ExpiresIn">Seconds until the access token expires.</param>
/// <param name="Scope">Space-separated.</param>
internal sealed record TokenResponse(string AccessToken, string TokenType, int ExpiresIn, string RefreshToken, string Scope)
{
    /// <summary>For the meters.</summary>
    [JsonIgnore]
    public TokenOutcome Outcome { get; init; } = TokenOutcome.Granted;
}

/// <summary>What both grants are answered with.</summary>
internal sealed class TokenAnswers(AccessTokens accessTokens)
{
    public static readonly OAuthError ScopesWithdrawn = OAuthError.InvalidGrant(
        RefusalReason.ScopesWithdrawn, "All scopes that the person granted have been withdrawn from this client: start again at the authorization endpoint.");

    /// <param name="resource">What this access token is for; null: what the session is for.</param>
    public TokenResponse Of(GrantedSession session, ClientCredentials client, RefreshToken token, string[] scopes, string? resource)
    {
        var scope = string.Join(' ', scopes);
        var accessToken = accessTokens.Issue(session.Subject, client.ClientId, session.Id, scope, resource ?? session.Resource, session.Generation);
        return new TokenResponse(accessToken, "Bearer", accessTokens.Lifetime, token.Value, scope);
    }
}
