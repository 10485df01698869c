using System.Collections.Concurrent;
using System.Net;
using System.Text;
using GptFunctions.TelemetryView;

namespace GptFunctions.Tests.Support;

/// <summary>
/// An OpenTelemetry collector of the tests' own: keeps what programs really export. They run in processes of their own, because in one process all listen
/// to the same activities and meters.
/// </summary>
internal sealed class TestCollector : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, OtlpPoint> points = new(StringComparer.Ordinal);
    private OtlpReceiver receiver = null!;

    public ConcurrentQueue<OtlpSpan> Spans { get; } = new();

    /// <summary>Each series with its latest value.</summary>
    public ICollection<OtlpPoint> Points => points.Values;

    public ConcurrentQueue<OtlpLog> Logs { get; } = new();

    /// <summary>All that arrived, octet by octet: what a secret would be found in.</summary>
    public ConcurrentQueue<string> Everything { get; } = new();

    /// <summary>What a program is to be started with; quick exports, so that tests need not wait.</summary>
    public Dictionary<string, string?> Settings => new(StringComparer.Ordinal)
    {
        ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.Url,
        ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
        ["OTEL_BSP_SCHEDULE_DELAY"] = "100",
        ["OTEL_BLRP_SCHEDULE_DELAY"] = "100",
        ["OTEL_METRIC_EXPORT_INTERVAL"] = "200",
        ["OTEL_SERVICE_NAME"] = "gpt-tests",
        ["OTEL_RESOURCE_ATTRIBUTES"] = "service.name=overruled,k8s.pod.name=pod-1",
    };

    /// <summary>The same by gRPC.</summary>
    public Dictionary<string, string?> GrpcSettings => Settings.With(new Dictionary<string, string?>(StringComparer.Ordinal)
    {
        ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.GrpcUrl,
        ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc",
    });

    public Func<Task<HttpStatusCode>> Answer
    {
        set => receiver.Answer = value;
    }

    public static async Task<TestCollector> StartAsync()
    {
        var collector = new TestCollector();
        collector.receiver = await OtlpReceiver.StartAsync(collector.Take);
        return collector;
    }

    /// <summary>The trace as soon as it has a span for each of the conditions.</summary>
    public async Task<IReadOnlyList<OtlpSpan>> TraceAsync(string traceId, params Func<OtlpSpan, bool>[] expected)
    {
        try
        {
            await Wait.UntilAsync(() => Task.FromResult(expected.All(condition => OfTrace().Any(condition))));
        }
        catch (Exception error)
        {
            throw new TimeoutException(
                $"The trace {traceId} has no more than:\n" + string.Join('\n', OfTrace().Select(span => $"{span.Source}: {span.Name}")), error);
        }

        return [.. OfTrace().OrderBy(span => span.Start)];

        IEnumerable<OtlpSpan> OfTrace() => Spans.Where(span => span.TraceId == traceId);
    }

    public async ValueTask DisposeAsync() => await receiver.DisposeAsync();

    private void Take(string signal, byte[] request)
    {
        Everything.Enqueue(Encoding.UTF8.GetString(request));
        switch (signal)
        {
            case "traces":
                Otlp.Spans(request).ToList().ForEach(Spans.Enqueue);
                break;
            case "metrics":
                Otlp.Points(request).ToList().ForEach(point => points[$"{point.Resource.GetValueOrDefault("service.instance.id")} {point.Series}"] = point);
                break;
            default:
                Otlp.Logs(request).ToList().ForEach(Logs.Enqueue);
                break;
        }
    }
}
