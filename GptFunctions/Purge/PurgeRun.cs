using System.Buffers;
using System.Text;
using System.Text.Json;

namespace GptFunctions.Purge;

/// <summary>What a run has done so far.</summary>
internal sealed class PurgeRun(DateTimeOffset startedAt, TimeSpan retention)
{
    public DateTimeOffset StartedAt { get; } = startedAt;

    public PurgeWindow Window { get; } = new(startedAt, startedAt - retention);

    /// <summary>Rows by the name of their <see cref="PurgeClass"/>.</summary>
    public OrderedDictionary<string, long> Deleted { get; } = new(PurgeClass.All.Select(rows => KeyValuePair.Create(rows.Name, 0L)));

    public int Batches { get; set; }

    public int PartitionsCreated { get; set; }

    public TimeSpan Duration { get; set; }

    /// <summary>Classes that were not finished because the time was over or the program stops.</summary>
    public List<PurgeClass> Unfinished { get; } = [];

    /// <summary>Rows that were due and are still there, because the time was over or somebody had locked them; null when nobody counted.</summary>
    public long? Left { get; set; }

    /// <summary>What went wrong, by step; the other steps were done all the same.</summary>
    public OrderedDictionary<string, Exception> Errors { get; } = [];

    public string Outcome => Errors.Count > 0 ? "failed" : Unfinished.Count > 0 || Left != 0 ? "cut_short" : "completed";

    public PurgeSummary Summarise() => new(
    [
        .. Deleted.Select(count => KeyValuePair.Create(count.Key + "_deleted", (object?)count.Value)),
        KeyValuePair.Create("audit_partitions_created", (object?)PartitionsCreated),
        KeyValuePair.Create("batches", (object?)Batches),
        KeyValuePair.Create("duration_ms", (object?)(long)Duration.TotalMilliseconds),
        KeyValuePair.Create("completed", (object?)(Outcome == "completed")),
        KeyValuePair.Create("rows_left", (object?)Left),
        KeyValuePair.Create("failed", (object?)(Errors.Count > 0 ? string.Join(' ', Errors.Keys) : null)),
    ]);
}

/// <summary>
/// The figures of a run under the names of the log line: fields for loggers that know them, one JSON object for the others and for the database.
/// </summary>
internal sealed class PurgeSummary(IEnumerable<KeyValuePair<string, object?>> fields) : List<KeyValuePair<string, object?>>(fields)
{
    public override string ToString()
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            foreach (var (name, value) in this)
            {
                json.WritePropertyName(name);
                Write(json, value);
            }

            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void Write(Utf8JsonWriter json, object? value)
    {
        switch (value)
        {
            case bool flag: json.WriteBooleanValue(flag); break;
            case int number: json.WriteNumberValue(number); break;
            case long number: json.WriteNumberValue(number); break;
            case string text: json.WriteStringValue(text); break;
            default: json.WriteNullValue(); break;
        }
    }
}

/// <summary>Something went wrong in a run; everything else was done. The host must see it, so it is thrown at the end.</summary>
internal sealed class PurgeFailedException(PurgeRun run)
    : Exception(
        $"The purge failed in {string.Join(", ", run.Errors.Keys)}; the rest is done.",
        run.Errors.Count == 1 ? run.Errors.GetAt(0).Value : new AggregateException(run.Errors.Values))
{
    public PurgeRun Run { get; } = run;
}
