using System.Globalization;
using Microsoft.Extensions.Options;
using RabbitMQ.Client;

namespace GptFunctions.Audit;

/// <summary>Hands messages to the queue from which they come back to the audit queue after a while: as new ones, so that no attempt is used up.</summary>
internal sealed class RetryQueue(Broker broker, IOptions<AuditSettings> settings)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Returns when the broker has taken the message over; then the one it was read from may be acknowledged. Throws when it has not.</summary>
    public async Task PublishAsync(ReadOnlyMemory<byte> message)
    {
        // Rare, so a connection for each. Not cancelled with the function: a program that stops hands over what it holds.
        using var limit = new CancellationTokenSource(Patience);
        await using var connection = await broker.ConnectAsync("retry", limit.Token);
        var confirmed = new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true);
        await using var channel = await connection.CreateChannelAsync(confirmed, limit.Token);
        var properties = new BasicProperties { Persistent = true, Expiration = (settings.Value.RetrySeconds * 1000).ToString(CultureInfo.InvariantCulture) };
        await channel.BasicPublishAsync("", AuditSettings.Retry, mandatory: true, properties, message, limit.Token);
    }
}
