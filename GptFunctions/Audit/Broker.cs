using System.Net.Security;
using Microsoft.Extensions.Options;
using RabbitMQ.Client;

namespace GptFunctions.Audit;

/// <summary>Opens connections to RabbitMQ. Names in certificates are checked: the client's own default for amqps URLs lets a wrong name pass. A lost connection stays lost: who needs one opens the next.</summary>
internal sealed class Broker(IOptions<AuditSettings> settings)
{
    public Task<IConnection> ConnectAsync(string name, CancellationToken cancellationToken)
    {
        var factory = new ConnectionFactory { Uri = new Uri(settings.Value.BrokerUrl!), ClientProvidedName = "gpt-functions " + name, AutomaticRecoveryEnabled = false };
        factory.Ssl.AcceptablePolicyErrors = SslPolicyErrors.None;
        return factory.CreateConnectionAsync(cancellationToken);
    }
}
