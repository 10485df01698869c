using System.Diagnostics.Metrics;
using Npgsql;

namespace GptFunctions.Data;

/// <summary>How many connections of a pool are in use, by Npgsql's own meter.</summary>
internal static class PoolReading
{
    /// <returns>In use now, and how many there may be.</returns>
    public static (long Used, int Size) Of(NpgsqlDataSource dataSource)
    {
        var pool = dataSource.ConnectionString; // without its password; pools are told by it
        long used = 0;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, listening) =>
        {
            if (instrument is { Meter.Name: "Npgsql", Name: "db.client.connection.count" })
            {
                listening.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<int>((_, count, tags, _) =>
            used += Has(tags, "db.client.connection.state", "used") && Has(tags, "db.client.connection.pool.name", pool) ? count : 0);
        listener.Start();
        listener.RecordObservableInstruments();
        return (used, new NpgsqlConnectionStringBuilder(pool).MaxPoolSize);
    }

    private static bool Has(ReadOnlySpan<KeyValuePair<string, object?>> tags, string name, string value)
    {
        foreach (var tag in tags)
        {
            if (tag.Key == name)
            {
                return value.Equals(tag.Value as string, StringComparison.Ordinal);
            }
        }

        return false;
    }
}
