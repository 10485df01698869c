using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Webhooks;

internal static class WebhookSetup
{
    /// <summary>The webhook inbox: Clerk, Stripe, orders, verification.</summary>
    public static void AddWebhooks(this IHostApplicationBuilder builder)
    {
        builder.AddSettings<WebhookKeys>();
        builder.AddSettings<VerificationSettings>();
        var services = builder.Services;
        services.AddSingleton<WebhookStore>().AddSingleton<WebhookService>().AddSingleton<WebhookMetrics>();
        services.AddSource<ClerkWebhooks>().AddSource<StripeWebhooks>().AddSource<VerificationWebhooks>().AddSource<OrderWebhooks>();
        if (FunctionCatalog.IsEnabled(builder.Configuration, WebhookFunctions.Clerk))
        {
            services.AddHostedService<WebhookSecretsCheck>();
        }
    }

    private static IServiceCollection AddSource<T>(this IServiceCollection services)
        where T : class, IWebhookSource => services.AddSingleton<T>().AddSingleton<IWebhookSource>(provider => provider.GetRequiredService<T>());
}
