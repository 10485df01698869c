using System.Globalization;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.Webhooks;

/// <summary>
/// There is a secret to verify a sender's events with, one check for each sender. It is inbound: nothing is done outside without it, so it is not safe
/// mode; and not everybody has every sender, so it blocks nothing.
/// </summary>
internal sealed class WebhookSecretCheck(IWebhookSource source, IOptionsMonitor<WebhookKeys> keys, IHostEnvironment environment) : ICheck
{
    public string Name => "webhook_" + source.Name;

    public Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        var secrets = keys.CurrentValue.Of(source).Count;
        finding.Details["secrets"] = secrets;
        if (secrets == 0)
        {
            var effect = environment.IsProduction() ? "answers 503" : "takes what nobody signed";
            finding.Say(CheckState.Degraded, $"{WebhookKeys.SettingOf(source)} is not set: POST /webhooks/{source.Name} {effect}.");
        }

        return Task.CompletedTask;
    }
}

/// <summary>Who paid has a plan: Stripe's events take effect.</summary>
internal sealed class StripeCheck(Database database) : ICheck
{
    // The index of failures first: there are few.
    private static readonly Sql Failed = new("""
        SELECT count(*)
        FROM webhook_events
        WHERE status = 'failed' AND processed_at > now() - interval '1 day' AND source = 'stripe'
        """);

    public string Name => "stripe";

    public async Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        var failed = await database.LookUp(Failed).FirstAsync(reader => reader.GetInt64(0));
        finding.Details["failed_today"] = failed;
        if (failed > 0)
        {
            finding.Say(CheckState.Degraded, string.Create(
                CultureInfo.InvariantCulture,
                $"{failed} events of Stripe failed within a day: GptFunctions webhooks list --status failed --source stripe."));
        }
    }
}
