using GptFunctions.Hosting;

namespace GptFunctions.Identity;

/// <summary>
/// Something read from the identity provider and kept. There is one read at a time, and everybody who waited for it shares its outcome.
/// When a read fails, what is known goes on, and nobody tries again for <see cref="MinimumInterval"/>: an absent provider must not slow us down.
/// </summary>
internal sealed class KeptDocument<T>(Func<Task<T>> read, TimeProvider clock) : IDisposable
    where T : class
{
    public static readonly TimeSpan MinimumInterval = TimeSpan.FromSeconds(30);

    private readonly SemaphoreSlim turn = new(1, 1);
    private Reading? known;
    private DateTimeOffset triedAt = DateTimeOffset.MinValue;
    private ServiceOutageException? failure;

    private sealed record Reading(T Value, DateTimeOffset At);

    /// <summary>What is known, if possible not older than <paramref name="maximumAge"/>.</summary>
    /// <exception cref="ServiceOutageException">Nothing is known, and the provider cannot be reached.</exception>
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
            known = new Reading(await read(), clock.GetUtcNow());
        }
        catch (ServiceOutageException outage)
        {
            failure = outage;
        }

        triedAt = clock.GetUtcNow();
    }
}
