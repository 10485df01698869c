using System.Text.Json;
using GptFunctions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tokens;

/// <summary>What an access token says (RFC 9068).</summary>
/// <param name="Audience">The resources that it is good for: some of <see cref="ProtectedResources"/>.</param>
internal sealed record AccessToken(
    string Subject, string ClientId, Guid SessionId, string Scope, string[] Audience, DateTimeOffset IssuedAt, DateTimeOffset ExpiresAt, string TokenId);

/// <summary>Issues and verifies access tokens: JWTs of type at+jwt, signed with ES256.</summary>
internal sealed class AccessTokens(
    SigningKeys keys, UsedGenerations used, ProtectedResources resources, IOptions<TokenSettings> settings, TimeProvider clock)
{
    private const string Type = "at+jwt";
    private readonly JwtWriter writer = new(keys, Type);

    /// <summary>Not signed by us, or nothing that is a token at all: a forgery, where <see cref="Expired"/> is only late.</summary>
    public static OAuthError NotOurs { get; } = Invalid("The access token is not one of ours.", RefusalReason.TokenForged);

    public static OAuthError Expired { get; } = Invalid("expired", RefusalReason.TokenExpired);

    public static OAuthError ForAnother { get; } = Invalid("The access token is for another service.");

    /// <summary>Whole seconds that a new token lives.</summary>
    public int Lifetime => settings.Value.AccessTokenExpiry;

    /// <param name="resource">What the token is for: the session's resource, or the one beneath it that the client asked for.</param>
    /// <param name="generation">Of the refresh token that comes with it: 0 is the first of the session.</param>
    public string Issue(string subject, string clientId, Guid sessionId, string scope, string resource, int generation = 0)
    {
        var now = clock.GetUtcNow();
        return writer.Write(json =>
        {
            json.WriteString("iss"u8, settings.Value.PublicBaseUrl);
            json.WriteString("sub"u8, subject);
            json.WritePropertyName("aud"u8);
            WriteAudience(json, resources.Audience(resource));
            json.WriteString("client_id"u8, clientId);
            json.WriteString("scope"u8, scope);
            json.WriteString("sid"u8, sessionId);
            json.WriteNumber("gen"u8, generation);
            json.WriteNumber("iat"u8, now.ToUnixTimeSeconds());
            json.WriteNumber("exp"u8, now.ToUnixTimeSeconds() + Lifetime);
            json.WriteString("jti"u8, Guid.CreateVersion7(now));
        });
    }

    /// <summary>
    /// Verifies everything that can be known without the database: signature, type, issuer, audience, lifetime.
    /// Whether the session still lives is the caller's next question.
    /// </summary>
    public Outcome<AccessToken> Verify(string token)
    {
        // RFC 9068 4; the algorithm is fixed, so the token's own word for it opens no door.
        if (Jwt.Parse(token) is not { Algorithm: "ES256", Type: Type } jwt
            || keys.Find(jwt.KeyId) is not { } key
            || jwt.Signature.Length != SigningKey.SignatureBytes
            || !key.Verify(jwt.SignedPart, jwt.Signature))
        {
            return NotOurs;
        }

        // What is good for the gateway is good for all that lies beneath it, also for an endpoint that the issuing process did not know yet.
        var audience = jwt.HasAudience(resources.Gateway.Url) ? resources.Audience(resources.Gateway.Url)
            : [.. resources.All.Select(resource => resource.Url).Where(jwt.HasAudience)];
        if (jwt["iss"] != settings.Value.PublicBaseUrl || audience.Length == 0)
        {
            return ForAnother;
        }

        if (jwt["sub"] is not { } subject || jwt["client_id"] is not { } clientId || !Guid.TryParse(jwt["sid"], out var sessionId)
            || jwt.Seconds("iat") is not { } issuedAt || jwt.Seconds("exp") is not { } expiresAt)
        {
            return Invalid("The access token lacks a claim.");
        }

        // Whoever has it, expired or not, has had the answer that it came in. One that was issued before there was this claim counts as the newest.
        used.Note(sessionId, (int)Math.Clamp(jwt.Seconds("gen") ?? int.MaxValue, 0, int.MaxValue));
        if (expiresAt <= clock.GetUtcNow().ToUnixTimeSeconds())
        {
            return Expired;
        }

        if (jwt.Has("nbf") && !(jwt.Seconds("nbf") <= clock.GetUtcNow().ToUnixTimeSeconds()))
        {
            return Invalid("The access token is not valid yet.");
        }

        return new AccessToken(
            subject, clientId, sessionId, jwt["scope"] ?? "", audience,
            DateTimeOffset.FromUnixTimeSeconds(issuedAt), DateTimeOffset.FromUnixTimeSeconds(expiresAt), jwt["jti"] ?? "");
    }

    /// <summary>The value of <c>aud</c>: one alone is no list (RFC 7519 4.1.3).</summary>
    public static void WriteAudience(Utf8JsonWriter json, string[] audience)
    {
        if (audience is [var only])
        {
            json.WriteStringValue(only);
            return;
        }

        json.WriteStartArray();
        foreach (var resource in audience)
        {
            json.WriteStringValue(resource);
        }

        json.WriteEndArray();
    }

    private static OAuthError Invalid(string description, RefusalReason reason = RefusalReason.TokenUnfit) =>
        new OAuthError("invalid_token", description, Microsoft.AspNetCore.Http.StatusCodes.Status401Unauthorized).Because(reason);
}
