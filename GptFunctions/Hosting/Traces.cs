using System.Diagnostics;
using Microsoft.Extensions.Configuration;

namespace GptFunctions.Hosting;

/// <summary>
/// The program's own spans, beside those of ASP.NET Core, Npgsql and HttpClient. Without telemetry nobody listens, and nothing here costs anything.
/// </summary>
internal static class Traces
{
    public static readonly ActivitySource Source = new("GptFunctions");

    /// <summary>Whether there is a collector to send them to.</summary>
    public static bool AreExported(IConfiguration configuration) =>
        configuration["OTEL_EXPORTER_OTLP_ENDPOINT"] is { Length: > 0 }
        && !string.Equals(configuration["OTEL_SDK_DISABLED"], "true", StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// The span that runs, as a W3C traceparent: what an event or a message takes along. Null unless that span is recorded, because what follows from
    /// one that is not shall not be either; a caller's word alone is not enough for it.
    /// </summary>
    public static string? Current => Source.HasListeners() && Activity.Current is { Recorded: true, IdFormat: ActivityIdFormat.W3C } span ? span.Id : null;

    /// <summary>The span that runs, where somebody wants to know more of it.</summary>
    public static Activity? Described => Source.HasListeners() && Activity.Current is { IsAllDataRequested: true } span ? span : null;

    /// <summary>What a traceparent of <see cref="Current"/> stands for, wherever it has travelled meanwhile; the default for anything else.</summary>
    public static ActivityContext Parse(string? traceParent) =>
        ActivityContext.TryParse(traceParent, null, isRemote: true, out var context) ? context : default;
}

/// <summary>
/// Takes a caller's traceparent and tracestate (W3C Trace Context), and not the baggage: it would be handed on to whoever this program calls, and
/// nobody knows what strangers put into it.
/// </summary>
internal sealed class TraceContextPropagator : DistributedContextPropagator
{
    private readonly DistributedContextPropagator standard = CreateW3CPropagator();

    public override IReadOnlyCollection<string> Fields { get; } = ["traceparent", "tracestate"];

    public override void Inject(Activity? activity, object? carrier, PropagatorSetterCallback? setter) => standard.Inject(activity, carrier, setter);

    public override void ExtractTraceIdAndState(object? carrier, PropagatorGetterCallback? getter, out string? traceId, out string? traceState) =>
        standard.ExtractTraceIdAndState(carrier, getter, out traceId, out traceState);

    public override IEnumerable<KeyValuePair<string, string?>>? ExtractBaggage(object? carrier, PropagatorGetterCallback? getter) => null;
}
