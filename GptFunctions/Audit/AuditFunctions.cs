using GptFunctions.Hosting;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using RabbitMQ.Client.Exceptions;

namespace GptFunctions.Audit;

/// <summary>Takes events from the queue into the audit trail.</summary>
internal sealed partial class AuditFunctions(
    AuditTrail trail, RetryQueue retries, AuditMetrics metrics, IOptions<AuditSettings> settings, TimeProvider clock, ILogger<AuditFunctions> logger)
{
    public const string Consumer = "AuditConsumer";

    private readonly TimeSpan hold = settings.Value.Hold;

    /// <summary>
    /// Returns normally for anything that can be decided, poison included. The host repeats a failure at once, and the fifth one sends a good
    /// message to the dead letters; so what is the database's fault is no failure: the message is held for a while, then handed to
    /// the retry queue. The same when the program stops meanwhile, because a cancelled function counts as failed.
    /// </summary>
    [Function(Consumer)]
    public async Task RecordAsync(
        [RabbitMQTrigger(AuditSettings.Queue, ConnectionStringSetting = "RABBITMQ_URL")] byte[] message, CancellationToken cancellationToken)
    {
        var heldSince = clock.GetTimestamp();
        while (!await TryRecordAsync(message))
        {
            if (cancellationToken.IsCancellationRequested || clock.GetElapsedTime(heldSince) >= hold)
            {
                if (await TryHandOverAsync(message))
                {
                    return;
                }

                heldSince = clock.GetTimestamp();
            }

            cancellationToken.ThrowIfCancellationRequested(); // neither database nor broker: the broker still has it
            await Task.Delay(hold / 20, clock, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<bool> TryRecordAsync(byte[] message)
    {
        try
        {
            await trail.RecordAsync(message, CancellationToken.None); // over in a moment, and what is written need not come again
            return true;
        }
        catch (Exception error) when (!IsOfTheMessage(error))
        {
            return false;
        }
    }

    /// <summary>Whether the same message would fail in a database that is well, too. A table that is missing or locked up is repaired one day.</summary>
    private static bool IsOfTheMessage(Exception error) => error switch
    {
        PostgresException refusal => refusal.SqlState.StartsWith("23", StringComparison.Ordinal), // integrity constraint violation
        NpgsqlException => false,
        _ => !ErrorMapper.IsOutage(error),
    };

    private async Task<bool> TryHandOverAsync(byte[] message)
    {
        try
        {
            await retries.PublishAsync(message);
            metrics.Consumed("handed_over");
            LogHandedOver(settings.Value.RetrySeconds);
            return true;
        }
        catch (Exception error) when (Broker.IsOutage(error) || error is OperationCanceledException or PublishException)
        {
            LogHeld(AuditSettings.Retry, error.Message);
            return false;
        }
    }

    [LoggerMessage(3020, LogLevel.Warning, "The database does not take an audit event, which comes again in {Seconds} s")]
    private partial void LogHandedOver(int seconds);

    [LoggerMessage(
        3021, LogLevel.Warning,
        "An audit event is held, because neither the database takes it nor the queue {Queue} (GptFunctions setup declares it): {Reason}")]
    private partial void LogHeld(string queue, string reason);
}
