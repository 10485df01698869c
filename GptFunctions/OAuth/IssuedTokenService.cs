using System.Text.Json;
using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>RFC 7662 2.2. Everything but <see cref="Active"/> is absent for a token that is not active.</summary>
internal sealed record IntrospectionResponse
{
    [JsonIgnore]
    public static IntrospectionResponse Inactive { get; } = new() { Active = false };

    public required bool Active { get; init; }
    public string? Scope { get; init; }
    public string? ClientId { get; init; }
    public string? TokenType { get; init; }

    /// <summary>Seconds since 1970, as is <see cref="Iat"/>.</summary>
    public long? Exp { get; init; }
    public long? Iat { get; init; }
    public string? Sub { get; init; }

    /// <summary>The resources that the token is good for, as in an access token.</summary>
    [JsonConverter(typeof(AudienceConverter))]
    public string[]? Aud { get; init; }
    public string? Iss { get; init; }
    public string? Jti { get; init; }
    public Guid? Sid { get; init; }
}

/// <summary>One audience alone is no list (RFC 7519 4.1.3).</summary>
internal sealed class AudienceConverter : JsonConverter<string[]>
{
    public override string[] Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => throw new NotSupportedException();

    public override void Write(Utf8JsonWriter writer, string[] value, JsonSerializerOptions options) => AccessTokens.WriteAudience(writer, value);
}

/// <summary>
/// What a client may do with a token that it got: revoke it (RFC 7009), or ask about it (RFC 7662). Another client's are as good as unknown.
/// </summary>
internal sealed class IssuedTokenService(
    IssuedTokenStore store, AccessTokens accessTokens, ProtectedResources resources, UsedGenerations used, ClientAuthentication authentication,
    IOptions<TokenSettings> settings)
{
    /// <summary>Revoking either token of a session ends the session: its refresh token and, through the sid claim, its access tokens.</summary>
    /// <returns>Null on success, also for a token that is unknown, already dead or another client's (RFC 7009 2.2).</returns>
    public async Task<OAuthError?> RevokeAsync(ClientCredentials client, FormParameters form, Occasion occasion)
    {
        if (form["token"] is not { } token)
        {
            return OAuthError.InvalidRequest("token is missing.");
        }

        var standing = await store.RevokeAsync(client, Sha256.Of(token), accessTokens.Verify(token).Value?.SessionId, occasion);
        return standing.Judge(client) is { } failure ? await authentication.RefuseAsync(client, failure, occasion) : null;
    }

    public async Task<Outcome<IntrospectionResponse>> IntrospectAsync(ClientCredentials client, FormParameters form, Occasion occasion)
    {
        if (form["token"] is not { } token)
        {
            return OAuthError.InvalidRequest("token is missing.");
        }

        if (client.Method == AuthMethods.None)
        {
            // RFC 7662 2.1: authorized callers only, or anybody could fish for tokens.
            return OAuthError.InvalidClient("Introspection needs a client secret.");
        }

        var accessToken = accessTokens.Verify(token).Value;
        var state = await store.ReadAsync(client, Sha256.Of(token), accessToken?.SessionId, occasion.Now);
        if (state.Client.Judge(client) is { } failure)
        {
            return await authentication.RefuseAsync(client, failure, occasion);
        }

        if (state.Session is not { } session)
        {
            return IntrospectionResponse.Inactive;
        }

        if (accessToken is not null)
        {
            return Describe(accessToken);
        }

        used.Note(session.Id, session.Generation); // whoever asks about the newest refresh token has it
        return Describe(session, state, client);
    }

    private IntrospectionResponse Describe(AccessToken token) => new()
    {
        Active = true,
        Scope = token.Scope,
        ClientId = token.ClientId,
        TokenType = "Bearer",
        Exp = token.ExpiresAt.ToUnixTimeSeconds(),
        Iat = token.IssuedAt.ToUnixTimeSeconds(),
        Sub = token.Subject,
        Aud = token.Audience,
        Iss = settings.Value.PublicBaseUrl,
        Jti = token.TokenId,
        Sid = token.SessionId,
    };

    private IntrospectionResponse Describe(GrantedSession session, IntrospectedState state, ClientCredentials client) => new()
    {
        Active = true,
        Scope = string.Join(' ', session.Scopes),
        ClientId = client.ClientId,
        TokenType = "refresh_token",
        Exp = state.ExpiresAt?.ToUnixTimeSeconds(),
        Iat = state.IssuedAt?.ToUnixTimeSeconds(),
        Sub = session.Subject,
        Aud = resources.Audience(session.Resource),
        Iss = settings.Value.PublicBaseUrl,
        Sid = session.Id,
    };
}
