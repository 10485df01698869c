using System.Text.Json;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace GptFunctions.OAuth;

/// <summary>An assertion whose signature and claims hold. Whether it was used before is asked by the statement that acts.</summary>
/// <param name="UseId">Of this request: tells its use of the assertion from any other.</param>
internal sealed record ClientAssertion(byte[] IdHash, Guid UseId, DateTimeOffset ExpiresAt);

/// <summary>
/// Checks the assertions by which clients authenticate with a key (<c>private_key_jwt</c>, RFC 7523 section 3). That the signature holds is the
/// library's word; the claims are read by our own reader, which is the stricter one.
/// </summary>
internal sealed class ClientAssertions(Clients clients, ClientStore store, IOptions<TokenSettings> tokens, TimeProvider clock)
{
    public const string Type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

    private const int MaximumId = 1000;
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Leeway = TimeSpan.FromSeconds(30);
    private static readonly JsonWebTokenHandler Handler = new();

    /// <summary>Whose assertion this says it is; null for what is no JWT.</summary>
    public static string? ClientIdOf(string assertion) => Jwt.Parse(assertion)?["sub"];

    /// <summary>The assertion; or why it does not count. Only to whoever has the client's key it is said what is wrong with the claims.</summary>
    /// <exception cref="ServiceOutageException">The client's keys cannot be had right now: nobody is at fault but its site, or ours.</exception>
    public async Task<Outcome<ClientAssertion>> CheckAsync(string clientId, string text)
    {
        if (await store.FindAsync(clientId) is not { DisabledAt: null } client)
        {
            return OAuthError.ClientAuthenticationFailed(RefusalReason.ClientUnknown);
        }

        var wrong = OAuthError.ClientAuthenticationFailed(RefusalReason.ClientAssertionWrong).Of(clientId, null);
        if (!client.AuthMethods.Contains(AuthMethods.PrivateKeyJwt) || Jwt.Parse(text) is not { Algorithm: { } algorithm } jwt
            || !ClientKeys.Algorithms.Contains(algorithm) || await clients.ReadKeysAsync(client, jwt.KeyId) is not { } known
            || !await IsSignedByAsync(known.For(jwt.KeyId, algorithm), text, algorithm))
        {
            return wrong;
        }

        return ProblemWith(jwt, clientId) is { } problem
            ? OAuthError.InvalidClient("The client assertion does not count: " + problem, RefusalReason.ClientAssertionWrong).Of(clientId, null)
            : new ClientAssertion(Sha256.Of(jwt["jti"]!), Guid.NewGuid(), DateTimeOffset.FromUnixTimeSeconds(jwt.Seconds("exp")!.Value));
    }

    private string? ProblemWith(Jwt jwt, string clientId)
    {
        var now = clock.GetUtcNow();
        return jwt switch
        {
            _ when jwt["iss"] != clientId || jwt["sub"] != clientId => "iss and sub must both be the client_id.",
            _ when !IsForUs(jwt) => $"aud must be {Issuer} or {Issuer}/oauth/token, and nothing else.",
            _ when jwt.Seconds("exp") is not { } expires || expires <= now.ToUnixTimeSeconds() => "exp is missing or over.",
            _ when jwt.Seconds("exp") > (now + Longest).ToUnixTimeSeconds() => "exp is more than five minutes ahead.",
            _ when IsAhead(jwt, "nbf", now) || IsAhead(jwt, "iat", now) => "nbf or iat is in the future.",
            _ when jwt["jti"] is not { Length: > 0 and <= MaximumId } => "jti is missing: give each assertion an id of its own.",
            _ => null,
        };
    }

    private string Issuer => tokens.Value.PublicBaseUrl!;

    // One audience, alone or as a list of one: an assertion for several is good at several, and each of them could use it here.
    private bool IsForUs(Jwt jwt) =>
        (jwt.HasAudience(Issuer) || jwt.HasAudience(Issuer + "/oauth/token"))
        && jwt.Claims.GetProperty("aud") is var audience && (audience.ValueKind == JsonValueKind.String || audience.GetArrayLength() == 1);

    private static bool IsAhead(Jwt jwt, string claim, DateTimeOffset now) => jwt.Has(claim) && !(jwt.Seconds(claim) <= (now + Leeway).ToUnixTimeSeconds());

    private static async Task<bool> IsSignedByAsync(JsonWebKey[] keys, string text, string algorithm) =>
        keys.Length > 0 && (await Handler.ValidateTokenAsync(text, new TokenValidationParameters
        {
            IssuerSigningKeys = keys,
            TryAllIssuerSigningKeys = true,
            ValidAlgorithms = [algorithm],
            ValidateIssuer = false,
            ValidateAudience = false,
            ValidateLifetime = false,
            RequireExpirationTime = false,
            TryReadJwtClaim = static (ref reader, _, _, out value) => // they are read by our own reader
            {
                reader.Skip();
                value = null!;
                return true;
            },
        })).IsValid;
}
