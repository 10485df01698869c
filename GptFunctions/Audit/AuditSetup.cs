using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Audit;

internal static class AuditSetup
{
    /// <summary>Outbox, relay, broker topology, audit trail.</summary>
    public static void AddAudit(this IHostApplicationBuilder builder)
    {
        builder.AddSettings<AuditSettings>();
        var services = builder.Services;
        services.AddSingleton<AuditLog>().AddSingleton<AuditTrailStore>().AddSingleton<AuditTrail>();
        services.AddSingleton<AuditSearchStore>().AddSingleton<AuditSearchService>();
        services.AddSingleton<Broker>().AddSingleton<Topology>().AddSingleton<ConsumerCheck>().AddSingleton<RetryQueue>();
        services.AddSingleton<OutboxSignal>().AddSingleton<OutboxStore>().AddSingleton<EventPublisher>().AddSingleton<AuditMetrics>();
        services.AddSingleton<QuarantineStore>().AddSingleton<DeadLetters>().AddSingleton<MessageService>();
        services.AddSingleton<ICheck, BrokerCheck>().AddSingleton<ICheck, OutboxCheck>();
        services.AddHostedService<OutboxRelay>();
    }
}
