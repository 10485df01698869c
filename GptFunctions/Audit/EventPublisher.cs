using System.Diagnostics;
using Microsoft.Extensions.Options;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace GptFunctions.Audit;

/// <summary>
/// Publishes to the exchange with publisher confirms: a message counts as published when the broker has said so. One connection, opened when first needed and
/// again after it was lost.
/// </summary>
internal sealed class EventPublisher(Broker broker, IOptions<AuditSettings> settings) : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    // Id, type and content type stand in the envelope; as properties they would cost the broker a third of its throughput.
    private static readonly BasicProperties Properties = new() { Persistent = true };

    private IConnection? connection;
    private IChannel? channel;

    /// <summary>Publishes all at once and waits for their confirms; tells which the broker has taken over, and which it can bring to no queue.</summary>
    /// <exception cref="BrokerUnreachableException">There is no connection to be had.</exception>
    public async Task<Delivery> PublishAsync(IReadOnlyList<OutboxMessage> messages, CancellationToken cancellationToken)
    {
        var open = await OpenAsync(cancellationToken);
        var confirms = new Task<Outcome>[messages.Count];
        for (var index = 0; index < confirms.Length; index++)
        {
            confirms[index] = PublishAsync(open, messages[index], cancellationToken); // written in order; the confirms come later
        }

        var all = Task.WhenAll(confirms);
        if (await Task.WhenAny(all, Task.Delay(Patience, cancellationToken)) != all)
        {
            await DisposeAsync(); // a silent broker: without the connection the waiting ends, and what was not confirmed stays
        }

        var results = await all;
        return new Delivery(With(Outcome.Confirmed), With(Outcome.Unroutable));

        long[] With(Outcome outcome) => [.. messages.Where((_, index) => results[index] == outcome).Select(message => message.Position)];
    }

    public async ValueTask DisposeAsync()
    {
        if (connection is not null)
        {
            await connection.DisposeAsync();
        }
    }

    private async Task<Outcome> PublishAsync(IChannel open, OutboxMessage message, CancellationToken cancellationToken)
    {
        using var span = EventSpans.StartPublish(settings.Value.Exchange, message);
        var outcome = await PublishAsync(open, message, span is null ? Properties : EventSpans.Carry(span, Properties), cancellationToken);
        if (outcome != Outcome.Confirmed)
        {
            span?.SetStatus(ActivityStatusCode.Error, outcome.ToString());
        }

        return outcome;
    }

    private async Task<Outcome> PublishAsync(IChannel open, OutboxMessage message, BasicProperties properties, CancellationToken cancellationToken)
    {
        try
        {
            await open.BasicPublishAsync(settings.Value.Exchange, message.RoutingKey, mandatory: true, properties, message.Envelope, cancellationToken);
            return Outcome.Confirmed;
        }
        catch (Exception error) when (error is PublishException { IsReturn: true } or ArgumentException or WireFormattingException)
        {
            // The latter two: a key that AMQP has no room for.
            return Outcome.Unroutable;
        }
        catch (Exception error) when (error is RabbitMQClientException or OperationCanceledException or IOException or ObjectDisposedException)
        {
            return Outcome.Kept; // refused, timed out or cut off: it stays in the outbox
        }
    }

    private async Task<IChannel> OpenAsync(CancellationToken cancellationToken)
    {
        if (channel is { IsOpen: true } open)
        {
            return open;
        }

        if (connection is not { IsOpen: true })
        {
            await DisposeAsync();
            connection = null;
            connection = await broker.ConnectAsync("relay", cancellationToken);
        }

        // A missing exchange closes the channel, not the connection.
        var options = new CreateChannelOptions(
            publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true, outstandingPublisherConfirmationsRateLimiter: null);
        channel = await connection.CreateChannelAsync(options, cancellationToken);
        return channel;
    }

    private enum Outcome
    {
        Kept,
        Confirmed,
        Unroutable,
    }
}
