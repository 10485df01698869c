namespace GptFunctions.Data;

/// <summary>
/// The time of the whole app: the database's, as last measured, plus what the monotonic clock says has passed since. So replicas agree about
/// what is over, whatever their own clocks say. Before the first measurement, which /ready makes, it is the system's.
/// </summary>
/// <param name="system">The clock of this process.</param>
internal sealed class DatabaseClock(TimeProvider system) : TimeProvider
{
    private const double Drift = 0.0002; // two clocks of computers part by less than this share of the time that passes
    private static readonly TimeSpan LongestRoundTrip = TimeSpan.FromSeconds(1); // a longer one says too little
    private volatile Measurement? last;

    private sealed record Measurement(DateTimeOffset At, long Timestamp, TimeSpan Uncertainty);

    public override long TimestampFrequency => system.TimestampFrequency;

    public override TimeZoneInfo LocalTimeZone => system.LocalTimeZone;

    /// <summary>How far the clock of this process is ahead of the database's; zero as long as nobody knows.</summary>
    public TimeSpan SystemIsAhead => system.GetUtcNow() - GetUtcNow();

    public override DateTimeOffset GetUtcNow() => last is { } known ? known.At + system.GetElapsedTime(known.Timestamp) : system.GetUtcNow();

    public override long GetTimestamp() => system.GetTimestamp();

    /// <summary>
    /// Takes note of what the database said between two timestamps. The surer measurement counts; the newer one when they contradict each other.
    /// </summary>
    public void Note(DateTimeOffset databaseTime, long asked, long answered)
    {
        var roundTrip = system.GetElapsedTime(asked, answered);
        if (roundTrip > LongestRoundTrip)
        {
            return;
        }

        var fresh = new Measurement(databaseTime, asked + ((answered - asked) / 2), roundTrip / 2);
        if (last is { } known)
        {
            var passed = system.GetElapsedTime(known.Timestamp, fresh.Timestamp);
            var doubt = known.Uncertainty + (passed * Drift);
            if (fresh.Uncertainty > doubt && (known.At + passed - fresh.At).Duration() <= doubt + fresh.Uncertainty)
            {
                return;
            }
        }

        last = fresh;
    }
}
