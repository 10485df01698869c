using GptFunctions.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Webhooks;

internal static class WebhookSetup
{
    /// <summary>The webhook inbox and its senders.</summary>
    public static void AddWebhooks(this IHostApplicationBuilder builder)
    {
        // One line for each sender: IWebhookSource says what belongs to one.
        builder.Services
            .AddSingleton<IWebhookSource, ClerkWebhooks>()
            .AddSingleton<IWebhookSource, StripeWebhooks>()
            .AddSingleton<IWebhookSource, OrderWebhooks>()
            .AddSingleton<IWebhookSource, VerificationWebhooks>();

        builder.AddSettings(services => new WebhookKeys(services.GetServices<IWebhookSource>(), services.GetRequiredService<IConfiguration>()));
        builder.AddSettings<VerificationSettings>();
        builder.Services.AddSingleton<WebhookStore>().AddSingleton<WebhookService>().AddSingleton<WebhookMetrics>();
        if (FunctionCatalog.IsEnabled(builder.Configuration, WebhookFunctions.Receive))
        {
            builder.Services.AddHostedService<WebhookSecretsCheck>();
        }
    }
}
