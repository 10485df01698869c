using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;

namespace GptFunctions.Tests.Support;

/// <summary>Every series that the meters of all apps of this test run have had, from the first test to the last.</summary>
internal static class RunMeters
{
    private static readonly MeterListener Listener = new();
    private static readonly ConcurrentDictionary<RunSeries, byte> Seen = new();

    public static ICollection<RunSeries> All => Seen.Keys;

    /// <summary><c>name{label=value,...}</c>, labels in the order of their names.</summary>
    public static string Series(Instrument instrument, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var labels = tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}").Order(StringComparer.Ordinal);
        return $"{instrument.Name}{{{string.Join(',', labels)}}}";
    }

    /// <summary>Reads the gauges, which nobody records.</summary>
    public static void Observe() => Listener.RecordObservableInstruments();

    /// <summary>Reads it no more: for a test of what is done while nobody reads.</summary>
    public static void Leave(Instrument instrument) => Listener.DisableMeasurementEvents(instrument);

    // Before any test: what is counted at the start of the first app counts, too.
    [ModuleInitializer]
    internal static void Begin()
    {
        Listener.InstrumentPublished = (instrument, listening) =>
        {
            if (instrument.Meter.Name.StartsWith("GptFunctions.", StringComparison.Ordinal))
            {
                listening.EnableMeasurementEvents(instrument);
            }
        };
        Listener.SetMeasurementEventCallback<long>((instrument, _, tags, _) => Note(instrument, tags));
        Listener.SetMeasurementEventCallback<int>((instrument, _, tags, _) => Note(instrument, tags));
        Listener.SetMeasurementEventCallback<double>((instrument, _, tags, _) => Note(instrument, tags));
        Listener.Start();
    }

    private static void Note(Instrument instrument, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
        Seen.TryAdd(new RunSeries(RuntimeHelpers.GetHashCode(instrument.Meter), instrument.Name, Series(instrument, tags)), 0);
}

/// <summary>One series of one app.</summary>
/// <param name="App">Tells apps apart: their meters are objects of their own.</param>
/// <param name="Text">As <see cref="RunMeters.Series"/> writes it.</param>
internal sealed record RunSeries(int App, string Instrument, string Text)
{
    public IEnumerable<(string Label, string Value)> Labels => Text[(Instrument.Length + 1)..^1].Split(',', StringSplitOptions.RemoveEmptyEntries)
        .Select(pair => pair.Split('=', 2)).Select(pair => (pair[0], pair[1]));
}
