using System.Globalization;
using System.Text;
using GptFunctions.Hosting;
using GptFunctions.RateLimits;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.OAuth;

/// <summary>What a client says of itself (RFC 7591 section 2). What is not here is ignored.</summary>
internal sealed record RegistrationRequest(
    string?[]? RedirectUris, string? ClientName, string? TokenEndpointAuthMethod, string?[]? GrantTypes, string?[]? ResponseTypes, string? Scope);

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
    public required string Scope { get; init; }
}

/// <summary>
/// Dynamic client registration (RFC 7591): MCP hosts introduce themselves. Each registration is a client of its own, so nobody gets
/// another's credentials; what it says of itself is checked by nobody, so people are asked at every sign-in until an operator approves it.
/// </summary>
internal sealed class RegistrationService(ClientStore store, ScopeCatalog scopes, RateLimiter limits)
{
    private const int PerAddress = 60;
    private const int MaximumRedirectUris = 10;
    private const int MaximumNameLength = 100;
    private static readonly TimeSpan Window = TimeSpan.FromHours(1);
    private static readonly string[] GrantTypes = ["authorization_code", "refresh_token"];
    private static readonly string[] ResponseTypes = ["code"];
    private static readonly string[] Methods = [AuthMethods.Basic, AuthMethods.Post, AuthMethods.None];

    public async Task<Outcome<RegistrationResponse>> RegisterAsync(RegistrationRequest request, Occasion occasion)
    {
        if (ProblemWithRedirectUris(request.RedirectUris) is { } wrongUri)
        {
            return new OAuthError("invalid_redirect_uri", wrongUri);
        }

        if (ProblemWith(request) is { } problem)
        {
            return InvalidMetadata(problem);
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

        return await RegisterAsync(request, [.. request.RedirectUris!.Distinct(StringComparer.Ordinal)!], occasion);
    }

    public static OAuthError InvalidMetadata(string problem) => new("invalid_client_metadata", problem);

    private async Task<RegistrationResponse> RegisterAsync(RegistrationRequest request, string[] redirectUris, Occasion occasion)
    {
        var now = occasion.Now;
        var method = request.TokenEndpointAuthMethod ?? AuthMethods.Basic; // RFC 7591 section 2: the default
        var secret = method == AuthMethods.None ? null : Secret.New();
        var granted = request.Scope is null ? [.. scopes.Names] : Known(request.Scope);
        var client = new Client
        {
            Id = "reg_" + Guid.CreateVersion7(now).ToString("N"),
            Name = NameOf(request.ClientName, redirectUris[0]),
            Kind = Client.SelfRegistered,
            AuthMethods = [method],
            SecretCount = secret is null ? 0 : 1,
            RedirectUris = redirectUris,
            Scopes = granted,
            RequirePkce = true,
            CreatedAt = now,
        };
        await store.RegisterAsync(client, secret is null ? [] : [Sha256.Of(secret)], occasion);
        return new RegistrationResponse
        {
            ClientId = client.Id,
            ClientIdIssuedAt = now.ToUnixTimeSeconds(),
            ClientSecret = secret,
            ClientSecretExpiresAt = secret is null ? null : 0,
            ClientName = client.Name,
            RedirectUris = redirectUris,
            TokenEndpointAuthMethod = method,
            GrantTypes = GrantTypes,
            ResponseTypes = ResponseTypes,
            Scope = string.Join(' ', granted),
        };
    }

    private static string? ProblemWithRedirectUris(string?[]? uris) => uris switch
    {
        null or [] => "redirect_uris is missing: name at least one.",
        { Length: > MaximumRedirectUris } => $"redirect_uris holds more than {MaximumRedirectUris} URIs.",
        _ => uris.Select(ProblemWithRedirectUri).FirstOrDefault(problem => problem is not null),
    };

    private static string? ProblemWithRedirectUri(string? uri) => uri is null
        ? "redirect_uris holds a null."
        : RedirectUri.ProblemWith(uri) ?? (RedirectUri.IsWeb(uri) ? null : $"'{uri}' must use https, or http on a loopback address.");

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
