using System.Diagnostics;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Hosting;

[Setting("AZURE_FUNCTIONS_ENVIRONMENT", Meaning = "`Development` relaxes what this table says; anything else is Production", Default = "Production")]
[Setting("SECRETS_PATH", Meaning = "directory with settings as files", Default = $"`{DefaultSecretsPath}`")]
internal static class HostingSetup
{
    public const string DefaultSecretsPath = "/mnt/secrets";

    // A call through the gateway has 45 s until its upstream must have begun to answer. The image gives the Functions host the same time, and
    // the pod (terminationGracePeriodSeconds) more.
    private const string StopSeconds = "50";

    /// <summary>What both hosts share: where settings come from, correlation, security headers, error mapping.</summary>
    public static void AddHosting(this IHostApplicationBuilder builder)
    {
        // Development must be said in so many words; a missing or misspelt value is Production.
        builder.Environment.EnvironmentName = builder.Configuration["AZURE_FUNCTIONS_ENVIRONMENT"] == Environments.Development
            ? Environments.Development
            : Environments.Production;
        builder.Services.AddSingleton<IHostEnvironment>(builder.Environment); // ASP.NET Core's builder keeps two; this is the one just set
        builder.Configuration.Add<SecretsSource>(source => source.Path = builder.Configuration["SECRETS_PATH"] ?? DefaultSecretsPath);

        builder.AddSettings<ProxySettings>();
        builder.AddSettings<SafeModeSettings>();
        builder.AddSettings<ServiceKeys>();
        builder.Services.AddSingleton<ServiceKey>();
        builder.Services.AddSingleton<SafeMode>();
        builder.Services.AddSingleton<RefusedChanges>().AddSingleton<ICheck, SecretsMountCheck>();
        builder.Services.AddSingleton<Occasions>().AddSingleton<RefusalTally>();
        builder.Services.AddSingleton<ErrorMapper>();
        builder.Services.AddSingleton<RequestLog>().AddHostedService(services => services.GetRequiredService<RequestLog>());
        builder.Services.AddSingleton<IStartupFilter, RequestPipeline>();
        builder.Services.AddSingleton<DistributedContextPropagator, TraceContextPropagator>();
        // Below every other source, so that ASPNETCORE_SHUTDOWNTIMEOUTSECONDS counts, as in the Functions host.
        builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource { InitialData = [new("shutdownTimeoutSeconds", StopSeconds)] });
        builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
        // It would give each line the path, with whatever stands in it. The correlation id comes from RequestLog, the trace from the activity.
        builder.Logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None);
        builder.Logging.Configure(options => options.ActivityTrackingOptions = ActivityTrackingOptions.TraceId | ActivityTrackingOptions.SpanId);
    }
}
