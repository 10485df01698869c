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
    public const string PrivateKeyJwt = "private_key_jwt";
}

/// <summary>A registered client.</summary>
internal sealed record Client
{
    /// <summary>The kind of a client that registered itself and that no operator has approved.</summary>
    public const string SelfRegistered = "registered";

    /// <summary>The kind of a client whose id is the URL of its metadata.</summary>
    public const string OfDocument = "metadata_document";

    /// <summary>In SQL, of a client's row as client: nobody has checked what it says of itself.</summary>
    public const string IsUnchecked = "(client.kind IN ('registered', 'metadata_document') AND client.approved_at IS NULL)";

    public required string Id { get; init; }
    public required string Name { get; init; }
    public required string Kind { get; init; }
    public required string[] AuthMethods { get; init; }
    public required int SecretCount { get; init; }
    public required string[] RedirectUris { get; init; }

    /// <summary>What it may have.</summary>
    public required string[] Scopes { get; init; }

    /// <summary>What it gets when it names none; null: all that it may have.</summary>
    public string[]? DefaultScopes { get; init; }

    /// <summary>Whether <see cref="Scopes"/> is a ceiling that an operator set. Else it may have whatever exists, as people approve it.</summary>
    public bool HasCeiling { get; init; } = true;
    public required bool RequirePkce { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? LastUsedAt { get; init; }
    public DateTimeOffset? DisabledAt { get; init; }

    /// <summary>Of what it registered with; null for a client that is never taken for the same again.</summary>
    public byte[]? RegistrationHash { get; init; }

    /// <summary>Since when an operator knows who is behind a document.</summary>
    public DateTimeOffset? ApprovedAt { get; init; }

    /// <summary>Its public keys (RFC 7517), for <see cref="AuthMethods.PrivateKeyJwt"/>; or <see cref="JwksUri"/>, where they are.</summary>
    public string? Jwks { get; init; }
    public string? JwksUri { get; init; }

    /// <summary>When the document of its id was read last, and until when that need not be done again.</summary>
    public DateTimeOffset? DocumentReadAt { get; init; }
    public DateTimeOffset? DocumentExpiresAt { get; init; }

    /// <summary>Its document was read and is not in its row yet.</summary>
    public bool IsToBeWritten { get; init; }

    /// <summary>Nobody has checked what it says of itself.</summary>
    public bool IsSelfRegistered => Kind is SelfRegistered or OfDocument && ApprovedAt is null;

    /// <summary>Has no secret: its codes are bound to it by PKCE alone, and its loopback redirects may use any port.</summary>
    public bool IsPublic => AuthMethods.Contains(OAuth.AuthMethods.None);

    /// <summary>Proves who it is by a secret that it was given.</summary>
    public bool HasSecret => AuthMethods.Contains(OAuth.AuthMethods.Basic) || AuthMethods.Contains(OAuth.AuthMethods.Post);

    /// <summary>RFC 6749 A.1, without the space: ids stand in lists and on command lines.</summary>
    public static bool IsId(string id) => id.Length is > 0 and <= 512 && id.All(character => character is > ' ' and <= '~');

    /// <summary>What a request may ask for.</summary>
    public IReadOnlyList<string> Ceiling(ScopeCatalog catalog) => HasCeiling ? Scopes : catalog.Names;

    /// <summary>The scopes of a request: those that it names, as far as they exist; blank counts as omitted.</summary>
    public string[] Asked(ScopeCatalog catalog, string? named) =>
        catalog.Read(named) is { Length: > 0 } scopes ? scopes : DefaultScopes?.Intersect(Ceiling(catalog)).ToArray() is { Length: > 0 } usual ? usual
            : [.. Ceiling(catalog)];

    public string? FindRedirectUri(string presented) =>
        RedirectUris.Any(registered => RedirectUri.Matches(registered, presented, IsPublic)) ? presented : null;
}

/// <summary>What a request presented to prove which client it is from.</summary>
/// <param name="SecretHash">SHA-256 of the secret; null for <see cref="AuthMethods.None"/>.</param>
/// <param name="Assertion">For <see cref="AuthMethods.PrivateKeyJwt"/>: found good, and used up by the statement that acts.</param>
internal sealed record ClientCredentials(string ClientId, string Method, byte[]? SecretHash, ClientAssertion? Assertion = null);

internal static class ClientCredentialsBinding
{
    /// <summary>Gives the parameters of <see cref="ClientSql"/> their values.</summary>
    public static LimitedStatement Bind(this LimitedStatement statement, ClientCredentials client)
    {
        statement.Bind("client_id", client.ClientId).Bind("method", client.Method);
        return client.Assertion is { } assertion
            ? statement.Bind("jti_hash", assertion.IdHash).Bind("use_id", assertion.UseId).BindIfUsed("assertion_expires_at", assertion.ExpiresAt)
            : statement.Bind("secret_hash", client.SecretHash);
    }
}

/// <summary>What the database knows of presented credentials, read together with the reason for a refusal.</summary>
/// <param name="IsSecretRight">Or the assertion was used for the first time.</param>
internal sealed record ClientStanding(bool IsKnown, string[] RegisteredMethods, bool IsMethodRegistered, bool IsSecretRight)
{
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
            : IsKnown && credentials.Assertion is not null
                ? OAuthError.InvalidClient("The client assertion was used before: make a new one for each request.", RefusalReason.ClientAssertionWrong)
                    .Of(credentials.ClientId, null)
            : IsKnown ? OAuthError.ClientAuthenticationFailed(RefusalReason.ClientSecretWrong).Of(credentials.ClientId, null)
            : OAuthError.ClientAuthenticationFailed(RefusalReason.ClientUnknown); // whose id may be somebody's secret, in the wrong field
    }
}
