using GptFunctions.Hosting;
using Microsoft.Extensions.Options;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace GptFunctions.Audit;

/// <summary>
/// What must exist in RabbitMQ before anything starts. Declared by <c>setup</c>, because the trigger declares nothing and stays off without its queue.
/// </summary>
internal sealed class Topology(Broker broker, IOptions<AuditSettings> settings)
{
    private static readonly string[] Bindings = ["gpt.oauth.#", "gpt.action.#", "gpt.webhook.#", "gpt.countdown.#", "gpt.operator.#"];

    /// <summary>Declares exchange, queue, dead-letter exchange and queue, the queue of those that are tried again later, and bindings. Idempotent.</summary>
    /// <exception cref="TopologyException">Something of the same name exists with other properties, or the user may not declare it.</exception>
    public async Task DeclareAsync(CancellationToken cancellationToken)
    {
        await using var connection = await broker.ConnectAsync("setup", cancellationToken);
        await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellationToken);
        try
        {
            await channel.ExchangeDeclareAsync(settings.Value.Exchange, ExchangeType.Topic, durable: true, cancellationToken: cancellationToken);
            await channel.ExchangeDeclareAsync(AuditSettings.DeadLetters, ExchangeType.Fanout, durable: true, cancellationToken: cancellationToken);
            await channel.QueueDeclareAsync(
                AuditSettings.DeadLetters, durable: true, exclusive: false, autoDelete: false, QueueArguments(), cancellationToken: cancellationToken);
            await channel.QueueBindAsync(AuditSettings.DeadLetters, AuditSettings.DeadLetters, "", cancellationToken: cancellationToken);

            var arguments = QueueArguments();
            arguments["x-dead-letter-exchange"] = AuditSettings.DeadLetters;
            arguments["x-overflow"] = "reject-publish"; // if somebody limits its length: then events wait in the outbox, else the oldest would be dropped
            await channel.QueueDeclareAsync(
                AuditSettings.Queue, durable: true, exclusive: false, autoDelete: false, arguments, cancellationToken: cancellationToken);
            await channel.QueueDeclareAsync(AuditSettings.Retry, durable: true, exclusive: false, autoDelete: false,
                RetryArguments(), cancellationToken: cancellationToken);
            foreach (var binding in Bindings)
            {
                await channel.QueueBindAsync(AuditSettings.Queue, settings.Value.Exchange, binding, cancellationToken: cancellationToken);
            }
        }
        catch (OperationInterruptedException error)
        {
            throw new TopologyException(
                $"RabbitMQ refused a declaration: {error.ShutdownReason?.ReplyText}. If it exists with other properties (another AUDIT_QUEUE_TYPE, say), let "
                    + "it run empty and delete it, or set the type it has.");
        }
    }

    /// <summary>
    /// Messages go from here back to the queue when their time is over (each says how long). Always a quorum queue, also on a single broker:
    /// only these wait until the other queue has confirmed the message (at-least-once); a classic one drops it when that is full or missing.
    /// </summary>
    private static Dictionary<string, object?> RetryArguments() => new(StringComparer.Ordinal)
    {
        ["x-queue-type"] = "quorum",
        ["x-dead-letter-exchange"] = "",
        ["x-dead-letter-routing-key"] = AuditSettings.Queue,
        ["x-dead-letter-strategy"] = "at-least-once",
        ["x-overflow"] = "reject-publish", // at-least-once asks for it
    };

    private Dictionary<string, object?> QueueArguments() => new(StringComparer.Ordinal) { ["x-queue-type"] = settings.Value.QueueType };
}

internal sealed class TopologyException(string message) : CommandException(message);
