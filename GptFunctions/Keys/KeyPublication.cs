using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace GptFunctions.Keys;

/// <summary>
/// Tells the other replicas which keys stand in the key set of this process and which one signs, and learns from them since when each has been published:
/// before the first request, whenever a file or the signer changes, and every minute.
/// </summary>
internal sealed partial class KeyPublication(
    KeyStore store, SigningKeys keys, IOptions<TokenSettings> settings, TimeProvider clock, ILogger<KeyPublication> logger) : SteadyService(logger)
{
    private static readonly TimeSpan LongestInterval = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan ShortestInterval = TimeSpan.FromSeconds(1);
    private readonly SemaphoreSlim changed = new(0);
    private bool isKnown;
    private string? signer;

    private TimeSpan LongEnough => TimeSpan.FromSeconds(settings.Value.KeyPublishSeconds);

    /// <summary>How often it reports: often enough that a key which some replica has never seems to be gone.</summary>
    public static TimeSpan IntervalOf(TimeSpan longEnough) => longEnough == TimeSpan.Zero
        ? LongestInterval
        : TimeSpan.FromTicks(Math.Clamp((longEnough / 4).Ticks, ShortestInterval.Ticks, LongestInterval.Ticks));

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        keys.Changed += Wake;
        await TryReportAsync(); // without the database nothing is signed that matters: requests fail for it
        await base.StartAsync(cancellationToken);
    }

    public override void Dispose()
    {
        keys.Changed -= Wake;
        changed.Dispose();
        base.Dispose();
    }

    protected override async Task<bool> StepAsync(CancellationToken stoppingToken)
    {
        var wait = !await TryReportAsync() ? ShortestInterval : keys.Current.KeyId != signer ? TimeSpan.Zero : IntervalOf(LongEnough);
        var untilTurn = keys.Until - clock.GetUtcNow();
        await changed.WaitAsync(untilTurn > TimeSpan.Zero && untilTurn < wait ? untilTurn : wait, stoppingToken);
        while (changed.Wait(0, stoppingToken))
        {
            // However many files have changed, one report tells of all.
        }

        return true;
    }

    private void Wake(object? sender, EventArgs args) => changed.Release();

    private async Task<bool> TryReportAsync()
    {
        try
        {
            await ReportAsync();
            return true;
        }
        catch (NpgsqlException)
        {
            // The database is away, which others say, or has no such table yet: what is known stays in force. Of several keys the last one signs.
            return false;
        }
    }

    private async Task ReportAsync()
    {
        // Which of several keys signs, the first answer tells.
        var (now, all) = (isKnown ? keys.Current.KeyId : null, keys.All);
        var hasTurned = signer is not null && now != signer;
        var state = await store.ReportAsync(
            new KeyReport(
                [.. all.Select(key => key.KeyId)], now, [.. new[] { signer, now }.OfType<string>().Distinct(StringComparer.Ordinal)], hasTurned,
                IntervalOf(LongEnough), LongEnough),
            Occasion.OfCommand(clock.GetUtcNow(), "key_publication"));
        // By the clock of this process, whatever it says: what counts is how long ago it was.
        var ahead = clock.GetUtcNow() - state.Now;
        keys.Choose(state.Keys.ToDictionary(key => key.KeyId, key => key.PublishedAt + ahead, StringComparer.Ordinal));
        if (state.TookOverFrom is not null)
        {
            LogTurned(now!, state.TookOverFrom);
        }

        (isKnown, signer) = (true, now);
    }

    [LoggerMessage(2050, LogLevel.Information, "The key {KeyId} signs from now on; before, it was {PreviousKeyId}")]
    private partial void LogTurned(string keyId, string previousKeyId);
}
