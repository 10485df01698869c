using System.ComponentModel.DataAnnotations;
using GptFunctions.Hosting;

namespace GptFunctions.Audit;

/// <summary>How audit events travel.</summary>
internal sealed class AuditSettings : ISettings
{
    public const string Queue = "gpt-audit-events";
    public const string DeadLetters = "gpt-audit-events.dead";
    public const string Retry = "gpt-audit-events.retry";

    /// <summary>An <c>amqp://</c> or <c>amqps://</c> URL. In Development without it, events reach the audit table inside this process.</summary>
    [Setting("RABBITMQ_URL")]
    public string? BrokerUrl { get; set; }

    /// <summary>The topic exchange that events are published to.</summary>
    [Setting("GPT_EVENTS_EXCHANGE")]
    public string Exchange { get; set; } = "gpt.events";

    /// <summary><c>classic</c> or <c>quorum</c> (replicated, for clusters); decided when the queue is first declared.</summary>
    [Setting("AUDIT_QUEUE_TYPE")]
    public string QueueType { get; set; } = "classic";

    /// <summary>Whether this process publishes what waits in the outbox. Processes take turns, so any number may.</summary>
    [Setting("OUTBOX_RELAY")]
    public bool IsRelay { get; set; } = true;

    /// <summary>
    /// Seconds after which an event comes again that the database did not take. Half as long a message is held before it is handed over:
    /// times the messages that the trigger fetches ahead (30) that stays below the half hour after which the broker takes unacknowledged ones away.
    /// </summary>
    [Setting("AUDIT_RETRY_SECONDS")]
    [Range(1, 110, ErrorMessage = "AUDIT_RETRY_SECONDS must be between 1 and 110.")]
    public int RetrySeconds { get; set; } = 60;

    public TimeSpan Hold => TimeSpan.FromSeconds(RetrySeconds) / 2;

    public IEnumerable<string> Problems(bool isProduction)
    {
        if (BrokerUrl is null && isProduction)
        {
            yield return "RABBITMQ_URL is missing: set it to an amqp:// or amqps:// URL, for example amqps://user:password@broker:5671.";
        }

        if (BrokerUrl is not null && !(Uri.TryCreate(BrokerUrl, UriKind.Absolute, out var url) && url.Scheme is "amqp" or "amqps"))
        {
            yield return "RABBITMQ_URL must be an amqp:// or amqps:// URL; percent-encode special characters in the password.";
        }

        if (QueueType is not ("classic" or "quorum"))
        {
            yield return "AUDIT_QUEUE_TYPE must be classic or quorum.";
        }
    }
}
