using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace GptFunctions.Tests.Support;

/// <summary>Adds up what a counter counts while a test runs: of all apps of this process, or of the one whose meter is given.</summary>
internal sealed class MeterReading : IDisposable
{
    private readonly MeterListener listener = new();
    private readonly ConcurrentDictionary<string, long> totals = new(StringComparer.Ordinal);

    public MeterReading(string meter, string instrument)
        : this(found => found.Meter.Name == meter && found.Name == instrument)
    {
    }

    public MeterReading(Meter meter, string? instrument = null)
        : this(found => found.Meter == meter && (instrument is null || found.Name == instrument))
    {
    }

    private MeterReading(Func<Instrument, bool> isMeant)
    {
        listener.InstrumentPublished = (found, listening) =>
        {
            if (isMeant(found))
            {
                listening.EnableMeasurementEvents(found);
            }
        };
        listener.SetMeasurementEventCallback<long>(
            (instrument, value, tags, _) => totals.AddOrUpdate(RunMeters.Series(instrument, tags), value, (_, before) => before + value));
        listener.SetMeasurementEventCallback<double>(
            (instrument, _, tags, _) => totals.AddOrUpdate(RunMeters.Series(instrument, tags), 1, (_, before) => before + 1));
        listener.Start();
    }

    public long Total => totals.Values.Sum();

    /// <summary>By series: <c>name{label=value,...}</c>, labels in the order of their names. Of a histogram, how often it was recorded.</summary>
    public IReadOnlyDictionary<string, long> Series => totals;

    public void Dispose() => listener.Dispose();
}
