using System.Globalization;
using GptFunctions.Hosting;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Configuration;

namespace GptFunctions.Statistics;

/// <summary>Which process this is.</summary>
internal sealed class ThisReplica(IConfiguration configuration, SafeMode safeMode, TimeProvider clock)
{
    private readonly Guid instance = Guid.NewGuid();
    private readonly DateTimeOffset startedAt = clock.GetUtcNow();
    private readonly string name = string.Create(CultureInfo.InvariantCulture, $"{Environment.MachineName}/{Environment.ProcessId}");
    private readonly string role = RoleOf(FunctionCatalog.Find([typeof(ThisReplica).Assembly], configuration));

    public Replica Describe() => new(instance, name, role, ProgramVersion.Text, safeMode.IsOn, startedAt);

    // The probes are HTTP, too, and everywhere; what browsers and clients need is not.
    private static string RoleOf(IReadOnlyList<FunctionDescriptor> functions) => string.Join(", ", new[]
    {
        functions.Any(function => function.Name == FunctionNames.Token) ? "http" : null,
        functions.Any(function => function.Trigger is RabbitMQTriggerAttribute) ? "audit" : null,
        functions.Any(function => function.Trigger is TimerTriggerAttribute) ? "timers" : null,
    }.OfType<string>());
}
