using GptFunctions.Hosting;

namespace GptFunctions.Audit;

/// <summary>How audit events travel.</summary>
internal sealed class AuditSettings : ISettings
{
    public const string Queue = "gpt-audit-events";
    public const string DeadLetters = "gpt-audit-events.dead";
    public const string Retry = "gpt-audit-events.retry";

    [Setting("RABBITMQ_URL", IsSecret = true, InProductionOnly = true, Schemes = "amqp amqps",
        Meaning = "`amqp://` or `amqps://` URL; the name in the server's certificate is checked",
        Missing = "set it to an amqp:// or amqps:// URL, for example amqps://user:password@broker:5671",
        MustBe = "an amqp:// or amqps:// URL; percent-encode special characters in the password",
        Development = "none: events go to the audit trail inside the process")]
    public string? BrokerUrl { get; set; }

    [Setting("GPT_EVENTS_EXCHANGE", Meaning = "topic exchange that events are published to")]
    public string Exchange { get; set; } = "gpt.events";

    [Setting("AUDIT_QUEUE_TYPE", OneOf = "classic quorum",
        Meaning = "`classic`, or `quorum` for a cluster of brokers; decided when `setup` first declares the queue")]
    public string QueueType { get; set; } = "classic";

    /// <summary>Processes take turns, so any number may.</summary>
    [Setting("OUTBOX_RELAY", Meaning = "`false`: this process leaves the outbox to others")]
    public bool IsRelay { get; set; } = true;

    /// <summary>
    /// Half as long a message is held before it is handed over: times the messages that the trigger fetches ahead (30) that stays below the half hour after
    /// which the broker takes unacknowledged ones away.
    /// </summary>
    [Setting("AUDIT_RETRY_SECONDS", 1, 110,
        Meaning = "seconds after which an event comes again that the database did not take; held in the consumer for half as long before that")]
    public int RetrySeconds { get; set; } = 60;

    public TimeSpan Hold => TimeSpan.FromSeconds(RetrySeconds) / 2;
}
