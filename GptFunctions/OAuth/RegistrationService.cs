using System.Collections.Concurrent;
using GptFunctions.Hosting;
using GptFunctions.RateLimits;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>RFC 7591 section 3.2.1.</summary>
internal sealed record RegistrationResponse
{
    public required string ClientId { get; init; }

    /// <summary>Seconds since 1970.</summary>
    public required long ClientIdIssuedAt { get; init; }
    public string? ClientSecret { get; init; }

    /// <summary>0, because it does not; null without a secret.</summary>
    public long? ClientSecretExpiresAt { get; init; }
    public required string ClientName { get; init; }
    public required string[] RedirectUris { get; init; }
    public required string TokenEndpointAuthMethod { get; init; }
    public required string[] GrantTypes { get; init; }
    public required string[] ResponseTypes { get; init; }
    public required string ApplicationType { get; init; }

    /// <summary>What it gets when it names none (it may ask for more); absent: all there are.</summary>
    public required string Scope { get; init; }
}

/// <summary>
/// Dynamic client registration (RFC 7591): MCP hosts introduce themselves. A client with a secret is always a new one, so nobody gets another's
/// credentials. Without one there is nothing to get: the same registration again, as hosts send it for each connection, is the same client. What it
/// says of itself is checked by nobody, so people are asked at every sign-in until an operator approves it.
/// </summary>
internal sealed class RegistrationService(ClientStore store, ClientDescriptions descriptions, ScopeCatalog scopes, RateLimiter limits)
{
    private const int PerAddress = 60;
    private const int MaximumRedirectUris = 10;
    private static readonly TimeSpan Window = TimeSpan.FromHours(1);
    private static readonly string[] GrantTypes = ["authorization_code", "refresh_token"];
    private static readonly string[] ResponseTypes = ["code"];
    private static readonly string[] Methods = [AuthMethods.Basic, AuthMethods.Post, AuthMethods.None, AuthMethods.PrivateKeyJwt];

    private readonly ConcurrentDictionary<string, Task> beingRegistered = new(StringComparer.Ordinal);

    public async Task<Outcome<RegistrationResponse>> RegisterAsync(RegistrationRequest request, Occasion occasion)
    {
        var (redirectUris, wrongUri) = descriptions.GoodRedirectUris(request, MaximumRedirectUris);
        if (wrongUri is not null)
        {
            return new OAuthError("invalid_redirect_uri", wrongUri);
        }

        if ((ProblemWithMethod(request) ?? descriptions.ProblemWith(request)) is { } problem)
        {
            return InvalidMetadata(problem);
        }

        var client = Describe(request, redirectUris, occasion.Now);
        if (client.RegistrationHash is not { } hash)
        {
            return await RegisterAsync(client, occasion);
        }

        if (await store.FindRegisteredAsync(hash, occasion.Now) is { } known)
        {
            return Answer(known, redirectUris, null);
        }

        // Of twins that come at the same moment one uses up allowance.
        var (twins, mine) = (Convert.ToHexString(hash), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        if (beingRegistered.GetOrAdd(twins, mine.Task) is var first && first != mine.Task)
        {
            await first;
            return await store.FindRegisteredAsync(hash, occasion.Now) is { } twin ? Answer(twin, redirectUris, null) : await RegisterAsync(client, occasion);
        }

        try
        {
            return await RegisterAsync(client, occasion);
        }
        finally
        {
            beingRegistered.TryRemove(twins, out _);
            mine.SetResult();
        }
    }

    /// <summary>What would come of a registration, by the rules alone: the redirect URIs that it may use, or why it is refused.</summary>
    public (string[] RedirectUris, string? Problem) Judge(RegistrationRequest request)
    {
        var (redirectUris, wrong) = descriptions.GoodRedirectUris(request, MaximumRedirectUris);
        return (redirectUris, wrong ?? ProblemWithMethod(request) ?? descriptions.ProblemWith(request));
    }

    public static OAuthError InvalidMetadata(string problem) => new("invalid_client_metadata", problem);

    private async Task<Outcome<RegistrationResponse>> RegisterAsync(Client client, Occasion occasion)
    {
        if ((await limits.TryTakeAsync($"register|{occasion.Network}", PerAddress, Window)).RetryAfterSeconds is { } seconds)
        {
            return new OAuthError(
                "temporarily_unavailable", $"Too many clients were registered from this address. Try again in {seconds} seconds.",
                StatusCodes.Status429TooManyRequests)
            {
                RetryAfterSeconds = seconds,
                Why = new(RefusalReason.RateLimited),
            };
        }

        var secret = client.HasSecret ? Secret.New() : null;
        return await store.RegisterAsync(client with { SecretCount = secret is null ? 0 : 1 }, secret is null ? [] : [Sha256.Of(secret)], occasion)
            ? Answer(client, client.RedirectUris, secret)
            : Answer((await store.FindRegisteredAsync(client.RegistrationHash!, occasion.Now))!, client.RedirectUris, null); // a twin was faster elsewhere
    }

    private Client Describe(RegistrationRequest request, string[] redirectUris, DateTimeOffset now)
    {
        var method = request.TokenEndpointAuthMethod ?? AuthMethods.Basic; // RFC 7591 section 2: the default
        var client = new Client
        {
            Id = "reg_" + Guid.CreateVersion7(now).ToString("N"),
            Name = ClientDescriptions.NameOf(request, RedirectUri.Host(redirectUris[0])),
            Kind = Client.SelfRegistered,
            AuthMethods = [method],
            SecretCount = 0,
            RedirectUris = redirectUris,
            Scopes = [.. scopes.Names],
            DefaultScopes = descriptions.DefaultScopes(request),
            HasCeiling = false,
            RequirePkce = true,
            CreatedAt = now,
            Jwks = method == AuthMethods.PrivateKeyJwt ? request.Jwks?.GetRawText() : null,
            JwksUri = method == AuthMethods.PrivateKeyJwt ? request.JwksUri : null,
        };
        return client with { RegistrationHash = client.IsPublic ? HashOf(client) : null };
    }

    private RegistrationResponse Answer(Client client, string[] redirectUris, string? secret) => new()
    {
        ClientId = client.Id,
        ClientIdIssuedAt = client.CreatedAt.ToUnixTimeSeconds(),
        ClientSecret = secret,
        ClientSecretExpiresAt = secret is null ? null : 0,
        ClientName = client.Name,
        RedirectUris = redirectUris,
        TokenEndpointAuthMethod = client.AuthMethods[0],
        GrantTypes = GrantTypes,
        ResponseTypes = ResponseTypes,
        ApplicationType = ClientDescriptions.ApplicationTypeOf(redirectUris),
        Scope = string.Join(' ', client.DefaultScopes ?? [.. client.Ceiling(scopes)]),
    };

    /// <summary>Name, redirect URIs apart from loopback ports, and scopes, in whatever order they came. No part holds a line end.</summary>
    private static byte[] HashOf(Client client)
    {
        var uris = client.RedirectUris.Select(RedirectUri.WithoutLoopbackPort).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal);
        var named = client.DefaultScopes?.Order(StringComparer.Ordinal) ?? Enumerable.Empty<string>();
        return Sha256.Of(string.Join('\n', [client.Name, string.Join(' ', named), .. uris]));
    }

    private string? ProblemWithMethod(RegistrationRequest request) => request.TokenEndpointAuthMethod switch
    {
        AuthMethods.PrivateKeyJwt => descriptions.ProblemWithKeys(request),
        { } method when !Methods.Contains(method) => $"token_endpoint_auth_method must be one of {string.Join(", ", Methods)}.",
        _ => null,
    };
}
