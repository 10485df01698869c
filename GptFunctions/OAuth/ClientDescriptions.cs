using System.Text.Json;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>What a client says of itself (RFC 7591 section 2), when it registers or in a document. What is not here is ignored.</summary>
internal sealed record RegistrationRequest(
    string?[]? RedirectUris, string? ClientName, string? TokenEndpointAuthMethod, string?[]? GrantTypes, string?[]? ResponseTypes, string? Scope,
    string? ApplicationType, JsonElement? Jwks, string? JwksUri);

/// <summary>The rules for what a client says of itself.</summary>
internal sealed class ClientDescriptions(ScopeCatalog scopes, OutsideDocuments documents, IOptions<OAuthSettings> settings)
{
    // OpenID Connect Dynamic Client Registration 1.0, section 2
    private const string Web = "web";
    private const string Native = "native";

    /// <summary>
    /// Those that may be registered; a sentence when there are none. The rest is left out, and the answer says so (RFC 7591 3.2.1): hosts name all
    /// that they might use, some of it in forms that not everybody takes.
    /// </summary>
    public (string[] Uris, string? Problem) GoodRedirectUris(RegistrationRequest request, int maximum)
    {
        if (request.RedirectUris is not { Length: > 0 } uris || uris.Length > maximum)
        {
            return ([], request.RedirectUris is null or []
                ? "redirect_uris is missing: name at least one."
                : $"redirect_uris holds more than {maximum} URIs.");
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

    /// <summary>What is wrong with the rest of a description, as a sentence.</summary>
    public string? ProblemWith(RegistrationRequest request) => request switch
    {
        { GrantTypes: { } grants } when !grants.Contains("authorization_code") =>
            "grant_types must hold authorization_code: there is no other way to begin.",
        { ResponseTypes: { } responses } when !responses.Contains("code") => "response_types must hold code.",
        { ClientName: { } name } when DisplayText.Clean(name).Length > DisplayText.MaximumName =>
            $"client_name is longer than {DisplayText.MaximumName} characters.",
        { Scope: { } scope } when ScopeCatalog.Split(scope).Length > 0 && Known(scope).Length == 0 =>
            $"scope holds none of the scopes that exist: {string.Join(' ', scopes.Names)}.",
        _ => null,
    };

    private string[] Known(string scope) => [.. ScopeCatalog.Split(scope).Intersect(scopes.Names, StringComparer.Ordinal)];

    /// <summary>What people read: its name without what they would not see, or else where it is.</summary>
    public static string NameOf(RegistrationRequest request, string host) =>
        DisplayText.Clean(request.ClientName ?? "") is { Length: > 0 } clean ? clean : host;

    /// <summary>The scopes that it names; null: all there are. Blank counts as omitted, which some hosts send.</summary>
    public string[]? DefaultScopes(RegistrationRequest request) => Known(request.Scope ?? "") is { Length: > 0 } known ? known : null;

    /// <summary>What follows from the URIs.</summary>
    public static string ApplicationTypeOf(string[] redirectUris) => redirectUris.All(IsHttps) ? Web : Native;

    /// <summary>What is wrong with the keys of a client that signs, as a sentence.</summary>
    public string? ProblemWithKeys(RegistrationRequest request) => request switch
    {
        { Jwks: null, JwksUri: null } => "private_key_jwt needs jwks or jwks_uri.",
        { Jwks: not null, JwksUri: not null } => "jwks and jwks_uri exclude each other (RFC 7591 section 2).",
        { JwksUri: { } uri } => documents.MayBeAt(uri) ? null : "jwks_uri must be an https URL.",
        { Jwks: { } keys } => ClientKeys.ProblemWith(keys.GetRawText()),
        _ => null,
    };
}
