using GptFunctions.Hosting;

namespace GptFunctions.Telemetry;

/// <summary>
/// The standard names of OpenTelemetry, of which the SDK reads most by itself, from the same sources (files of SECRETS_PATH included). Here they are
/// checked, so that a misspelt one stops the start instead of being passed over, and listed.
/// </summary>
[Setting("OTEL_EXPORTER_OTLP_HEADERS", IsSecret = true, Meaning = "headers of every export, `name=value,...`: where the collector wants a key")]
[Setting("OTEL_SERVICE_NAME", Meaning = "`service.name` of everything that is sent", Default = $"`{DefaultServiceName}`")]
[Setting("OTEL_RESOURCE_ATTRIBUTES", Meaning = "attributes of everything that is sent, `name=value,...`")]
internal sealed class TelemetrySettings : ISettings
{
    public const string DefaultServiceName = "gpt-functions";
    public const string LogsName = "OTEL_LOGS_EXPORTER";

    [Setting("OTEL_EXPORTER_OTLP_ENDPOINT", Meaning = "the OpenTelemetry collector for traces, metrics and logs; without it there is no telemetry")]
    public string? Endpoint { get; set; }

    [Setting("OTEL_EXPORTER_OTLP_PROTOCOL", OneOf = "grpc http/protobuf", Meaning = "`grpc` (port 4317 as a rule) or `http/protobuf` (4318)")]
    public string Protocol { get; set; } = "grpc";

    [Setting(LogsName, OneOf = "otlp none", Meaning = "`none`: logs are not sent to the collector, because something else takes them from standard output")]
    public string LogsExporter { get; set; } = "otlp";

    [Setting("OTEL_TRACES_SAMPLER",
        OneOf = "always_on always_off traceidratio parentbased_always_on parentbased_always_off parentbased_traceidratio",
        Meaning = "which traces are recorded; see [telemetry.md](telemetry.md#sampling)")]
    public string Sampler { get; set; } = "parentbased_always_on";

    [Setting("OTEL_TRACES_SAMPLER_ARG", 0, 1, Meaning = "share of the traces that a sampler with `traceidratio` records")]
    public decimal SamplerArgument { get; set; } = 1;

    [Setting("TRACES_FORCED_PER_SECOND", 0, 1_000_000,
        Meaning = "traces a second that are recorded because the caller's `traceparent` says so, by samplers with `parentbased`; 0: nobody's word counts")]
    public int ForcedPerSecond { get; set; } = 5;

    [Setting("OTEL_SDK_DISABLED", Meaning = "`true`: no telemetry, whatever the others say")]
    public bool IsDisabled { get; set; }

    public IEnumerable<string> Problems(bool isProduction) => Endpoint is null || IsUrl(Endpoint)
        ? []
        : ["OTEL_EXPORTER_OTLP_ENDPOINT must be an http:// or https:// URL, for example http://otel-collector:4317."];

    private static bool IsUrl(string text) => Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https";
}
