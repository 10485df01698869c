using System.Diagnostics;
using GptFunctions.Hosting;
using RabbitMQ.Client;

namespace GptFunctions.Audit;

/// <summary>
/// Spans of events on their way. Both ends are children of the span that made the event; what else happened in the same go (the relay's batch, the
/// invocation of the consumer) is linked. An event of a trace that is not recorded has none. Names and attributes are those of the semantic conventions
/// for messaging 1.37.0, which are still in development: they stand here and nowhere else.
/// </summary>
internal static class EventSpans
{
    private const int MostLinks = 128; // what an exporter sends of a span
    private static readonly KeyValuePair<string, object?> System = new("messaging.system", "rabbitmq");

    /// <summary>The relay's round; a trace of its own, recorded when one of its events is.</summary>
    public static Activity? StartBatch(IReadOnlyList<OutboxMessage> messages)
    {
        if (!Traces.Source.HasListeners())
        {
            return null;
        }

        var links = messages.Where(message => message.TraceParent is not null).Take(MostLinks)
            .Select(message => new ActivityLink(Traces.Parse(message.TraceParent))).ToList();
        return links.Count == 0
            ? null
            : Traces.Source.StartActivity(ActivityKind.Internal, default, [new("messaging.batch.message_count", messages.Count)], links, name: "relay outbox");
    }

    /// <summary>One event to the exchange.</summary>
    public static Activity? StartPublish(string exchange, OutboxMessage message) => message.TraceParent is not { } parent ? null
        : Start($"publish {exchange}", ActivityKind.Producer, parent,
        [
            System, new("messaging.operation.name", "publish"), new("messaging.operation.type", "send"), new("messaging.destination.name", exchange),
            new("messaging.rabbitmq.destination.routing_key", message.RoutingKey), new("messaging.message.body.size", message.Envelope.Length),
        ]);

    /// <summary>One event into the audit trail.</summary>
    public static Activity? StartProcess(AuditEvent received) => received.TraceParent is not { } parent ? null
        : Start($"process {AuditSettings.Queue}", ActivityKind.Consumer, parent,
        [
            System, new("messaging.operation.name", "process"), new("messaging.operation.type", "process"),
            new("messaging.destination.name", AuditSettings.Queue), new("messaging.message.id", received.Id.ToString()),
            new("messaging.rabbitmq.destination.routing_key", received.Type),
        ]);

    /// <summary>The same properties, and the span in the header of W3C Trace Context: for consumers that get to see headers.</summary>
    public static BasicProperties Carry(Activity span, BasicProperties properties) => new(properties)
    {
        Headers = new Dictionary<string, object?>(StringComparer.Ordinal) { ["traceparent"] = span.Id },
    };

    private static Activity? Start(string name, ActivityKind kind, string parent, IEnumerable<KeyValuePair<string, object?>> attributes) =>
        Traces.Source.HasListeners() && Traces.Parse(parent) is var context && context != default
            ? Traces.Source.StartActivity(kind, context, attributes, Activity.Current is { } batch ? [new ActivityLink(batch.Context)] : null, name: name)
            : null;
}
