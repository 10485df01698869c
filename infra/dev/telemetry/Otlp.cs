using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace GptFunctions.TelemetryView;

/// <summary>A span as it arrived.</summary>
internal sealed record OtlpSpan
{
    public required string Source { get; init; }
    public required string Name { get; init; }
    public required string TraceId { get; init; }
    public required string SpanId { get; init; }

    /// <summary>Empty for the first of a trace.</summary>
    public required string ParentId { get; init; }

    /// <summary>internal, server, client, producer, consumer</summary>
    public required string Kind { get; init; }

    /// <summary>Nanoseconds since 1970.</summary>
    public required long Start { get; init; }

    public required long End { get; init; }
    public required bool IsError { get; init; }
    public required string StatusText { get; init; }
    public required IReadOnlyDictionary<string, string> Attributes { get; init; }
    public required IReadOnlyDictionary<string, string> Resource { get; init; }
    public required IReadOnlyList<(string Name, IReadOnlyDictionary<string, string> Attributes)> Events { get; init; }
    public required IReadOnlyList<(string TraceId, string SpanId)> Links { get; init; }
}

/// <summary>One series of a metric with its latest value.</summary>
internal sealed record OtlpPoint
{
    public required string Meter { get; init; }
    public required string Name { get; init; }
    public required string Unit { get; init; }

    /// <summary>gauge, sum, histogram</summary>
    public required string Type { get; init; }

    /// <summary>Whether a sum only grows: a counter.</summary>
    public required bool IsMonotonic { get; init; }

    public required IReadOnlyDictionary<string, string> Attributes { get; init; }
    public required IReadOnlyDictionary<string, string> Resource { get; init; }

    /// <summary>Of a histogram the sum of what was measured.</summary>
    public required double Value { get; init; }

    /// <summary>Of a histogram how often something was measured.</summary>
    public required long Count { get; init; }

    public required IReadOnlyList<double> Bounds { get; init; }
    public required IReadOnlyList<long> Buckets { get; init; }

    /// <summary>Name and labels.</summary>
    public string Series =>
        Name + "{" + string.Join(",", Attributes.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}")) + "}";
}

internal sealed record OtlpLog
{
    public required string Category { get; init; }
    public required string Severity { get; init; }
    public required string Body { get; init; }
    public required string TraceId { get; init; }
    public required string SpanId { get; init; }
    public required IReadOnlyDictionary<string, string> Attributes { get; init; }
    public required IReadOnlyDictionary<string, string> Resource { get; init; }
}

/// <summary>
/// Reads what an OTLP exporter sends (opentelemetry-proto 1.x, in the wire format of Protocol Buffers): as much of it as there is to show and to test.
/// </summary>
internal static class Otlp
{
    private static readonly string[] Kinds = ["unspecified", "internal", "server", "client", "producer", "consumer"];
    private const int ErrorStatus = 2;

    public static IEnumerable<OtlpSpan> Spans(ReadOnlyMemory<byte> request) =>
        from item in Items(request)
        let span = item.Message
        select new OtlpSpan
        {
            Source = item.Scope,
            Resource = item.Resource,
            TraceId = Hex(span, 1),
            SpanId = Hex(span, 2),
            ParentId = Hex(span, 4),
            Name = Text(span, 5),
            Kind = Kinds[Number(span, 6)],
            Start = Number(span, 7),
            End = Number(span, 8),
            Attributes = Attributes(span, 9),
            Events = [.. Messages(span, 11).Select(one => (Text(one, 2), Attributes(one, 3)))],
            Links = [.. Messages(span, 13).Select(one => (Hex(one, 1), Hex(one, 2)))],
            IsError = Messages(span, 15).Any(status => Number(status, 3) == ErrorStatus),
            StatusText = string.Concat(Messages(span, 15).Select(status => Text(status, 2))),
        };

    public static IEnumerable<OtlpPoint> Points(ReadOnlyMemory<byte> request) =>
        from item in Items(request)
        from kind in new[] { (Field: 5, Name: "gauge"), (Field: 7, Name: "sum"), (Field: 9, Name: "histogram") }
        from data in Messages(item.Message, kind.Field)
        from point in Messages(data, 1)
        let isHistogram = kind.Name == "histogram"
        select new OtlpPoint
        {
            Meter = item.Scope,
            Resource = item.Resource,
            Name = Text(item.Message, 1),
            Unit = Text(item.Message, 3),
            Type = kind.Name,
            IsMonotonic = Number(data, 3) != 0,
            Attributes = Attributes(point, isHistogram ? 9 : 7),
            Value = isHistogram ? Double(point, 5) : Fields(point).Any(field => field.Number == 4) ? Double(point, 4) : Number(point, 6),
            Count = isHistogram ? Number(point, 4) : 1,
            Buckets = isHistogram ? Packed(point, 6) : [],
            Bounds = isHistogram ? [.. Packed(point, 7).Select(BitConverter.Int64BitsToDouble)] : [],
        };

