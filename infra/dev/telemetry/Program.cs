using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using GptFunctions.TelemetryView;

// Takes what the program exports and writes it down for people: each trace as a tree, and every metric with its latest value.
// usage: dotnet run --project infra/dev/telemetry -- DIRECTORY   traces.log, metrics.txt and telemetry.url (where it listens) come there
//        dotnet run --project infra/dev/telemetry -- DIRECTORY --discard   takes everything and writes nothing: for benchmarks
var directory = args[0];
var isDiscarding = args.Contains("--discard");
var view = new View(directory);
await using var receiver = await OtlpReceiver.StartAsync((signal, request) =>
{
    if (!isDiscarding)
    {
        view.Take(signal, request);
    }
});
await File.WriteAllTextAsync(Path.Combine(directory, "telemetry.url"), receiver.Url + "\n");
using var stop = new CancellationTokenSource();
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
while (!stop.IsCancellationRequested)
{
    await Task.Delay(TimeSpan.FromSeconds(1), stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    await view.WriteAsync(isEnd: stop.IsCancellationRequested);
}

void Stop(PosixSignalContext signal)
{
    signal.Cancel = true;
    stop.Cancel();
}

namespace GptFunctions.TelemetryView
{
    internal sealed class View(string directory)
    {
        private const int MostRounds = 60;
        private readonly Lock turn = new();
        private readonly Dictionary<string, (List<OtlpSpan> Spans, int QuietRounds, int Rounds)> traces = new(StringComparer.Ordinal);
        private readonly SortedDictionary<string, OtlpPoint> points = new(StringComparer.Ordinal);

        public void Take(string signal, byte[] request)
        {
            lock (turn)
            {
                if (signal == "traces")
                {
                    foreach (var span in Otlp.Spans(request))
                    {
                        var known = traces.TryGetValue(span.TraceId, out var trace) ? trace : ([], 0, 0);
                        known.Spans.Add(span);
                        traces[span.TraceId] = (known.Spans, 0, known.Rounds);
                    }
                }
                else if (signal == "metrics")
                {
                    foreach (var point in Otlp.Points(request))
                    {
                        points[$"{point.Meter} {point.Series}"] = point;
                    }
                }
            }
        }

        /// <summary>Once a second: each trace of which nothing came any more, and the metrics.</summary>
        public async Task WriteAsync(bool isEnd)
        {
            var text = new StringBuilder();
            var metrics = new StringBuilder();
            lock (turn)
            {
                foreach (var (id, (spans, quiet, rounds)) in traces.ToList())
                {
                    if (isEnd || quiet >= 2 || rounds >= MostRounds)
                    {
                        traces.Remove(id);
                        Tree(text, id, spans);
                    }
                    else
                    {
                        traces[id] = (spans, quiet + 1, rounds + 1);
                    }
                }

                foreach (var point in points.Values)
                {
                    metrics.AppendLine(point.Type == "histogram"
                        ? $"{point.Series} {point.Count} times, {Number(point.Count == 0 ? 0 : point.Value / point.Count)} {point.Unit} each"
                        : $"{point.Series} {Number(point.Value)} {point.Unit}");
                }
            }

            await File.AppendAllTextAsync(Path.Combine(directory, "traces.log"), text.ToString());
            await File.WriteAllTextAsync(Path.Combine(directory, "metrics.txt"), metrics.ToString());
        }

        private static void Tree(StringBuilder text, string id, List<OtlpSpan> spans)
        {
            var first = spans.Min(span => span.Start);
            var ids = spans.Select(span => span.SpanId).ToHashSet(StringComparer.Ordinal);
            text.Append(CultureInfo.InvariantCulture, $"{DateTimeOffset.UnixEpoch.AddMicroseconds(first / 1000):HH:mm:ss.fff} trace {id}\n");
            foreach (var span in spans.Where(span => !ids.Contains(span.ParentId)).OrderBy(span => span.Start))
            {
                Branch(text, span, spans, first, 1);
            }
        }

        private static void Branch(StringBuilder text, OtlpSpan span, List<OtlpSpan> spans, long first, int depth)
        {
            var name = new string(' ', 2 * depth) + span.Name;
            text.Append(
                CultureInfo.InvariantCulture, $"{name,-60} {span.Kind,-9} at {(span.Start - first) / 1e6,8:0.0} ms {(span.End - span.Start) / 1e6,8:0.0} ms");
            if (span.Attributes.TryGetValue("http.response.status_code", out var status))
            {
                text.Append(CultureInfo.InvariantCulture, $" {status}");
            }

            text.Append(span.IsError ? $" ERROR {span.Attributes.GetValueOrDefault("error.type", span.StatusText)}" : "")
                .Append(span.Attributes.TryGetValue("messaging.rabbitmq.destination.routing_key", out var key) ? " " + key : "")
                .Append(span.Attributes.TryGetValue("gpt.correlation_id", out var correlation) ? " correlation " + correlation : "").Append('\n');
            foreach (var child in spans.Where(child => child.ParentId == span.SpanId).OrderBy(child => child.Start))
            {
                Branch(text, child, spans, first, depth + 1);
            }
        }

        private static string Number(double value) => value.ToString("0.######", CultureInfo.InvariantCulture);
    }
}
