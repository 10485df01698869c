using GptFunctions.Hosting;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Audit;

/// <summary>Takes events from the queue into the audit trail.</summary>
internal sealed class AuditFunctions(AuditTrail trail, TimeProvider clock)
{
    public const string Consumer = "AuditConsumer";

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>
    /// Returns normally for anything that can be decided, poison included. While the database is away it waits: the host repeats a
    /// failure at once, and the fifth one sends a good message to the dead letters. Only after two minutes it gives up and throws.
    /// </summary>
    [Function(Consumer)]
    public async Task RecordAsync([RabbitMQTrigger(AuditSettings.Queue, ConnectionStringSetting = "RABBITMQ_URL")] byte[] message, CancellationToken cancellationToken)
    {
        var started = clock.GetTimestamp();
        while (!await TryRecordAsync(message, mayWait: clock.GetElapsedTime(started) < Patience, cancellationToken))
        {
            await Task.Delay(Pause, clock, cancellationToken);
        }
    }

    private async Task<bool> TryRecordAsync(byte[] message, bool mayWait, CancellationToken cancellationToken)
    {
        try
        {
            await trail.RecordAsync(message, cancellationToken);
            return true;
        }
        catch (Exception error) when (mayWait && ErrorMapper.IsOutage(error))
        {
            return false;
        }
    }
}
