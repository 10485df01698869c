using System.Net.Security;
using RabbitMQ.Client;

namespace GptFunctions.Hosting;

/// <summary>
/// Opens connections to RabbitMQ. Names in certificates are checked: the client's own default for amqps URLs lets a wrong name pass.
/// A lost connection stays lost: who needs one opens the next.
/// </summary>
internal static class BrokerConnections
{
    public static Task<IConnection> OpenAsync(string url, string name, CancellationToken cancellationToken)
    {
        var factory = new ConnectionFactory { Uri = new Uri(url), ClientProvidedName = "gpt-functions " + name, AutomaticRecoveryEnabled = false };
        factory.Ssl.AcceptablePolicyErrors = SslPolicyErrors.None;
        return factory.CreateConnectionAsync(cancellationToken);
    }
}
