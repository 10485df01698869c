using System.Globalization;
using GptFunctions.Hosting;
using Microsoft.Extensions.Options;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace GptFunctions.Audit;

/// <summary>
/// The broker answers and has the queues, nothing is dead, and what waits has a consumer. An outage is no blocker: events wait in the outbox. Every
/// pod may reach the broker, so each asks it itself; queues are only looked at.
/// </summary>
internal sealed class BrokerCheck(Broker broker, IOptions<AuditSettings> settings) : ICheck
{
    private static readonly TimeSpan Goodbye = TimeSpan.FromSeconds(1);

    public string Name => "rabbitmq";

    public async Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        finding.Details["used"] = settings.Value.BrokerUrl is not null;
        if (settings.Value.BrokerUrl is null)
        {
            return; // Development: events go to the audit trail inside the process
        }

        var connection = await ConnectAsync(finding, cancellationToken);
        if (connection is null)
        {
            return;
        }

        try
        {
            await LookAsync(connection, finding, cancellationToken);
        }
        finally
        {
            await connection.AbortAsync(Goodbye); // a silent broker would keep a polite goodbye waiting
            await connection.DisposeAsync();
        }
    }

    private async Task<IConnection?> ConnectAsync(Finding finding, CancellationToken cancellationToken)
    {
        try
        {
            return await broker.ConnectAsync("self-test", cancellationToken);
        }
        catch (Exception error) when (Broker.IsOutage(error))
        {
            finding.Say(
                CheckState.Degraded, $"The broker at RABBITMQ_URL does not answer, and audit events wait in the outbox: {error.GetBaseException().Message}");
            return null;
        }
    }

    private async Task LookAsync(IConnection connection, Finding finding, CancellationToken cancellationToken)
    {
        await LookForExchangeAsync(connection, finding, cancellationToken);
        var queue = await LookAsync(connection, AuditSettings.Queue, finding, cancellationToken);
        var dead = await LookAsync(connection, AuditSettings.DeadLetters, finding, cancellationToken);
        await LookAsync(connection, AuditSettings.Retry, finding, cancellationToken);
        finding.Details["messages"] = queue?.MessageCount;
        finding.Details["consumers"] = queue?.ConsumerCount;
        finding.Details["dead_letters"] = dead?.MessageCount;
        if (queue is { ConsumerCount: 0, MessageCount: > 0 })
        {
            finding.Say(CheckState.Degraded, string.Create(
                CultureInfo.InvariantCulture, $"{queue.MessageCount} messages wait in {queue.QueueName} and nobody consumes it; KEDA starts a consumer "
                    + $"within a minute."));
        }

        if (dead is { MessageCount: > 0 })
        {
            finding.Say(CheckState.Degraded, string.Create(
                CultureInfo.InvariantCulture, $"{dead.MessageCount} messages were given up (runbook, \"Dead letters\")."));
        }
    }

    private async Task LookForExchangeAsync(IConnection connection, Finding finding, CancellationToken cancellationToken)
    {
        await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellationToken);
        try
        {
            await channel.ExchangeDeclarePassiveAsync(settings.Value.Exchange, cancellationToken);
        }
        catch (OperationInterruptedException error) when (error.ShutdownReason?.ReplyCode == RabbitMQ.Client.Constants.NotFound)
        {
            finding.Say(CheckState.Degraded, $"There is no exchange {settings.Value.Exchange}, so audit events wait in the outbox: run 'GptFunctions setup'.");
        }
    }

    private static async Task<QueueDeclareOk?> LookAsync(IConnection connection, string queue, Finding finding, CancellationToken cancellationToken)
    {
        await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellationToken);
        try
        {
            return await channel.QueueDeclarePassiveAsync(queue, cancellationToken);
        }
        catch (OperationInterruptedException error) when (error.ShutdownReason?.ReplyCode == RabbitMQ.Client.Constants.NotFound)
        {
            finding.Say(CheckState.Degraded, $"There is no queue {queue}: run 'GptFunctions setup'.");
            return null;
        }
    }
}
