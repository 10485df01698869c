namespace GptFunctions.Tests.Support;

internal enum MetricKind
{
    Counter,
    Histogram,
    Gauge,
}

/// <summary>
/// What Prometheus calls a metric that comes over OTLP (OpenTelemetry's compatibility specification, "OTLP metric points to Prometheus"): dots become
/// underscores, units are written out (annotations in braces are not), and counters end in _total.
/// </summary>
internal static class PrometheusNames
{
    public static string[] Of(string name, string? unit, MetricKind kind)
    {
        var text = name.Replace('.', '_') + (unit == "s" ? "_seconds" : "");
        return kind switch
        {
            MetricKind.Counter => [text + "_total"],
            MetricKind.Histogram => [text + "_bucket", text + "_count", text + "_sum"],
            _ => [text],
        };
    }
}
