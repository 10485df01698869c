using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using RabbitMQ.Client.Exceptions;

namespace GptFunctions.Hosting;

/// <summary>
/// Feeds one function from its queue, one message at a time, as the Functions host's extension (2.x) does. It declares
/// nothing. Success acknowledges the message; failure puts it at the tail of the queue at once, until the fifth failure
/// rejects it, which dead-letters it when the queue has a dead-letter exchange. A lost connection comes back by itself; a broker or queue
/// that is missing at the start disables the function for good.
/// </summary>
internal sealed partial class RabbitMQConsumer(RabbitMQFunction function, IServiceProvider services, IConfiguration configuration, IHostApplicationLifetime lifetime, ILogger<RabbitMQConsumer> logger) : BackgroundService
{
    private const int MaximumExecutions = 5;
    private const ushort Prefetch = 30; // as in host.json
    private const string FailureCount = "x-ms-rabbitmq-requeuecount";

    // One message at a time, also when a connection comes back while the function still works on a message of the lost one.
    private readonly SemaphoreSlim turn = new(1, 1);

    private CancellationToken Stopping => lifetime.ApplicationStopping;

    public override void Dispose()
    {
        turn.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await using var connection = await ConnectAsync();
            await using var channel = await connection.CreateChannelAsync(cancellationToken: Stopping);
            await ConsumeAsync(connection, channel);
            LogListening(function.Name, function.Queue);

            await Task.Delay(Timeout.Infinite, Stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await turn.WaitAsync(CancellationToken.None); // for the message in work; what was fetched beyond it goes back to the queue with the connection
            turn.Release();
        }
        catch (Exception error) when (error is not OperationCanceledException || !Stopping.IsCancellationRequested)
        {
            LogDisabled(function.Name, function.Queue, function.ConnectionSetting, error.GetBaseException().Message);
        }
    }

    private Task<IConnection> ConnectAsync()
    {
        var url = configuration[function.ConnectionSetting];
        if (string.IsNullOrEmpty(url))
        {
            throw new InvalidOperationException($"{function.ConnectionSetting} is not set");
        }

        return new ConnectionFactory { Uri = new Uri(url), ClientProvidedName = $"gpt-functions {function.Name}" }.CreateConnectionAsync(Stopping);
    }

    private async Task ConsumeAsync(IConnection connection, IChannel channel)
    {
        var consumer = new AsyncEventingBasicConsumer(channel);
        consumer.ReceivedAsync += ReceiveAsync;
        // The client brings back lost connections with everything on them, but neither of these two.
        consumer.UnregisteredAsync += (_, _) => ReportAsync(() => LogEnded(function.Name, function.Queue, "the broker has cancelled it; was the queue deleted?"));
        channel.ChannelShutdownAsync += (_, reason) => ReportAsync(connection.IsOpen ? () => LogEnded(function.Name, function.Queue, reason.ReplyText) : () => LogLost(function.Name, reason.ReplyText));
        connection.RecoverySucceededAsync += (_, _) => ReportAsync(() => LogListening(function.Name, function.Queue));
        await channel.BasicQosAsync(0, Prefetch, global: false, Stopping);
        await channel.BasicConsumeAsync(function.Queue, autoAck: false, consumer, Stopping);
    }

    private async Task ReceiveAsync(object sender, BasicDeliverEventArgs message)
    {
        await turn.WaitAsync(CancellationToken.None);
        try
        {
            if (!Stopping.IsCancellationRequested)
            {
                await HandleAsync(((AsyncEventingBasicConsumer)sender).Channel, message);
            }
        }
        finally
        {
            turn.Release();
        }
    }

    private async Task HandleAsync(IChannel channel, BasicDeliverEventArgs message)
    {
        var failure = await function.Invoker.InvokeAsync(services, function.ToArgument(message.Body), Stopping);
        try
        {
            if (failure is null)
            {
                await channel.BasicAckAsync(message.DeliveryTag, multiple: false);
            }
            else
            {
                LogFailure(function.Name, function.Queue, failure);
                await RepeatAsync(channel, message);
            }
        }
        catch (Exception error) when (error is RabbitMQClientException or IOException or ObjectDisposedException)
        {
            LogUnsettled(function.Name, error.Message);
        }
    }

    private async Task RepeatAsync(IChannel channel, BasicDeliverEventArgs message)
    {
        var failures = 1 + (message.BasicProperties.Headers?.TryGetValue(FailureCount, out var counted) == true && counted is int earlier ? earlier : 0);
        if (failures >= MaximumExecutions)
        {
            await channel.BasicRejectAsync(message.DeliveryTag, requeue: false);
            return;
        }

        var properties = new BasicProperties(message.BasicProperties);
        properties.Headers = new Dictionary<string, object?>(properties.Headers ?? new Dictionary<string, object?>(), StringComparer.Ordinal) { [FailureCount] = failures };
        await channel.BasicPublishAsync(exchange: "", function.Queue, mandatory: false, properties, message.Body);
        await channel.BasicAckAsync(message.DeliveryTag, multiple: false);
    }

    private Task ReportAsync(Action log)
    {
        if (!Stopping.IsCancellationRequested)
        {
            log();
        }

        return Task.CompletedTask;
    }

    [LoggerMessage(1020, LogLevel.Information, "{Function} listens to the queue {Queue}")]
    private partial void LogListening(string function, string queue);

    [LoggerMessage(1021, LogLevel.Error, "{Function} is disabled until the next start: it cannot consume the queue {Queue} of the broker at {Setting}: {Reason}")]
    private partial void LogDisabled(string function, string queue, string setting, string reason);

    [LoggerMessage(1022, LogLevel.Error, "{Function} failed on a message of the queue {Queue}")]
    private partial void LogFailure(string function, string queue, Exception error);

    [LoggerMessage(1023, LogLevel.Warning, "{Function} could not settle a message, which will be delivered again: {Reason}")]
    private partial void LogUnsettled(string function, string reason);

    [LoggerMessage(1024, LogLevel.Error, "{Function} receives nothing from the queue {Queue} any more: {Reason}")]
    private partial void LogEnded(string function, string queue, string reason);

    [LoggerMessage(1025, LogLevel.Warning, "{Function} has lost its connection to the broker, which is tried again until it comes back: {Reason}")]
    private partial void LogLost(string function, string reason);
}
