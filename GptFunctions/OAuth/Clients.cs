using System.Text.Json;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Tokens;

namespace GptFunctions.OAuth;

/// <summary>What there is of a client, or why there is none.</summary>
internal readonly record struct FoundClient(Client? Client, OAuthError? Problem);

/// <summary>
/// Finds the client of an id: registered, or described by the document that the id is the URL of (draft-ietf-oauth-client-id-metadata-document).
/// The document is read when somebody comes with it to the authorization endpoint; from then on its client is a row like any other, for which the
/// token endpoint of every replica asks nobody.
/// </summary>
internal sealed class Clients(
    ClientStore store, OutsideDocuments documents, ClientDescriptions descriptions, ScopeCatalog scopes, IOptions<OAuthSettings> settings, TimeProvider clock)
{
    private const int MaximumRedirectUris = 50;
    private const int RetryAfterSeconds = 30; // as long as a failure is remembered

    private static readonly OAuthError Unknown =
        OAuthError.InvalidRequest("This app is not registered here (unknown client_id).").Because(RefusalReason.ClientUnknown);

    public async Task<FoundClient> FindAsync(string clientId)
    {
        var row = await store.FindAsync(clientId);
        if (row?.DisabledAt is not null || (row is null && !MayBeDocument(clientId)))
        {
            return new(null, Unknown);
        }

        return row is { Kind: not Client.OfDocument } ? new(row, null)
            : !MayBeDocument(clientId) ? new(null, Unknown)
            : row?.DocumentExpiresAt > clock.GetUtcNow() ? new(row, null)
            : await ReadAsync(clientId, row);
    }

    /// <summary>The client's keys, read anew when that may help; null when there are none that can be read.</summary>
    /// <param name="keyId">The key that is looked for.</param>
    /// <exception cref="ServiceOutageException">The client's site does not answer.</exception>
    public async Task<JsonWebKey[]?> ReadKeysAsync(Client client, string? keyId)
    {
        if (client.Jwks is { } inline)
        {
            var keys = ClientKeys.Read(inline);
            return client.Kind != Client.OfDocument || Knows(keys, keyId) ? keys : await ReadKeysOfDocumentAsync(client, keyId) ?? keys;
        }

        return await ReadKeysAtAsync(client.JwksUri!, keyId);
    }

    /// <summary>What would come of a document if it were read at this URL: the redirect URIs that it may use, or why there is no client.</summary>
    public (string[] RedirectUris, string? Problem) Judge(string url, string text)
    {
        var (client, wrong) = Describe(url, new OutsideDocument(text, clock.GetUtcNow(), clock.GetUtcNow(), clock.GetUtcNow()), null);
        return client is null ? ([], $"its document {wrong}.") : (client.RedirectUris, null);
    }

    /// <summary>Whether a client id is the URL of a document that counts.</summary>
    public bool MayBeDocument(string clientId) =>
        settings.Value.AllowsDocuments && clientId.StartsWith("http", StringComparison.Ordinal) && documents.MayBeAt(clientId)
        && settings.Value.ClientMetadataHosts.Any(host => host == "*" || string.Equals(host, new Uri(clientId).Host, StringComparison.OrdinalIgnoreCase));

    private async Task<FoundClient> ReadAsync(string url, Client? row)
    {
        var document = await documents.GetAsync(url, OutsideDocuments.OfClient);
        var (client, wrong) = document.Text is null ? (null, document.Problem!) : Describe(url, document, row);
        if (client is not null)
        {
            return new(client, null);
        }

        // Whatever is wrong with it now: what it said counts for seven days.
        if (row is not null && row.DocumentReadAt > clock.GetUtcNow() - OutsideDocuments.Outlives)
        {
            return new(row, null);
        }

        var host = new Uri(url).Authority;
        return new(null, document is { Text: null, IsTransient: true }
            ? new OAuthError(
                "temporarily_unavailable", $"What this app says of itself is at {host}, and {host} {wrong}. Try again in {RetryAfterSeconds} seconds.",
                StatusCodes.Status503ServiceUnavailable)
            {
                RetryAfterSeconds = RetryAfterSeconds,
                Why = new(RefusalReason.ClientDocumentUnavailable),
            }
            : OAuthError.InvalidRequest($"What this app says of itself at {host} cannot be used: {host} {wrong}.")
                .Because(RefusalReason.ClientDocumentInvalid));
    }

    private (Client? Client, string Wrong) Describe(string url, OutsideDocument document, Client? row)
    {
        RegistrationRequest? request;
        string[] supported;
        try
        {
            using var json = JsonDocument.Parse(document.Text!);
            var root = json.RootElement;
            if (root.ValueKind != JsonValueKind.Object || root.TextOrNull("client_id") != url)
            {
                return (null, "answers with a document that is not of this client_id");
            }

            if (root.TryGetProperty("client_secret", out _) || root.TryGetProperty("client_secret_expires_at", out _))
            {
                return (null, "publishes a client_secret, which is none then");
            }

            request = root.Deserialize(OAuthJson.Default.RegistrationRequest)!;
            supported = root.TryGetProperty("token_endpoint_auth_methods_supported", out var methods) && methods.ValueKind == JsonValueKind.Array
                ? [.. methods.EnumerateArray().Where(method => method.ValueKind == JsonValueKind.String).Select(method => method.GetString()!)]
                : [request.TokenEndpointAuthMethod ?? AuthMethods.None];
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            return (null, "answers with something else than a JSON object of client metadata");
        }

        // Unlike in a registration, nobody is told what was taken of it: scopes that do not exist are left out.
        request = request with { Scope = descriptions.DefaultScopes(request) is { Length: > 0 } known ? string.Join(' ', known) : null };
        var (redirectUris, wrongUri) = descriptions.GoodRedirectUris(request, MaximumRedirectUris);
        var method = MethodOf(request, supported);
        return wrongUri is not null ? (null, "names no redirect URI that may be: " + wrongUri.TrimEnd('.'))
            : method is null ? (null, "names neither none nor private_key_jwt with keys that can be used as token_endpoint_auth_method")
            : descriptions.ProblemWith(request) is { } problem ? (null, "says something that may not be: " + problem.TrimEnd('.'))
            : (new Client
            {
                Id = url,
                Name = ClientDescriptions.NameOf(request, new Uri(url).Authority),
                Kind = Client.OfDocument,
                AuthMethods = [method],
                SecretCount = 0,
                RedirectUris = redirectUris,
                Scopes = row?.Scopes ?? [.. scopes.Names],
                DefaultScopes = descriptions.DefaultScopes(request),
                HasCeiling = row?.HasCeiling == true,
                RequirePkce = true,
                CreatedAt = row?.CreatedAt ?? document.ReadAt,
                LastUsedAt = row?.LastUsedAt,
                ApprovedAt = row?.ApprovedAt,
                Jwks = method == AuthMethods.PrivateKeyJwt ? request.Jwks?.GetRawText() : null,
                JwksUri = method == AuthMethods.PrivateKeyJwt && request.Jwks is null ? request.JwksUri : null,
                DocumentReadAt = document.ReadAt,
                DocumentExpiresAt = document.ExpiresAt,
                IsToBeWritten = true,
            }, "");
    }

    /// <summary>With keys it has to use them: where none would do as well, a thief would leave them out.</summary>
    private string? MethodOf(RegistrationRequest request, string[] supported) =>
        supported.Contains(AuthMethods.PrivateKeyJwt)
            && descriptions.ProblemWithKeys(request with { JwksUri = request.Jwks is null ? request.JwksUri : null }) is null
            ? AuthMethods.PrivateKeyJwt
            : supported.Contains(AuthMethods.None) ? AuthMethods.None
            : null;

    private static bool Knows(JsonWebKey[]? keys, string? keyId) =>
        keys is { Length: > 0 } && (keyId is null || Array.Exists(keys, key => key.Kid == keyId));

    /// <summary>A document whose keys have changed since it was read: they count at once, and are in its row with the next sign-in.</summary>
    private async Task<JsonWebKey[]?> ReadKeysOfDocumentAsync(Client client, string? keyId)
    {
        if (!MayBeDocument(client.Id))
        {
            return null;
        }

        var document = await documents.GetAsync(client.Id, OutsideDocuments.OfClient);
        if (document.Text is not null && Describe(client.Id, document, client).Client is { Jwks: { } first } && ClientKeys.Read(first) is var keys
            && Knows(keys, keyId))
        {
            return keys;
        }

        document = await documents.GetAsync(client.Id, OutsideDocuments.OfClient, olderThan: TimeSpan.FromSeconds(RetryAfterSeconds));
        if (document is { Text: null, IsTransient: true })
        {
            throw new ServiceOutageException($"The client metadata document {client.Id} cannot be read: its host {document.Problem}.");
        }

        return document.Text is not null && Describe(client.Id, document, client).Client is { } changed
            ? changed.Jwks is { } now ? ClientKeys.Read(now) : changed.JwksUri is { } uri ? await ReadKeysAtAsync(uri, keyId) : null
            : null;
    }

    private async Task<JsonWebKey[]?> ReadKeysAtAsync(string uri, string? keyId)
    {
        if (!documents.MayBeAt(uri))
        {
            return null; // allowed when it was registered, and not any more
        }

        var document = await documents.GetAsync(uri, OutsideDocuments.OfKeys);
        var keys = document.Text is null ? null : ClientKeys.Read(document.Text);
        if (!Knows(keys, keyId))
        {
            document = await documents.GetAsync(uri, OutsideDocuments.OfKeys, olderThan: TimeSpan.FromSeconds(RetryAfterSeconds));
            keys = document.Text is null ? null : ClientKeys.Read(document.Text);
        }

        return keys ?? throw new ServiceOutageException($"The keys at {uri} cannot be read: its host {document.Problem ?? "answers with something else"}.");
    }
}
