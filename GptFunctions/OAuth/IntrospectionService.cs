using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>RFC 7662 2.2. Everything but <see cref="Active"/> is absent for a token that is not active.</summary>
/// <param name="Exp">Seconds since 1970, as are <paramref name="Iat"/>.</param>
internal sealed record IntrospectionResponse(
    bool Active, string? Scope = null, string? ClientId = null, string? TokenType = null, long? Exp = null, long? Iat = null, string? Sub = null, string? Aud = null, string? Iss = null, string? Jti = null, Guid? Sid = null)
{
    [JsonIgnore]
    public static IntrospectionResponse Inactive { get; } = new(false);
}

/// <summary>RFC 7662. A client learns about its own tokens; for another client's they are as good as unknown.</summary>
internal sealed class IntrospectionService(
    IntrospectionStore store, AccessTokens accessTokens, UsedGenerations used, ClientAuthentication authentication,
    IOptions<TokenSettings> settings, TimeProvider clock)
{
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
        var state = await store.ReadAsync(client, Sha256.Of(token), accessToken?.SessionId, clock.GetUtcNow());
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

    private IntrospectionResponse Describe(AccessToken token) => new(
        true, token.Scope, token.ClientId, "Bearer", token.ExpiresAt.ToUnixTimeSeconds(), token.IssuedAt.ToUnixTimeSeconds(), token.Subject, token.Resource,
        settings.Value.PublicBaseUrl, token.TokenId, token.SessionId);

    private IntrospectionResponse Describe(GrantedSession session, IntrospectedState state, ClientCredentials client) => new(
        true, string.Join(' ', session.Scopes), client.ClientId, "refresh_token", state.ExpiresAt?.ToUnixTimeSeconds(), state.IssuedAt?.ToUnixTimeSeconds(),
        session.Subject, session.Resource, settings.Value.PublicBaseUrl, null, session.Id);
}