    public static IEnumerable<OtlpLog> Logs(ReadOnlyMemory<byte> request) =>
        from item in Items(request)
        let log = item.Message
        select new OtlpLog
        {
            Category = item.Scope,
            Resource = item.Resource,
            Severity = Text(log, 3),
            Body = string.Concat(Messages(log, 5).Select(Value)),
            Attributes = Attributes(log, 6),
            TraceId = Hex(log, 9),
            SpanId = Hex(log, 10),
        };

    /// <summary>The same nesting for all three: resources (1) have scopes (2), and scopes have what was asked for (2).</summary>
    private static IEnumerable<(IReadOnlyDictionary<string, string> Resource, string Scope, ReadOnlyMemory<byte> Message)> Items(ReadOnlyMemory<byte> request)
    {
        foreach (var resource in Messages(request, 1))
        {
            var attributes = Messages(resource, 1).Select(one => Attributes(one, 1)).FirstOrDefault()
                ?? new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var scope in Messages(resource, 2))
            {
                var name = string.Concat(Messages(scope, 1).Select(one => Text(one, 1)));
                foreach (var message in Messages(scope, 2))
                {
                    yield return (attributes, name, message);
                }
            }
        }
    }

    private static Dictionary<string, string> Attributes(ReadOnlyMemory<byte> message, int field)
    {
        var attributes = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var pair in Messages(message, field))
        {
            attributes[Text(pair, 1)] = string.Concat(Messages(pair, 2).Select(Value));
        }

        return attributes;
    }

    /// <summary>Of an AnyValue: text, bool, int, double, array, pairs, octets.</summary>
    private static string Value(ReadOnlyMemory<byte> any)
    {
        foreach (var (number, value, bytes) in Fields(any))
        {
            return number switch
            {
                1 => Encoding.UTF8.GetString(bytes.Span),
                2 => value != 0 ? "true" : "false",
                3 => ((long)value).ToString(CultureInfo.InvariantCulture),
                4 => BitConverter.UInt64BitsToDouble(value).ToString(CultureInfo.InvariantCulture),
                5 => string.Join(",", Messages(bytes, 1).Select(Value)),
                6 => string.Join(",", Attributes(bytes, 1).Select(pair => $"{pair.Key}={pair.Value}")),
                _ => Convert.ToHexStringLower(bytes.Span),
            };
        }

        return "";
    }

    private static IEnumerable<ReadOnlyMemory<byte>> Messages(ReadOnlyMemory<byte> message, int number) =>
        Fields(message).Where(field => field.Number == number).Select(field => field.Bytes);

    private static string Text(ReadOnlyMemory<byte> message, int number) => Encoding.UTF8.GetString(Messages(message, number).FirstOrDefault().Span);

    private static string Hex(ReadOnlyMemory<byte> message, int number) => Convert.ToHexStringLower(Messages(message, number).FirstOrDefault().Span);

    private static long Number(ReadOnlyMemory<byte> message, int number) => (long)Fields(message).FirstOrDefault(field => field.Number == number).Value;

    private static double Double(ReadOnlyMemory<byte> message, int number) => BitConverter.Int64BitsToDouble(Number(message, number));

    /// <summary>Numbers of eight octets each, one after the other.</summary>
    private static long[] Packed(ReadOnlyMemory<byte> message, int number) =>
        [.. Messages(message, number).SelectMany(bytes => bytes.ToArray().Chunk(8)).Select(eight => BinaryPrimitives.ReadInt64LittleEndian(eight))];

    /// <summary>Each field of a message: numbers have a value, everything else its octets.</summary>
    private static IEnumerable<(int Number, ulong Value, ReadOnlyMemory<byte> Bytes)> Fields(ReadOnlyMemory<byte> message)
    {
        var position = 0;
        while (position < message.Length)
        {
            var tag = Varint(message, ref position);
            var number = (int)(tag >> 3);
            switch (tag & 7)
            {
                case 0:
                    yield return (number, Varint(message, ref position), default);
                    break;
                case 1:
                    yield return (number, BinaryPrimitives.ReadUInt64LittleEndian(message.Span[position..]), default);
                    position += 8;
                    break;
                case 5:
                    yield return (number, BinaryPrimitives.ReadUInt32LittleEndian(message.Span[position..]), default);
                    position += 4;
                    break;
                case 2:
                    var length = (int)Varint(message, ref position);
                    yield return (number, 0, message.Slice(position, length));
                    position += length;
                    break;
                default:
                    throw new FormatException($"A field of wire type {tag & 7} is not Protocol Buffers of today.");
            }
        }
    }

    private static ulong Varint(ReadOnlyMemory<byte> message, ref int position)
    {
        var (value, shift) = (0UL, 0);
        while (true)
        {
            var octet = message.Span[position++];
            value |= (ulong)(octet & 0x7f) << shift;
            shift += 7;
            if (octet < 0x80)
            {
                return value;
            }
        }
    }
}
