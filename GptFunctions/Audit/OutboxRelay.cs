using System.Net.Sockets;
using GptFunctions.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RabbitMQ.Client.Exceptions;

namespace GptFunctions.Audit;

/// <summary>
/// Moves events from the outbox to the broker: at least once, and in order per user unless a message had to be repeated. Without a
/// broker (Development) they go straight to the audit trail. Nothing that fails here loses an event; it is only late.
/// </summary>
internal sealed partial class OutboxRelay(
    OutboxStore store, EventPublisher publisher, AuditTrail trail, OutboxSignal signal, AuditMetrics metrics, IOptions<AuditSettings> settings, TimeProvider clock, ILogger<OutboxRelay> logger) : BackgroundService
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(500); // for rows that another process left
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan BacklogInterval = TimeSpan.FromSeconds(10);
    private TimeSpan pause = Poll;
    private DateTimeOffset backlogReadAt;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!settings.Value.IsRelay)
        {
            return;
        }

        if (settings.Value.BrokerUrl is null)
        {
            LogInProcess();
        }

        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await signal.WaitAsync(pause, stoppingToken);
                await MoveAllAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    /// <summary>Until the outbox is empty, or something is in the way: then the pause grows.</summary>
    private async Task MoveAllAsync(CancellationToken stoppingToken)
    {
        string? obstacle = null;
        try
        {
            int delivered, kept;
            bool hasMore;
            do
            {
                (delivered, kept, hasMore) = await store.MoveAsync(messages => DeliverAsync(messages, stoppingToken), stoppingToken);
                metrics.Moved(delivered, kept);
            }
            while (hasMore && !stoppingToken.IsCancellationRequested);

            obstacle = kept > 0 ? "the broker did not take every message; are the exchange and its bindings declared (GptFunctions setup)?" : null;
        }
        catch (Exception error) when (IsOutage(error))
        {
            obstacle = error.Message;
        }

        await ReadBacklogAsync(stoppingToken); // above all while they wait
        Retry(obstacle);
    }

    private static bool IsOutage(Exception error) => error is RabbitMQClientException or IOException or SocketException or TimeoutException || ErrorMapper.IsOutage(error);

    private Task<long[]> DeliverAsync(IReadOnlyList<OutboxMessage> messages, CancellationToken stoppingToken) =>
        settings.Value.BrokerUrl is null ? trail.RecordAsync(messages, stoppingToken) : publisher.PublishAsync(messages, stoppingToken);

    private void Retry(string? obstacle)
    {
        if (obstacle is not null && pause <= Poll)
        {
            LogWaiting(obstacle);
        }
        else if (obstacle is null && pause > Poll)
        {
            LogGoingOn();
        }

        pause = obstacle is null ? Poll : pause >= LongestPause / 2 ? LongestPause : pause * 2;
    }

    private async Task ReadBacklogAsync(CancellationToken cancellationToken)
    {
        if (clock.GetUtcNow() - backlogReadAt < BacklogInterval)
        {
            return;
        }

        backlogReadAt = clock.GetUtcNow();
        try
        {
            metrics.Backlog = await store.ReadBacklogAsync(cancellationToken);
        }
        catch (Exception error) when (ErrorMapper.IsOutage(error))
        {
            // The figures of before stay, and the age goes on growing.
        }
    }

    [LoggerMessage(3001, LogLevel.Information, "RABBITMQ_URL is not set: audit events go to the audit trail inside this process")]
    private partial void LogInProcess();

    [LoggerMessage(3002, LogLevel.Warning, "Audit events wait in the outbox: {Reason}")]
    private partial void LogWaiting(string reason);

    [LoggerMessage(3003, LogLevel.Information, "Audit events leave the outbox again")]
    private partial void LogGoingOn();
}
