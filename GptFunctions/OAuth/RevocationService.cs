using GptFunctions.Hosting;
using GptFunctions.Tokens;

namespace GptFunctions.OAuth;

/// <summary>RFC 7009. Revoking either token of a session ends the session: its refresh token and, through the sid claim, its access tokens.</summary>
internal sealed class RevocationService(RevocationStore store, AccessTokens accessTokens, ClientAuthentication authentication)
{
    /// <summary>Null on success, also for a token that is unknown, already dead or another client's (RFC 7009 2.2).</summary>
    public async Task<OAuthError?> RevokeAsync(ClientCredentials client, FormParameters form, Occasion occasion)
    {
        if (form["token"] is not { } token)
        {
            return OAuthError.InvalidRequest("token is missing.");
        }

        var standing = await store.RevokeAsync(client, Sha256.Of(token), accessTokens.Verify(token).Value?.SessionId, occasion);
        return standing.Judge(client) is { } failure ? await authentication.RefuseAsync(client, failure, occasion) : null;
    }
}
