using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Webhooks;

/// <summary>Says at start which sources cannot be received in Production, because nobody could tell who sent their events.</summary>
internal sealed partial class WebhookSecretsCheck(IEnumerable<IWebhookSource> sources, IHostEnvironment environment, ILogger<WebhookSecretsCheck> logger) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var source in sources.Where(source => environment.IsProduction() && source.Secrets.Count == 0))
        {
            LogMissing(source.SecretSetting, source.Name);
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(5001, LogLevel.Error, "{Setting} is not set: POST /webhooks/{Source} answers 503 until it is")]
    private partial void LogMissing(string setting, string source);
}
