using System.Text;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace GptFunctions.Identity;

/// <summary>The identity provider: what it publishes of itself, and the tokens that it signs.</summary>
internal sealed class OpenIdProvider : IDisposable
{
    private const int MinimumRsaBits = 2048;
    private const int MaximumBytes = 256 * 1024;
    private static readonly TimeSpan ConfigurationFreshness = TimeSpan.FromHours(24);
    private static readonly TimeSpan KeyFreshness = TimeSpan.FromHours(1);
    private static readonly JsonWebTokenHandler Handler = new();
    private readonly TimeProvider clock;
    private readonly string issuer;
    private readonly ProviderDocument<OpenIdConnectConfiguration> configuration;
    private readonly ProviderDocument<SecurityKey[]> sessionKeys;
    private ProviderDocument<SecurityKey[]>? idTokenKeys;

    public OpenIdProvider(IOptions<ClerkSettings> settings, TimeProvider clock)
    {
        this.clock = clock;
        issuer = settings.Value.Issuer!;
        var address = issuer.TrimEnd('/');
        configuration = new(Http, new Uri(address + "/.well-known/openid-configuration"), ParseConfiguration, clock);
        sessionKeys = KeysAt(address + "/.well-known/jwks.json"); // where Clerk documents them
    }

    /// <summary>For every call to the provider: short time-out, no redirects followed, small answers only.</summary>
    public HttpClient Http { get; } = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
    })
    {
        Timeout = TimeSpan.FromSeconds(5),
        MaxResponseContentBufferSize = MaximumBytes,
    };

    /// <summary>Its discovery document, which names at least the endpoints of a sign-in and the keys.</summary>
    /// <exception cref="ServiceOutageException">The provider cannot be reached, or its document is not usable.</exception>
    public Task<OpenIdConnectConfiguration> ReadConfigurationAsync() => configuration.GetAsync(ConfigurationFreshness);

    /// <summary>A Clerk session JWT whose signature is the provider's; its claims are not checked. Null for anything else.</summary>
    /// <exception cref="ServiceOutageException">No key is known and the provider cannot be reached.</exception>
    public Task<Jwt?> VerifySessionAsync(string token) => VerifyAsync(token, sessionKeys, "RS256");

    /// <summary>The same for an ID token.</summary>
    /// <exception cref="ServiceOutageException">No key is known and the provider cannot be reached.</exception>
    public async Task<Jwt?> VerifyIdTokenAsync(string token)
    {
        await ReadConfigurationAsync();
        return await VerifyAsync(token, idTokenKeys!, "RS256", "ES256");
    }

    /// <summary>Reads what a sign-in needs, whatever is known already, and remembers nothing.</summary>
    /// <returns>How many keys there are for session tokens and for ID tokens that can be used.</returns>
    /// <exception cref="ServiceOutageException">The provider cannot be reached, or a document is not usable.</exception>
    public async Task<(int SessionKeys, int IdTokenKeys)> ProbeAsync(CancellationToken cancellationToken)
    {
        async Task<int> CountAsync(Uri url) => (await ProviderDocument.ReadAsync(Http, url, ParseKeys, cancellationToken)).Length;
        var ofSessions = CountAsync(sessionKeys.Url);
        var found = ProviderDocument.ReadAsync(Http, configuration.Url, Check, cancellationToken);
        await Task.WhenAll(ofSessions, found);
        return (await ofSessions, await CountAsync(new Uri((await found).JwksUri)));
    }

    public void Dispose()
    {
        Http.Dispose();
        configuration.Dispose();
        sessionKeys.Dispose();
        idTokenKeys?.Dispose();
    }

    // The library verifies, and our own reader reads: the library takes a number for a subject, a text for a time, an extension that it does
    // not know (crit) and anything behind the claims; and it refuses a token for half a surrogate pair in a display name.
    private static async Task<Jwt?> VerifyAsync(string token, ProviderDocument<SecurityKey[]> keys, params string[] algorithms)
    {
        if (Jwt.Parse(token) is not { KeyId: { } keyId } jwt || !algorithms.Contains(jwt.Algorithm) || await FindAsync(keys, keyId) is not { } key)
        {
            return null;
        }

        var result = await Handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            IssuerSigningKey = key,
            TryAllIssuerSigningKeys = false,
            ValidAlgorithms = algorithms,
            ValidateIssuer = false,
            ValidateAudience = false,
            ValidateLifetime = false,
            TryReadJwtClaim = static (ref reader, _, _, out value) =>
            {
                reader.Skip();
                value = null!;
                return true;
            },
        });
        return result.IsValid ? jwt : null;
    }

    private static async Task<SecurityKey?> FindAsync(ProviderDocument<SecurityKey[]> keys, string keyId)
    {
        bool IsNamed(SecurityKey key) => key.KeyId == keyId;
        return Array.FindLast(await keys.GetAsync(KeyFreshness), IsNamed)
            // The provider may have a new key; forged key ids cannot make us hammer it.
            ?? Array.FindLast(await keys.GetAsync(ProviderDocument<SecurityKey[]>.MinimumInterval), IsNamed);
    }

    private ProviderDocument<SecurityKey[]> KeysAt(string url) => new(Http, new Uri(url), ParseKeys, clock);

    private static SecurityKey[] ParseKeys(string json)
    {
        var keys = JsonWebKeySet.Create(json);
        return keys.Keys.Count > 0
            ? [.. keys.GetSigningKeys().Where(key => key is RsaSecurityKey { KeySize: >= MinimumRsaBits } or ECDsaSecurityKey { KeySize: 256 })]
            : throw new FormatException("it has no keys.");
    }

    private OpenIdConnectConfiguration ParseConfiguration(string json)
    {
        var read = Check(json);
        if (idTokenKeys?.Url.OriginalString != read.JwksUri) // what is known of the keys outlives a new reading of this document
        {
            idTokenKeys = KeysAt(read.JwksUri);
        }

        return read;
    }

    private OpenIdConnectConfiguration Check(string json)
    {
        var read = OpenIdConnectConfiguration.Create(json);
        if (read.Issuer != issuer) // OpenID Connect Discovery 4.3: it must be the one that was asked
        {
            throw new FormatException("it names another issuer than CLERK_ISSUER.");
        }

        if (!IsWebAddress(read.AuthorizationEndpoint) || !IsWebAddress(read.TokenEndpoint) || !IsWebAddress(read.JwksUri))
        {
            throw new FormatException("it lacks an endpoint.");
        }

        return read;
    }

    // The scheme is asked for because a path alone is an absolute file: URL on Unix.
    public static bool IsWebAddress(string? text) => Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "https" or "http";
}

