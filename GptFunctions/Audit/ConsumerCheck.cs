using GptFunctions.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using RabbitMQ.Client.Exceptions;

namespace GptFunctions.Audit;

/// <summary>
/// Whether somebody consumes the audit queue. A trigger that finds no broker or no queue when it starts stays off and is not tried again,
/// while its pod looks alive: so the pod is not ready, and is started anew.
/// </summary>
internal sealed class ConsumerCheck(Broker broker, IOptions<AuditSettings> settings, IConfiguration configuration)
{
    /// <summary>Whether this process is there to consume.</summary>
    public bool IsOurs { get; } = settings.Value.BrokerUrl is not null && FunctionCatalog.IsEnabled(configuration, AuditFunctions.Consumer);

    /// <summary>Whether it has more to do than that, and can do it without.</summary>
    public bool IsAside { get; } = FunctionCatalog.IsEnabled(configuration, FunctionNames.Token);

    /// <summary>What is wrong; null when at least one consumer is connected, here or in another process.</summary>
    public async Task<string?> FindProblemAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = await broker.ConnectAsync("readiness", cancellationToken);
            await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellationToken);
            return await channel.ConsumerCountAsync(AuditSettings.Queue, cancellationToken) > 0 ? null : $"nobody consumes the queue {AuditSettings.Queue}";
        }
        catch (OperationInterruptedException error) when (error.ShutdownReason?.ReplyCode == RabbitMQ.Client.Constants.NotFound)
        {
            return $"there is no queue {AuditSettings.Queue}: run 'GptFunctions setup'";
        }
        catch (Exception error) when (error is RabbitMQClientException or IOException or OperationCanceledException)
        {
            return "the broker does not answer";
        }
    }
}
