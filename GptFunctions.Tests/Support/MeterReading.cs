using System.Diagnostics.Metrics;

namespace GptFunctions.Tests.Support;

/// <summary>Adds up what a counter counts in this process while a test runs.</summary>
internal sealed class MeterReading : IDisposable
{
    private readonly MeterListener listener = new();
    private long total;

    public MeterReading(string meter, string instrument)
    {
        listener.InstrumentPublished = (found, listening) =>
        {
            if (found.Meter.Name == meter && found.Name == instrument)
            {
                listening.EnableMeasurementEvents(found);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, value, _, _) => Interlocked.Add(ref total, value));
        listener.Start();
    }

    public long Total => Interlocked.Read(ref total);

    public void Dispose() => listener.Dispose();
}
