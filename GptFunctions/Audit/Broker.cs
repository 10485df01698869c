using System.Net.Sockets;
using GptFunctions.Hosting;
using Microsoft.Extensions.Options;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace GptFunctions.Audit;

/// <summary>The broker at RABBITMQ_URL.</summary>
internal sealed class Broker(IOptions<AuditSettings> settings)
{
    public Task<IConnection> ConnectAsync(string name, CancellationToken cancellationToken) =>
        BrokerConnections.OpenAsync(settings.Value.BrokerUrl!, name, cancellationToken);

    /// <summary>Trouble with the broker or the way to it.</summary>
    public static bool IsOutage(Exception error) => error is RabbitMQClientException or IOException or SocketException or TimeoutException;
}
