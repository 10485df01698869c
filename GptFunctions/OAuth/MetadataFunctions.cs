using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>RFC 8414 section 2. Only what works is advertised, and all that works is.</summary>
internal sealed record ServerMetadata
{
    public required string Issuer { get; init; }
    public required string AuthorizationEndpoint { get; init; }
    public required string TokenEndpoint { get; init; }
    public required string RevocationEndpoint { get; init; }
    public required string IntrospectionEndpoint { get; init; }
    public string? RegistrationEndpoint { get; init; }
    public required string JwksUri { get; init; }
    public required IReadOnlyList<string> ScopesSupported { get; init; }
    public required string[] ResponseTypesSupported { get; init; }
    public required string[] ResponseModesSupported { get; init; }
    public required string[] GrantTypesSupported { get; init; }
    public required string[] CodeChallengeMethodsSupported { get; init; }
    public required string[] TokenEndpointAuthMethodsSupported { get; init; }
    public required string[] RevocationEndpointAuthMethodsSupported { get; init; }
    public required string[] IntrospectionEndpointAuthMethodsSupported { get; init; }
    public required string[] TokenEndpointAuthSigningAlgValuesSupported { get; init; }
    public required string[] RevocationEndpointAuthSigningAlgValuesSupported { get; init; }
    public required string[] IntrospectionEndpointAuthSigningAlgValuesSupported { get; init; }
    public required bool AuthorizationResponseIssParameterSupported { get; init; }

    /// <summary>draft-ietf-oauth-client-id-metadata-document 5.</summary>
    public required bool ClientIdMetadataDocumentSupported { get; init; }
}

/// <summary>RFC 9728 section 2.</summary>
internal sealed record ResourceMetadata(
    string Resource, string? ResourceName, string[] AuthorizationServers, IReadOnlyList<string> ScopesSupported, string[] BearerMethodsSupported,
    string JwksUri);

/// <summary>RFC 7517.</summary>
internal sealed record KeySet(PublicKey[] Keys);

internal sealed record PublicKey(string Kty, string Crv, string X, string Y, string Kid, string Use, string Alg);

/// <summary>The documents by which clients find their way.</summary>
internal sealed class MetadataFunctions(
    IOptions<TokenSettings> tokens, IOptions<OAuthSettings> settings, ScopeCatalog scopes, ProtectedResources resources, SigningKeys keys)
{
    // OpenID Connect Core 11: how some hosts ask for a refresh token. Everybody gets one here, so it is taken and grants nothing; no resource asks for it.
    private const string OfflineAccess = "offline_access";
    private const string ResourcePath = "/.well-known/oauth-protected-resource";
    private static readonly string[] SecretMethods = [AuthMethods.Basic, AuthMethods.Post];
    private static readonly string[] ProvingMethods = [.. SecretMethods, AuthMethods.PrivateKeyJwt];
    private static readonly string[] AllMethods = [.. SecretMethods, AuthMethods.None, AuthMethods.PrivateKeyJwt];

    private string BaseUrl => tokens.Value.PublicBaseUrl!;

    // RFC 8414 3.1: clients may put the issuer's or the resource's path behind the well-known part.
    [Function("WellKnownAuthorizationServer")]
    public IResult AuthorizationServer(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", "options", Route = ".well-known/oauth-authorization-server/{*path}")] HttpRequest request) =>
        Document(request, new ServerMetadata
        {
            Issuer = BaseUrl,
            AuthorizationEndpoint = BaseUrl + "/oauth/authorize",
            TokenEndpoint = BaseUrl + "/oauth/token",
            RevocationEndpoint = BaseUrl + "/oauth/revoke",
            IntrospectionEndpoint = BaseUrl + "/oauth/introspect",
            RegistrationEndpoint = settings.Value.AllowsRegistration ? BaseUrl + "/oauth/register" : null,
            JwksUri = BaseUrl + "/.well-known/jwks.json",
            ScopesSupported = [.. scopes.Names.Union([OfflineAccess], StringComparer.Ordinal)],
            ResponseTypesSupported = ["code"],
            ResponseModesSupported = ["query"],
            GrantTypesSupported = ["authorization_code", "refresh_token"],
            CodeChallengeMethodsSupported = ["S256"],
            TokenEndpointAuthMethodsSupported = AllMethods,
            RevocationEndpointAuthMethodsSupported = AllMethods,
            IntrospectionEndpointAuthMethodsSupported = ProvingMethods,
            TokenEndpointAuthSigningAlgValuesSupported = ClientKeys.Algorithms,
            RevocationEndpointAuthSigningAlgValuesSupported = ClientKeys.Algorithms,
            IntrospectionEndpointAuthSigningAlgValuesSupported = ClientKeys.Algorithms,
            ClientIdMetadataDocumentSupported = settings.Value.AllowsDocuments,
            AuthorizationResponseIssParameterSupported = true,
        }, OAuthJson.Default.ServerMetadata);

    [Function("WellKnownProtectedResource")]
    public IResult ProtectedResource(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", "options", Route = ".well-known/oauth-protected-resource/{*path}")] HttpRequest request) =>
        Find(request) is { } resource
            ? Document(
                request, new ResourceMetadata(
                    resource.Url, resource.Name, [BaseUrl], resource.Scopes, ["header"], BaseUrl + "/.well-known/jwks.json"),
                OAuthJson.Default.ResourceMetadata)
            : NoResource(request);

    [Function("WellKnownJwks")]
    public IResult Jwks([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", "options", Route = ".well-known/jwks.json")] HttpRequest request) =>
        Document(
            request, new KeySet([.. keys.All.Select(key => new PublicKey("EC", "P-256", key.X, key.Y, key.KeyId, "sig", "ES256"))]), OAuthJson.Default.KeySet);

    // RFC 9728 3.3: a client insists on the resource that it asked for. Without a path it is the gateway.
    private ProtectedResource? Find(HttpRequest request) =>
        request.Path.Value![ResourcePath.Length..] is { Length: > 1 } path ? resources.Find(path) : resources.Gateway;

    private IResult NoResource(HttpRequest request)
    {
        Cors.Allow(request);
        return Problem.Refuse(
            request.HttpContext, RefusalReason.NotFound, StatusCodes.Status404NotFound, "No such resource",
            $"There are {string.Join(" and ", resources.All.Select(resource => resource.Url))}.");
    }

    private static IResult Document<T>(HttpRequest request, T document, JsonTypeInfo<T> type)
    {
        if (HttpMethods.IsOptions(request.Method))
        {
            return Cors.Preflight(request, "GET, HEAD");
        }

        Cors.Allow(request);
        var body = JsonSerializer.SerializeToUtf8Bytes(document, type);
        var tag = $"\"{Convert.ToHexStringLower(SHA256.HashData(body).AsSpan(0, 16))}\"";
        var headers = request.HttpContext.Response.Headers;
        headers.CacheControl = "public, max-age=300";
        headers.ETag = tag;
        return request.Headers.IfNoneMatch.ToString().Split(',', StringSplitOptions.TrimEntries)
            .Any(known => known == tag || known == "W/" + tag || known == "*")
            ? Results.StatusCode(StatusCodes.Status304NotModified)
            : Results.Bytes(body, "application/json");
    }
}
