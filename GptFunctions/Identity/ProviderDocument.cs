using System.Text;
using GptFunctions.Hosting;

namespace GptFunctions.Identity;

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
        var address = url.GetLeftPart(UriPartial.Path);
        try
        {
            using var response = await http.GetAsync(url);
            response.EnsureSuccessStatusCode();
            known = new Reading(parse(Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync())), clock.GetUtcNow());
        }
        catch (Exception error) when (error is HttpRequestException or TaskCanceledException)
        {
            failure = new ServiceOutageException($"The identity provider does not answer at {address}.", error);
        }
        catch (Exception error) when (error is ArgumentException or FormatException)
        {
            failure = new ServiceOutageException($"What the identity provider publishes at {address} cannot be used: {error.Message}", error);
        }

        triedAt = clock.GetUtcNow();
    }
}
