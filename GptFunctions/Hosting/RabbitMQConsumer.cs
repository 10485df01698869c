using System.Diagnostics;
using System.Text;
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
/// rejects it, which dead-letters it when the queue has a dead-letter exchange. In one thing it is better: a broker or queue that is
/// missing at the start, or goes away, is tried again until it is there.
/// </summary>
internal sealed partial class RabbitMQConsumer(
    RabbitMQFunction function, IServiceProvider services, IConfiguration configuration, IHostApplicationLifetime lifetime, ILogger<RabbitMQConsumer> logger)
    : SteadyService(logger)
{
    private const int MaximumExecutions = 5;
    private const ushort Prefetch = 30; // as in host.json
    private const string FailureCount = "x-ms-rabbitmq-requeuecount";
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    // One message at a time, also when a new connection stands while the function still works on a message of the lost one.
    private readonly SemaphoreSlim turn = new(1, 1);
    private readonly string? url = configuration[function.ConnectionSetting];
    private TimeSpan pause = FirstPause;

    private CancellationToken Stopping => lifetime.ApplicationStopping;

    public override void Dispose()
    {
        turn.Dispose();
        base.Dispose();
    }

    /// <summary>One connection, until it is lost.</summary>
    protected override async Task<bool> StepAsync(CancellationToken stoppingToken)
    {
        string ended;
        try
        {
            ended = await ListenAsync();
        }
        catch (Exception error) when (error is not OutOfMemoryException) // whatever it is, at the stop too: nobody else waits for this
        {
            ended = error.GetBaseException().Message;
        }

        if (Stopping.IsCancellationRequested)
        {
            return false;
        }

        if (pause == FirstPause)
        {
            LogWaiting(function.Name, function.Queue, function.ConnectionSetting, ended);
        }

        await Task.Delay(pause, Stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        pause = pause >= LongestPause / 2 ? LongestPause : pause * 2;
        return true;
    }

    /// <returns>Why it ended, if not because the program stops.</returns>
    private async Task<string> ListenAsync()
    {
        if (string.IsNullOrEmpty(url))
        {
            throw new InvalidOperationException($"{function.ConnectionSetting} is not set");
        }

        await using var connection = await BrokerConnections.OpenAsync(url, function.Name, Stopping);
        await using var channel = await connection.CreateChannelAsync(cancellationToken: Stopping);
        var end = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        var consumer = new AsyncEventingBasicConsumer(channel);
        consumer.ReceivedAsync += ReceiveAsync;
        consumer.UnregisteredAsync += (_, _) => EndAsync("the broker has cancelled it; was the queue deleted?");
        channel.ChannelShutdownAsync += (_, reason) => EndAsync(reason.ReplyText); // also when the connection ends
        await channel.BasicQosAsync(0, Prefetch, global: false, Stopping);
        await channel.BasicConsumeAsync(function.Queue, autoAck: false, consumer, Stopping);
        pause = FirstPause;
        LogListening(function.Name, function.Queue);

        await Task.WhenAny(end.Task, Task.Delay(Timeout.Infinite, Stopping));
        if (end.Task.IsCompleted)
        {
            return await end.Task;
        }

        await turn.WaitAsync(CancellationToken.None); // for the message in work; what was fetched beyond it goes back to the queue with the connection
        turn.Release();
        return "";

        Task EndAsync(string reason)
        {
            end.TrySetResult(reason);
            return Task.CompletedTask;
        }
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
        var failure = await function.Invoker.InvokeAsync(services, function.ToArgument(message.Body), TraceOf(message), Stopping);
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

    private static ActivityContext? TraceOf(BasicDeliverEventArgs message) =>
        Traces.Source.HasListeners() && message.BasicProperties.Headers?.TryGetValue("traceparent", out var given) == true && given is byte[] text
            ? Traces.Parse(Encoding.ASCII.GetString(text))
            : null;

    private async Task RepeatAsync(IChannel channel, BasicDeliverEventArgs message)
    {
        var failures = 1 + (message.BasicProperties.Headers?.TryGetValue(FailureCount, out var counted) == true && counted is int earlier ? earlier : 0);
        if (failures >= MaximumExecutions)
        {
            await channel.BasicRejectAsync(message.DeliveryTag, requeue: false);
            return;
        }

        var properties = new BasicProperties(message.BasicProperties);
        properties.Headers = new Dictionary<string, object?>(
            properties.Headers ?? new Dictionary<string, object?>(), StringComparer.Ordinal)
        { [FailureCount] = failures };
        await channel.BasicPublishAsync(exchange: "", function.Queue, mandatory: false, properties, message.Body);
        await channel.BasicAckAsync(message.DeliveryTag, multiple: false);
    }

    [LoggerMessage(1020, LogLevel.Information, "{Function} listens to the queue {Queue}")]
    private partial void LogListening(string function, string queue);

    [LoggerMessage(1021, LogLevel.Error, "{Function} receives nothing from the queue {Queue} of the broker at {Setting}; it is tried again: {Reason}")]
    private partial void LogWaiting(string function, string queue, string setting, string reason);

    [LoggerMessage(1022, LogLevel.Error, "{Function} failed on a message of the queue {Queue}")]
    private partial void LogFailure(string function, string queue, Exception error);

    [LoggerMessage(1023, LogLevel.Warning, "{Function} could not settle a message, which will be delivered again: {Reason}")]
    private partial void LogUnsettled(string function, string reason);
}
