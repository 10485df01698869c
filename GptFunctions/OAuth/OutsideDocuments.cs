using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>How names are looked up and connections made; tests have their own.</summary>
internal sealed record OutsideNetwork(
    Func<string, CancellationToken, Task<IPAddress[]>> Resolve, Func<IPEndPoint, CancellationToken, Task<Stream>> Connect)
{
    public static OutsideNetwork Real { get; } = new(Dns.GetHostAddressesAsync, ConnectAsync);

    private static async Task<Stream> ConnectAsync(IPEndPoint to, CancellationToken cancellationToken)
    {
        var socket = new Socket(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(to, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}

/// <summary>What came of asking for a document.</summary>
/// <param name="Text">What was read last, up to seven days ago; null when it could not be had in that time.</param>
/// <param name="TriedAt">When its host was asked last, whatever came of it.</param>
/// <param name="Problem">Why it could not be had, as the rest of a sentence that begins with the host.</param>
/// <param name="IsTransient">Whether another try may have another end.</param>
internal sealed record OutsideDocument(
    string? Text, DateTimeOffset ReadAt, DateTimeOffset TriedAt, DateTimeOffset ExpiresAt, string? Problem = null, bool IsTransient = false);

/// <summary>
/// Reads JSON documents at URLs that strangers name (draft-ietf-oauth-client-id-metadata-document 6.5): from public addresses only, of which the one
/// connected to is one that was checked; no redirects, no proxy, few seconds, few bytes; one at a time for each URL, and kept as its headers say.
/// </summary>
internal sealed class OutsideDocuments : IDisposable
{
    public const int OfClient = 5 * 1024; // bytes
    public const int OfKeys = 32 * 1024; // keys may come with their certificates

    /// <summary>How long a document counts that was read and cannot be had any more.</summary>
    public static readonly TimeSpan Outlives = TimeSpan.FromDays(7);

    private const int Capacity = 1000;
    private const int AtOnce = 100;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Shortest = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Longest = TimeSpan.FromHours(24);
    private static readonly TimeSpan OfFailure = TimeSpan.FromSeconds(30);

    private readonly OutsideNetwork network;
    private readonly OAuthSettings settings;
    private readonly TimeProvider clock;
    private readonly HttpClient http;
    private readonly ConcurrentDictionary<string, Lazy<Task<OutsideDocument>>> documents = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim places = new(AtOnce);

    public OutsideDocuments(OutsideNetwork network, IOptions<OAuthSettings> settings, TimeProvider clock)
    {
        (this.network, this.settings, this.clock) = (network, settings.Value, clock);
        http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            ConnectCallback = ConnectAsync,
            PooledConnectionLifetime = TimeSpan.Zero, // each time the name is looked up and checked
            MaxResponseHeadersLength = 16, // KB
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
        http.DefaultRequestHeaders.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        http.DefaultRequestHeaders.UserAgent.ParseAdd("GptFunctions");
    }

    /// <summary>
    /// Whether a document may stand at this URL: https with a path, nothing else than what we would send, and as long as it may be. Written as we
    /// would write it, so that two readers of it cannot disagree: no dot segments, no capitals in the host, no port that goes without saying.
    /// </summary>
    public bool MayBeAt(string url) =>
        url.Length <= 512 && Uri.TryCreate(url, UriKind.Absolute, out var parsed) && parsed.AbsoluteUri == url
        && parsed.AbsolutePath.Length > 1 && url.StartsWith($"{parsed.Scheme}://{parsed.Authority}/", StringComparison.Ordinal)
        && !url.Contains('#', StringComparison.Ordinal)
        && (parsed.Scheme == "https" || (parsed.Scheme == "http" && settings.AllowsLoopbackDocuments && parsed.IsLoopback));

    /// <summary>The document, from memory as long as it is fresh. However many ask, one asks its host.</summary>
    /// <param name="maximumBytes">Beyond it the document is refused.</param>
    /// <param name="olderThan">Ask again although it is fresh, when it was read this long ago: something is not in it.</param>
    public async Task<OutsideDocument> GetAsync(string url, int maximumBytes, TimeSpan? olderThan = null)
    {
        OutsideDocument? before = null;
        if (documents.TryGetValue(url, out var known))
        {
            var document = await known.Value;
            var now = clock.GetUtcNow();
            if (document.ExpiresAt > now && !(now - document.TriedAt >= olderThan))
            {
                return document;
            }

            before = document.Text is not null && document.ReadAt > now - Outlives ? document : null;

            documents.TryRemove(KeyValuePair.Create(url, known));
        }

        if (documents.Count >= Capacity)
        {
            foreach (var (other, _) in documents.Take(Capacity / 10))
            {
                documents.TryRemove(other, out _);
            }
        }

        return await documents.GetOrAdd(url, _ => new(() => ReadAsync(url, maximumBytes, before))).Value;
    }

    public void Dispose()
    {
        http.Dispose();
        places.Dispose();
    }

    private async Task<OutsideDocument> ReadAsync(string url, int maximumBytes, OutsideDocument? before)
    {
        var document = await ReadAsync(url, maximumBytes);
        return document.Text is null && before is not null ? before with { TriedAt = document.TriedAt, ExpiresAt = document.ExpiresAt } : document;
    }

    private async Task<OutsideDocument> ReadAsync(string url, int maximumBytes)
    {
        if (!await places.WaitAsync(TimeSpan.Zero))
        {
            return Failed("was not asked, because too many others are being asked right now");
        }

        try
        {
            using var patience = new CancellationTokenSource(Patience);
            return await FetchAsync(url, maximumBytes, patience.Token);
        }
        catch (OperationCanceledException)
        {
            return Failed($"did not answer within {Patience.TotalSeconds} seconds");
        }
        catch (Exception error) when (error is HttpRequestException or IOException or SocketException)
        {
            return error.GetBaseException() is NotPublicException ? Failed("is not on the public internet", isTransient: false)
                : Failed("does not answer as it should");
        }
        finally
        {
            places.Release();
        }
    }

    private async Task<OutsideDocument> FetchAsync(string url, int maximumBytes, CancellationToken cancellationToken)
    {
        using var response = await http.GetAsync(new Uri(url), HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (response.StatusCode != HttpStatusCode.OK)
        {
            var status = (int)response.StatusCode;
            return Failed($"answers {status}", isTransient: status is 408 or 425 or 429 or >= 500);
        }

        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        var bytes = new byte[maximumBytes + 1];
        var length = await body.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellationToken);
        var now = clock.GetUtcNow();
        return length > maximumBytes
            ? Failed($"answers with more than {maximumBytes / 1024} KB", isTransient: false)
            : new OutsideDocument(Encoding.UTF8.GetString(bytes, 0, length), now, now, now + Freshness(response, now));
    }

    private OutsideDocument Failed(string problem, bool isTransient = true) =>
        new(null, clock.GetUtcNow(), clock.GetUtcNow(), clock.GetUtcNow() + OfFailure, problem, isTransient);

    // RFC 9111 4.2.1, within bounds
    private static TimeSpan Freshness(HttpResponseMessage response, DateTimeOffset now)
    {
        var control = response.Headers.CacheControl;
        var named = control is { NoStore: true } or { NoCache: true } ? TimeSpan.Zero
            : (
                control?.MaxAge ?? (response.Content.Headers.Expires - (response.Headers.Date ?? now)) ?? TimeSpan.Zero) - (response.Headers.Age
                    ?? TimeSpan.Zero);
        return named < Shortest ? Shortest : named > Longest ? Longest : named;
    }

    /// <summary>
    /// Looks the name up once, checks every address that it has, and connects to one of those: nobody can answer differently the second time.
    /// </summary>
    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var (host, port) = (context.DnsEndPoint.Host, context.DnsEndPoint.Port);
        var addresses = IPAddress.TryParse(host, out var literal) ? [literal] : await network.Resolve(host, cancellationToken);
        if (addresses.Length == 0 || !Array.TrueForAll(addresses, MayBe))
        {
            throw new NotPublicException();
        }

        for (var index = 0; ; index++)
        {
            try
            {
                return await network.Connect(new IPEndPoint(addresses[index], port), cancellationToken);
            }
            catch (SocketException) when (index < addresses.Length - 1)
            {
                // The next one may be there.
            }
        }
    }

    private bool MayBe(IPAddress address) =>
        PublicAddresses.IsPublic(address)
            || (settings.AllowsLoopbackDocuments && (address.Equals(IPAddress.Loopback) || address.Equals(IPAddress.IPv6Loopback)));

    private sealed class NotPublicException : IOException;
}