/// <summary>
/// A document that the identity provider publishes, read when first needed and kept. There is one read at a time, and everybody who waited for it
/// shares its outcome. When a read fails, what is known goes on, and nobody tries again for <see cref="MinimumInterval"/>: an absent provider must
/// not slow us down. (The library's own ConfigurationManager lets everybody wait in a queue for a provider that is away, refuses the first token of
/// a new key, and takes its time from the system's clock.)
/// </summary>
/// <param name="parse">Throws <see cref="ArgumentException"/> or <see cref="FormatException"/> when the text is not what it should be.</param>
internal sealed class ProviderDocument<T>(HttpClient http, Uri url, Func<string, T> parse, TimeProvider clock) : IDisposable
    where T : class
{
    public static readonly TimeSpan MinimumInterval = TimeSpan.FromSeconds(30);

    private readonly SemaphoreSlim turn = new(1, 1);
    private Reading? known;
    private DateTimeOffset triedAt = DateTimeOffset.MinValue;
    private ServiceOutageException? failure;

    private sealed record Reading(T Value, DateTimeOffset At);

    public Uri Url => url;

    /// <summary>What is known, if possible not older than <paramref name="maximumAge"/>.</summary>
    /// <exception cref="ServiceOutageException">Nothing is known, and the provider cannot be reached or says nothing usable.</exception>
    public async Task<T> GetAsync(TimeSpan maximumAge)
    {
        var asked = clock.GetUtcNow();
        if (known is { } current && asked - current.At < maximumAge)
        {
            return current.Value;
        }

        await turn.WaitAsync();
        try
        {
            if (MayTry(asked, maximumAge))
            {
                await TryAsync();
            }

            return known?.Value ?? throw new ServiceOutageException(failure!.Message, failure);
        }
        finally
        {
            turn.Release();
        }
    }

    public void Dispose() => turn.Dispose();

    private bool MayTry(DateTimeOffset asked, TimeSpan maximumAge) => known is null
        ? triedAt < asked // otherwise somebody tried, and failed, while this caller waited
        : asked - known.At >= maximumAge && asked - triedAt >= MinimumInterval;

    private async Task TryAsync()
    {
        try
        {
            known = new Reading(await ProviderDocument.ReadAsync(http, url, parse, CancellationToken.None), clock.GetUtcNow());
        }
        catch (ServiceOutageException error)
        {
            failure = error;
        }

        triedAt = clock.GetUtcNow();
    }
}

internal static class ProviderDocument
{
    /// <param name="parse">Throws <see cref="ArgumentException"/> or <see cref="FormatException"/> when the text is not what it should be.</param>
    /// <exception cref="ServiceOutageException">The provider cannot be reached or says nothing usable.</exception>
    public static async Task<T> ReadAsync<T>(HttpClient http, Uri url, Func<string, T> parse, CancellationToken cancellationToken)
    {
        var address = url.GetLeftPart(UriPartial.Path);
        try
        {
            using var response = await http.GetAsync(url, cancellationToken);
            response.EnsureSuccessStatusCode();
            return parse(Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync(cancellationToken)));
        }
        catch (Exception error) when (error is HttpRequestException or TaskCanceledException)
        {
            throw new ServiceOutageException($"The identity provider does not answer at {address}.", error);
        }
        catch (Exception error) when (error is ArgumentException or FormatException)
        {
            throw new ServiceOutageException($"What the identity provider publishes at {address} cannot be used: {error.Message}", error);
        }
    }
}
