using System.Text.Json;
using GptFunctions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.Identity;

/// <summary>What OpenID Connect Discovery tells of the provider.</summary>
internal sealed record ProviderMetadata(Uri AuthorizationEndpoint, Uri TokenEndpoint, JsonWebKeys Keys, bool PrefersPost);

/// <summary>The identity provider: its discovery document and its keys, read once and kept.</summary>
internal sealed class OpenIdProvider : IDisposable
{
    private static readonly TimeSpan Freshness = TimeSpan.FromHours(24);
    private readonly TimeProvider clock;
    private readonly string issuer;
    private readonly KeptDocument<ProviderMetadata> metadata;
    private JsonWebKeys? idTokenKeys;

    public OpenIdProvider(HttpClient http, IOptions<ClerkSettings> settings, TimeProvider clock)
    {
        Http = http;
        this.clock = clock;
        issuer = settings.Value.Issuer!;
        metadata = new(FetchAsync, clock);
        SessionKeys = new JsonWebKeys(http, new Uri(issuer.TrimEnd('/') + "/.well-known/jwks.json"), clock);
    }

    public HttpClient Http { get; }

    /// <summary>The keys of Clerk's session JWTs, at the fixed address that Clerk documents.</summary>
    public JsonWebKeys SessionKeys { get; }

    /// <exception cref="ServiceOutageException">The provider cannot be reached, or its document is not usable.</exception>
    public Task<ProviderMetadata> ReadMetadataAsync() => metadata.GetAsync(Freshness);

    public void Dispose()
    {
        SessionKeys.Dispose();
        idTokenKeys?.Dispose();
        metadata.Dispose();
    }

    private async Task<ProviderMetadata> FetchAsync()
    {
        using var document = await Http.ReadJsonAsync(new Uri(issuer.TrimEnd('/') + "/.well-known/openid-configuration"));
        var root = document.RootElement;
        try
        {
            // OpenID Connect Discovery 4.3: the issuer must be the one that was asked.
            if (root.GetProperty("issuer").GetString() != issuer)
            {
                throw new ServiceOutageException("The identity provider's discovery document names another issuer than CLERK_ISSUER.");
            }

            var methods = root.TryGetProperty("token_endpoint_auth_methods_supported", out var listed) ? [.. listed.EnumerateArray().Select(method => method.GetString())] : new List<string?>();
            return new ProviderMetadata(
                Endpoint(root, "authorization_endpoint"),
                Endpoint(root, "token_endpoint"),
                KeysAt(Endpoint(root, "jwks_uri")),
                PrefersPost: methods.Count > 0 && !methods.Contains("client_secret_basic"));
        }
        catch (Exception error) when (error is KeyNotFoundException or InvalidOperationException or UriFormatException or ArgumentNullException)
        {
            throw new ServiceOutageException("The identity provider's discovery document lacks an endpoint.", error);
        }
    }

    // The scheme is asked for because a path alone is an absolute file: URL on Unix.
    private static Uri Endpoint(JsonElement discovery, string name) =>
        new Uri(discovery.GetProperty(name).GetString()!) is { Scheme: "https" or "http" } url ? url : throw new UriFormatException($"{name} is not a web address.");

    // What is known of the keys outlives a new reading of the discovery document.
    private JsonWebKeys KeysAt(Uri url) => idTokenKeys = idTokenKeys?.Url == url ? idTokenKeys : new JsonWebKeys(Http, url, clock);
}

internal static class ProviderHttp
{
    private const int MaximumBytes = 256 * 1024;

    /// <summary>For every call to the provider: short time-out, no redirects followed, small answers only.</summary>
    public static HttpClient CreateClient() => new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, PooledConnectionLifetime = TimeSpan.FromMinutes(5) })
    {
        Timeout = TimeSpan.FromSeconds(5),
        MaxResponseContentBufferSize = MaximumBytes,
    };

    /// <exception cref="ServiceOutageException">No answer in time, a status other than 200, or no JSON.</exception>
    public static async Task<JsonDocument> ReadJsonAsync(this HttpClient http, Uri url)
    {
        try
        {
            using var response = await http.GetAsync(url);
            response.EnsureSuccessStatusCode();
            return JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync());
        }
        catch (Exception error) when (error is HttpRequestException or JsonException or TaskCanceledException)
        {
            throw new ServiceOutageException($"The identity provider does not answer at {url.GetLeftPart(UriPartial.Path)}.", error);
        }
    }
}
