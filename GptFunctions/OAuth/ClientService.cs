using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>What an operator asks for when adding a client.</summary>
/// <param name="GptIds">Ids of Custom GPTs (g-...): both of their callbacks become redirect URIs.</param>
internal sealed record NewClient(
    string Name, string? Id, bool IsPublic, string[] GptIds, string[] RedirectUris, string[] Scopes, string[] AuthMethods, bool NoPkce)
{
    /// <summary>Its public keys (RFC 7517), or where they are: it signs then, and has no secret.</summary>
    public string? Jwks { get; init; }
    public string? JwksUri { get; init; }

    public bool Signs => Jwks is not null || JwksUri is not null;
}

/// <summary>A client with the one look at its secret; null for a public client.</summary>
internal sealed record IssuedClient(Client Client, string? Secret);

/// <summary>Clients as operators see them. Refusals are sentences.</summary>
internal sealed class ClientService(
    ClientStore store, ClientSearchStore search, ScopeCatalog scopes, OutsideDocuments documents, IOptions<OAuthSettings> settings, TimeProvider clock)
{
    private static readonly string[] Public = [AuthMethods.None];
    private static readonly string[] Signing = [AuthMethods.PrivateKeyJwt];

    /// <summary>Both callbacks of a Custom GPT: its id is known only after it was saved, and older GPTs still use the second host.</summary>
    public static string[] CallbacksOf(string gptId) =>
        [$"https://chatgpt.com/aip/{gptId}/oauth/callback", $"https://chat.openai.com/aip/{gptId}/oauth/callback"];

    /// <summary>Whether this is one of them, of whichever GPT.</summary>
    public static bool IsCallbackOfGpt(string uri) =>
        uri.Contains("/aip/g-", StringComparison.Ordinal) && uri.EndsWith("/oauth/callback", StringComparison.Ordinal);

    /// <summary>Why one of these is no id of a GPT; null when all are.</summary>
    public static string? ProblemWithGpts(IEnumerable<string> ids) =>
        ids.FirstOrDefault(id => id.Length < 3 || !id.StartsWith("g-", StringComparison.Ordinal)
            || !id.All(character => char.IsAsciiLetterOrDigit(character) || character == '-')) is { } wrong
            ? $"'{wrong}' is not a GPT id: it starts with g- and stands in the GPT's URL."
            : null;

    /// <summary>The scopes that a client may ever get; none for one that there is not.</summary>
    public async Task<IReadOnlyList<string>> ScopesOfAsync(string clientId) => (await store.FindAsync(clientId))?.Scopes ?? [];

    public async Task<(IssuedClient? Issued, string? Problem)> AddAsync(NewClient request, OperatorAct act, Occasion occasion)
    {
        var secret = request.IsPublic || request.Signs ? null : Secret.New();
        var methods = request.Signs
            ? Signing
            : request.IsPublic
            ? Public
            : request.AuthMethods.Length > 0
            ? request.AuthMethods
            : settings.Value.ClientAuthMethods;
        var client = new Client
        {
            Id = request.Id ?? "gpt_" + Guid.CreateVersion7(occasion.Now).ToString("N"),
            Name = request.Name,
            Kind = request.IsPublic ? "public" : "confidential",
            AuthMethods = methods,
            SecretCount = secret is null ? 0 : 1,
            RedirectUris = [.. request.GptIds.SelectMany(CallbacksOf), .. request.RedirectUris],
            Scopes = request.Scopes.Length > 0 ? request.Scopes : [.. scopes.Names],
            RequirePkce = !request.NoPkce,
            CreatedAt = occasion.Now,
            Jwks = request.Jwks,
            JwksUri = request.JwksUri,
        };
        var wrong = DisplayText.ProblemWithName("--name", client.Name) ?? ProblemWithKeys(request) ?? ProblemWithGpts(request.GptIds) ?? ProblemWith(client)
            ?? ProblemWithRedirectUris(client.RedirectUris)
            ?? ProblemWithScopes(client.Scopes);
        if (wrong is { } problem)
        {
            return (null, problem);
        }

        return await store.InsertAsync(client, secret is null ? [] : [Sha256.Of(secret)], act, occasion)
            ? (new IssuedClient(client, secret), null)
            : (null, $"There is a client with the id {client.Id} already: choose another --id, or change it with 'clients update'.");
    }

    public Task<IReadOnlyList<Client>> ListAsync() => store.ListAsync();

    /// <inheritdoc cref="ClientSearchStore.SearchAsync"/>
    public Task<IReadOnlyList<ListedClient>> SearchAsync(
        string? text, string? kind, bool isDisabled, bool isUnchecked, ListPlace before, int count) =>
        search.SearchAsync(null, text, kind, isDisabled, isUnchecked, before, count);

    /// <summary>Null when there is no such client.</summary>
    public async Task<ListedClient?> FindAsync(string clientId) =>
        await search.SearchAsync(clientId, null, null, false, false, ListPlace.Newest, 1) is [var found, ..] ? found : null;

    /// <summary>Null when done.</summary>
    public async Task<string?> UpdateAsync(string clientId, ClientChange change, OperatorAct act, Occasion occasion)
    {
        if (await store.FindAsync(clientId) is not { } client)
        {
            return Unknown(clientId);
        }

        var changed = client with
        {
            Name = change.Name ?? client.Name,
            AuthMethods = change.AuthMethods ?? client.AuthMethods,
            RedirectUris = change.RedirectUris ?? client.RedirectUris,
            Scopes = change.Scopes ?? client.Scopes,
            RequirePkce = change.RequirePkce ?? client.RequirePkce,
        };
        if (client.Kind == Client.OfDocument && change is not { Name: null, AuthMethods: null, RedirectUris: null, RequirePkce: null })
        {
            return $"{clientId} is described by its document, which says name, redirect URIs and auth method; here you can change its scopes, "
                + "approve, disable and enable it.";
        }

        if (changed.IsPublic != client.IsPublic)
        {
            return "A client cannot change between public and confidential: add a new one.";
        }

        // Only what changes is asked about: whatever was registered under older rules or scopes, a client can still be disabled.
        return (change.Name is { } name ? DisplayText.ProblemWithName("--name", name) : null) ?? ProblemWith(changed)
            ?? (changed.HasSecret != client.HasSecret ? "A client cannot change between a secret and keys: add a new one." : null)
            ?? (change.RedirectUris is { } uris ? ProblemWithRedirectUris(uris) : null)
            ?? (change.Scopes is { } named ? ProblemWithScopes(named) : null)
            ?? (await store.UpdateAsync(clientId, change, act, occasion) ? null : Unknown(clientId));
    }

    /// <summary>A second secret, valid beside the old one until that is retired.</summary>
    public async Task<(string? Secret, string? Problem)> RotateSecretAsync(string clientId, OperatorAct act, Occasion occasion)
    {
        var secret = Secret.New();
        return await store.AddSecretAsync(clientId, Sha256.Of(secret), act, occasion) ? (secret, null)
            : (null, await store.FindAsync(clientId) switch
            {
                null => Unknown(clientId),
                { IsPublic: true } => "A public client has no secret.",
                { HasSecret: false } => "A client that signs has no secret.",
                _ => "Two secrets are active already: run 'clients rotate-secret --retire-old' first.",
            });
    }

    /// <summary>Ends the older of two secrets. Null when done.</summary>
    public async Task<string?> RetireOldSecretAsync(string clientId, OperatorAct act, Occasion occasion) =>
        await store.RetireOldSecretAsync(clientId, act, occasion) ? null
            : await store.FindAsync(clientId) is null ? Unknown(clientId) : "Only one secret is active: there is no old one to retire.";

    /// <summary>Writes the client that the settings describe; true when it is new. Idempotent.</summary>
    public Task<bool> EnsureFirstAsync()
    {
        var (first, occasion) = (settings.Value, Occasion.OfCommand(clock.GetUtcNow(), "command"));
        var client = new Client
        {
            Id = first.ClientId!,
            Name = first.ClientName ?? first.ClientId!,
            Kind = "confidential",
            AuthMethods = first.ClientAuthMethods,
            SecretCount = 1,
            RedirectUris = first.RedirectUris,
            Scopes = [.. scopes.Names],
            RequirePkce = false,
            CreatedAt = occasion.Now,
        };
        return store.UpsertFirstAsync(client, Sha256.Of(first.ClientSecret!), first.ClientName is not null, OperatorAct.OfCommand("setup"), occasion);
    }

    private static string Unknown(string clientId) => $"There is no client with the id {clientId}: see 'clients list'.";

    private string? ProblemWithRedirectUris(string[] uris) => uris.Length == 0
        ? "A client needs a redirect URI: give --gpt g-ID or --redirect-uri URI."
        : uris.Select(uri => RedirectUri.ProblemWith(uri, settings.Value.RedirectUrisAllowed)).FirstOrDefault(problem => problem is not null) is { } problem
            ? "Redirect URI: " + problem
            : null;

    private string? ProblemWithScopes(string[] named) => named.Except(scopes.Names, StringComparer.Ordinal).FirstOrDefault() is { } unknown
        ? $"The scope {unknown} does not exist; there are: {string.Join(' ', scopes.Names)}."
        : null;

    private string? ProblemWithKeys(NewClient request) => request switch
    {
        { Signs: false } => null,
        { IsPublic: true } => "A client with keys is not public: leave --public out.",
        { AuthMethods.Length: > 0 } => "A client with keys has the auth method private_key_jwt and no other: leave --auth-method out.",
        { Jwks: not null, JwksUri: not null } => "Give one of --jwks-file and --jwks-uri.",
        { Jwks: { } keys } => ClientKeys.ProblemWith(keys) is { } problem ? "--jwks-file: " + problem : null,
        _ => documents.MayBeAt(request.JwksUri!) ? null : "--jwks-uri must be an https URL with a path.",
    };

    private static string? ProblemWith(Client client) => client switch
    {
        _ when !Client.IsId(client.Id) => "--id must be 1 to 512 printable ASCII characters without spaces.",
        _ when client.SecretCount > 0
            && client.AuthMethods.Except([AuthMethods.Basic, AuthMethods.Post], StringComparer.Ordinal).FirstOrDefault() is { } method =>
                $"The auth method {method} is not known: use {AuthMethods.Basic} or {AuthMethods.Post}, or --public.",
        { IsPublic: true, RequirePkce: false } => "A public client has no secret, so it must use PKCE: leave --no-pkce out.",
        _ => null,
    };
}
