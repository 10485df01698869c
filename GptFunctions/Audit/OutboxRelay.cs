using GptFunctions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace GptFunctions.Audit;

/// <summary>
/// Moves events from the outbox to the broker: at least once, and in order per user unless a message had to be repeated. Without a
/// broker (Development) they go straight to the audit trail. Nothing that fails here loses an event; it is only late.
/// </summary>
internal sealed partial class OutboxRelay(
    OutboxStore store, EventPublisher publisher, AuditTrail trail, OutboxSignal signal, AuditMetrics metrics, IOptions<AuditSettings> settings,
    TimeProvider clock, ILogger<OutboxRelay> logger) : SteadyService(logger)
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(500); // for rows that another process left
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan BacklogInterval = TimeSpan.FromSeconds(10);
    private readonly UnroutableEvents unroutable = new(clock);
    private TimeSpan pause = Poll;
    private bool isWaiting;
    private bool hasStarted;
    private DateTimeOffset backlogReadAt;

    protected override async Task<bool> StepAsync(CancellationToken stoppingToken)
    {
        if (!settings.Value.IsRelay)
        {
            return false;
        }

        if (settings.Value.BrokerUrl is null && !hasStarted)
        {
            LogInProcess();
        }

        hasStarted = true;
        await signal.WaitAsync(pause, stoppingToken);
        await MoveAllAsync(stoppingToken);
        return true;
    }

    /// <summary>Until the outbox is empty, or something is in the way: then the pause grows.</summary>
    private async Task MoveAllAsync(CancellationToken stoppingToken)
    {
        string? obstacle = null;
        Exception? surprise = null;
        try
        {
            Moved moved;
            do
            {
                unroutable.BeginRound();
                moved = await store.MoveAsync(messages => DeliverAsync(messages, stoppingToken), stoppingToken);
                metrics.Moved(moved.Delivered, moved.Kept);
                await SetAsideAsync(stoppingToken);
            }
            while (moved.HasMore && !stoppingToken.IsCancellationRequested);

            obstacle = moved.Kept > 0 ? "the broker did not take every message; are the exchange and its bindings declared (GptFunctions setup)?" : null;
        }
        catch (Exception error) when (error is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
        {
            // An outage, or whatever else: a table that is being repaired, a bug. Events wait in any case.
            (obstacle, surprise) = (error.Message, Broker.IsOutage(error) || ErrorMapper.IsOutage(error) ? null : error);
        }

        await ReadBacklogAsync(stoppingToken); // above all while they wait
        Retry(obstacle, surprise);
    }

    private async Task<Delivery> DeliverAsync(IReadOnlyList<OutboxMessage> messages, CancellationToken stoppingToken)
    {
        using var batch = EventSpans.StartBatch(messages);
        var delivery = settings.Value.BrokerUrl is null
            ? await trail.RecordAsync(messages, stoppingToken)
            : await publisher.PublishAsync(messages, stoppingToken);
        unroutable.Note(delivery.Unroutable);
        return delivery;
    }

    private async Task SetAsideAsync(CancellationToken stoppingToken)
    {
        if (unroutable.EndRound() is { Length: > 0 } positions)
        {
            LogSetAside(await store.SetAsideAsync(positions, stoppingToken));
            backlogReadAt = default;
        }
    }

    private void Retry(string? obstacle, Exception? surprise)
    {
        if (obstacle is not null && !isWaiting)
        {
            LogWaiting(obstacle, surprise);
        }
        else if (obstacle is null && isWaiting)
        {
            LogGoingOn();
        }

        isWaiting = obstacle is not null;
        signal.Obstacle = obstacle;
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
        catch (Exception error) when (error is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            // The figures of before stay, and the age goes on growing. That the database is not well is said above.
        }
    }

    [LoggerMessage(3001, LogLevel.Information, "RABBITMQ_URL is not set: audit events go to the audit trail inside this process")]
    private partial void LogInProcess();

    [LoggerMessage(3002, LogLevel.Warning, "Audit events wait in the outbox: {Reason}")]
    private partial void LogWaiting(string reason, Exception? surprise);

    [LoggerMessage(3003, LogLevel.Information, "Audit events leave the outbox again")]
    private partial void LogGoingOn();

    [LoggerMessage(
        3004, LogLevel.Error, "{Count} audit events were set aside, because no queue takes them; 'GptFunctions audit stranded' lists them and puts them back")]
    private partial void LogSetAside(int count);
}
