using GptFunctions.Hosting;
using GptFunctions.Maintenance;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace GptFunctions.Webhooks;

internal static class WebhookSetup
{
    /// <summary>The webhook inbox and its senders.</summary>
    public static void AddWebhooks(this IHostApplicationBuilder builder)
    {
        // One line for each sender: IWebhookSource says what belongs to one.
        builder.AddSource<ClerkWebhooks>();
        builder.AddSource<StripeWebhooks>();
        builder.AddSource<OrderWebhooks>();
        builder.AddSource<VerificationWebhooks>();

        builder.AddSettings(services => new WebhookKeys(services.GetServices<IWebhookSource>(), services.GetRequiredService<IConfiguration>()));
        builder.Services.AddSingleton<DeliveryStore>().AddSingleton<WebhookStore>().AddSingleton<WebhookService>().AddSingleton<WebhookMetrics>();
        builder.Services.AddSingleton<InboxStore>().AddSingleton<InboxService>();
        builder.AddJob<WebhookReplayJob>();
        builder.Services.AddSingleton<ICheck, StripeCheck>();
        if (FunctionCatalog.IsEnabled(builder.Configuration, WebhookFunctions.Receive))
        {
            builder.Services.AddHostedService<WebhookSecretsCheck>();
        }
    }

    private static void AddSource<TSource>(this IHostApplicationBuilder builder)
        where TSource : class, IWebhookSource
    {
        builder.Services.AddSingleton<TSource>().AddSingleton<IWebhookSource>(services => services.GetRequiredService<TSource>());
        builder.Services.AddSingleton<ICheck>(services => ActivatorUtilities.CreateInstance<WebhookSecretCheck>(
            services, services.GetRequiredService<TSource>()));
    }
}

/// <summary>Says at start which sources cannot be received in Production, because nobody could tell who sent their events.</summary>
internal sealed partial class WebhookSecretsCheck(
    IEnumerable<IWebhookSource> sources, IOptionsMonitor<WebhookKeys> keys, IHostEnvironment environment, ILogger<WebhookSecretsCheck> logger)
    : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var source in sources.Where(source => environment.IsProduction() && keys.CurrentValue.Of(source).Count == 0))
        {
            LogMissing(WebhookKeys.SettingOf(source), source.Name);
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(5001, LogLevel.Error, "{Setting} is not set: POST /webhooks/{Source} answers 503 until it is")]
    private partial void LogMissing(string setting, string source);
}
