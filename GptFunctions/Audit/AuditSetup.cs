using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Audit;

internal static class AuditSetup
{
    public static void AddAudit(this IHostApplicationBuilder builder) => builder.Services.AddSingleton<AuditLog>();
}
