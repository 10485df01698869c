using System.Globalization;
using System.Text;
using GptFunctions.Hosting;
using GptFunctions.RateLimits;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>What a client says of itself (RFC 7591 section 2). What is not here is ignored.</summary>
internal sealed record RegistrationRequest(
    string?[]? RedirectUris, string? ClientName, string? TokenEndpointAuthMethod, string?[]? GrantTypes, string?[]? ResponseTypes, string? Scope,
    string? ApplicationType);

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
internal sealed class RegistrationService(ClientStore store, ScopeCatalog scopes, RateLimiter limits, IOptions<OAuthSettings> settings)
{
    private const int PerAddress = 60;
    private const int MaximumRedirectUris = 10;
    private const int MaximumNameLength = 100;

    // OpenID Connect Dynamic Client Registration 1.0, section 2
    private const string Web = "web";
    private const string Native = "native";
    private static readonly TimeSpan Window = TimeSpan.FromHours(1);
    private static readonly string[] GrantTypes = ["authorization_code", "refresh_token"];
    private static readonly string[] ResponseTypes = ["code"];
    private static readonly string[] Methods = [AuthMethods.Basic, AuthMethods.Post, AuthMethods.None];

    public async Task<Outcome<RegistrationResponse>> RegisterAsync(RegistrationRequest request, Occasion occasion)
    {
        var (redirectUris, wrongUri) = GoodRedirectUris(request);
        if (wrongUri is not null)
        {
            return new OAuthError("invalid_redirect_uri", wrongUri);
        }

        if (ProblemWith(request) is { } problem)
        {
            return InvalidMetadata(problem);
        }

        var client = Describe(request, redirectUris, occasion.Now);
        if (client.RegistrationHash is { } hash && await store.FindRegisteredAsync(hash, occasion.Now) is { } known)
        {
            return Answer(known, redirectUris, null);
        }

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

        var secret = client.IsPublic ? null : Secret.New();
        return await store.RegisterAsync(client with { SecretCount = secret is null ? 0 : 1 }, secret is null ? [] : [Sha256.Of(secret)], occasion)
            ? Answer(client, redirectUris, secret)
            : Answer((await store.FindRegisteredAsync(client.RegistrationHash!, occasion.Now))!, redirectUris, null); // a twin was faster
    }

    public static OAuthError InvalidMetadata(string problem) => new("invalid_client_metadata", problem);

    private Client Describe(RegistrationRequest request, string[] redirectUris, DateTimeOffset now)
    {
        var method = request.TokenEndpointAuthMethod ?? AuthMethods.Basic; // RFC 7591 section 2: the default
        var client = new Client
        {
            Id = "reg_" + Guid.CreateVersion7(now).ToString("N"),
            Name = NameOf(request.ClientName, redirectUris[0]),
            Kind = Client.SelfRegistered,
            AuthMethods = [method],
            SecretCount = 0,
            RedirectUris = redirectUris,
            Scopes = [.. scopes.Names],
            DefaultScopes = request.Scope is null ? null : Known(request.Scope),
            HasCeiling = false,
            RequirePkce = true,
            CreatedAt = now,
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
        ApplicationType = redirectUris.All(IsHttps) ? Web : Native,
        Scope = string.Join(' ', client.DefaultScopes ?? [.. client.Ceiling(scopes)]),
    };

    /// <summary>Name, redirect URIs apart from loopback ports, and scopes, in whatever order they came. No part holds a line end.</summary>
    private static byte[] HashOf(Client client)
    {
        var uris = client.RedirectUris.Select(RedirectUri.WithoutLoopbackPort).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal);
        var named = client.DefaultScopes?.Order(StringComparer.Ordinal) ?? Enumerable.Empty<string>();
        return Sha256.Of(string.Join('\n', [client.Name, string.Join(' ', named), .. uris]));
    }

    /// <summary>
    /// Those that may be registered; a sentence when there are none. The rest is left out, and the answer says so (RFC 7591 3.2.1): hosts name all
    /// that they might use, some of it in forms that not everybody takes.
    /// </summary>
    private (string[] Uris, string? Problem) GoodRedirectUris(RegistrationRequest request)
    {
        if (request.RedirectUris is not { Length: > 0 and <= MaximumRedirectUris } uris)
        {
            return ([], request.RedirectUris is null or []
                ? "redirect_uris is missing: name at least one."
                : $"redirect_uris holds more than {MaximumRedirectUris} URIs.");
        }

        var judged = uris.Distinct(StringComparer.Ordinal).Select(uri => (Uri: uri!, Problem: ProblemWithRedirectUri(uri, request.ApplicationType))).ToList();
        string[] good = [.. judged.Where(uri => uri.Problem is null).Select(uri => uri.Uri)];
        return (good, good.Length > 0 ? null : judged[0].Problem);
    }

    private string? ProblemWithRedirectUri(string? uri, string? applicationType) => uri is null ? "redirect_uris holds a null."
        : RedirectUri.ProblemWith(uri, settings.Value.RedirectUrisAllowed) is { } problem ? problem
        : applicationType == Web && !IsHttps(uri) ? $"'{uri}' must use https, because application_type is web."
        : RedirectUri.IsWeb(uri) || settings.Value.RedirectUrisAllowed.Contains(uri, StringComparer.Ordinal) ? null
        : $"'{uri}' must use https, or http on a loopback address; other schemes are for URIs that the operator has listed.";

    private static bool IsHttps(string uri) => uri.StartsWith("https:", StringComparison.OrdinalIgnoreCase);

    private string? ProblemWith(RegistrationRequest request) => request switch
    {
        { TokenEndpointAuthMethod: { } method } when !Methods.Contains(method) => $"token_endpoint_auth_method must be one of {string.Join(", ", Methods)}.",
        { GrantTypes: { } grants } when !grants.Contains(GrantTypes[0]) => "grant_types must hold authorization_code: there is no other way to begin.",
        { ResponseTypes: { } responses } when !responses.Contains(ResponseTypes[0]) => "response_types must hold code.",
        { ClientName: { } name } when Clean(name).Length > MaximumNameLength => $"client_name is longer than {MaximumNameLength} characters.",
        { Scope: { } scope } when Known(scope).Length == 0 => $"scope holds none of the scopes that exist: {string.Join(' ', scopes.Names)}.",
        _ => null,
    };

    private string[] Known(string scope) => [.. ScopeCatalog.Split(scope).Intersect(scopes.Names, StringComparer.Ordinal)];

    private static string NameOf(string? name, string redirectUri) => Clean(name ?? "") is { Length: > 0 } clean ? clean : RedirectUri.Host(redirectUri);

    /// <summary>Without what people would not see, or what would turn the text around it: control and format characters, line ends.</summary>
    private static string Clean(string name)
    {
        var clean = new StringBuilder(name.Length);
        foreach (var rune in name.EnumerateRunes()) // a surrogate alone becomes U+FFFD
        {
            if (Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator
                or UnicodeCategory.ParagraphSeparator or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned))
            {
                clean.Append(rune);
            }
        }

        return clean.ToString().Trim();
    }
}
