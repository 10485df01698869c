using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Npgsql;

namespace GptFunctions.OAuth;

/// <summary>How a client proves who it is at the token endpoint (RFC 7591 section 2, token_endpoint_auth_method).</summary>
internal static class AuthMethods
{
    public const string Basic = "client_secret_basic";
    public const string Post = "client_secret_post";
    public const string None = "none";
}

/// <summary>A registered client.</summary>
internal sealed record Client
{
    /// <summary>The kind of a client that registered itself and that no operator has approved.</summary>
    public const string SelfRegistered = "registered";

    public required string Id { get; init; }
    public required string Name { get; init; }
    public required string Kind { get; init; }
    public required string[] AuthMethods { get; init; }
    public required int SecretCount { get; init; }
    public required string[] RedirectUris { get; init; }
    public required string[] Scopes { get; init; }
    public required bool RequirePkce { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? LastUsedAt { get; init; }
    public DateTimeOffset? DisabledAt { get; init; }

    public bool IsSelfRegistered => Kind == SelfRegistered;

    /// <summary>Has no secret: its codes are bound to it by PKCE alone, and its loopback redirects may use any port.</summary>
    public bool IsPublic => AuthMethods.Contains(OAuth.AuthMethods.None);

    /// <summary>RFC 6749 A.1, without the space: ids stand in lists and on command lines.</summary>
    public static bool IsId(string id) => id.Length is > 0 and <= 512 && id.All(character => character is > ' ' and <= '~');

    public string? FindRedirectUri(string presented) =>
        RedirectUris.Any(registered => RedirectUri.Matches(registered, presented, IsPublic)) ? presented : null;
}

/// <summary>What a request presented to prove which client it is from.</summary>
/// <param name="SecretHash">SHA-256 of the secret; null for <see cref="AuthMethods.None"/>.</param>
internal sealed record ClientCredentials(string ClientId, string Method, byte[]? SecretHash);

internal static class ClientCredentialsBinding
{
    /// <summary>Gives @client_id, @method and @secret_hash their values.</summary>
    public static LimitedStatement Bind(this LimitedStatement statement, ClientCredentials client) =>
        statement.Bind("client_id", client.ClientId).Bind("method", client.Method).Bind("secret_hash", client.SecretHash);
}

/// <summary>What the database knows of presented credentials, read together with the reason for a refusal.</summary>
internal sealed record ClientStanding(bool IsKnown, string[] RegisteredMethods, bool IsMethodRegistered, bool IsSecretRight)
{
    /// <summary>For a statement with a LEFT JOIN of gpt_clients as client, and @method and @secret_hash.</summary>
    public const string Columns = """
        client.disabled_at IS NULL AND client.client_id IS NOT NULL,
               coalesce(client.auth_methods, '{}'),
               coalesce(@method = ANY (client.auth_methods), false),
               coalesce(@secret_hash = ANY (client.secret_hashes), false)
        """;

    public static ClientStanding Read(NpgsqlDataReader reader) =>
        new(reader.GetBoolean(0), reader.GetFieldValue<string[]>(1), reader.GetBoolean(2), reader.GetBoolean(3));

    /// <summary>
    /// Null when the credentials are right. An unknown client and a wrong secret give the same answer. That the method is
    /// wrong is told only to somebody who showed the right secret, or where no secret is in play: it helps nobody else.
    /// </summary>
    public OAuthError? Judge(ClientCredentials credentials)
    {
        var isNone = credentials.Method == AuthMethods.None;
        if (IsKnown && IsMethodRegistered && (isNone || IsSecretRight))
        {
            return null;
        }

        return IsKnown && !IsMethodRegistered && (isNone || IsSecretRight || RegisteredMethods.Contains(AuthMethods.None))
            ? OAuthError.InvalidClient(
                $"This client is registered for {string.Join(" or ", RegisteredMethods)}, the request used {credentials.Method}.",
                RefusalReason.ClientMethodWrong).Of(credentials.ClientId, null)
            : IsKnown ? OAuthError.ClientAuthenticationFailed(RefusalReason.ClientSecretWrong).Of(credentials.ClientId, null)
            : OAuthError.ClientAuthenticationFailed(RefusalReason.ClientUnknown); // whose id may be somebody's secret, in the wrong field
    }
}
