using GptFunctions.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace GptFunctions.Webhooks;

/// <summary>
/// The secrets that webhooks are signed with, in settings that are named after their source: NAME_WEBHOOK_SECRET and, as Clerk calls it,
/// NAME_WEBHOOK_SIGNING_SECRET. Several at once (rotation, two instances of a sender): any of them may have signed. A source without a secret answers
/// 503 in Production, which is no reason not to start: not everybody has every sender.
/// </summary>
[Setting("CLERK_WEBHOOK_SECRET", IsSecret = true, Default = "none: `/webhooks/clerk` answers 503", Development = Unsigned,
    Meaning = "signing secret of the endpoint in Clerk's dashboard (`whsec_...`); this and the following may be several, separated by spaces, "
        + "for a rotation or two instances")]
[Setting("CLERK_WEBHOOK_SIGNING_SECRET", IsSecret = true, Meaning = "the same under Clerk's own name; both count")]
[Setting("STRIPE_WEBHOOK_SECRET", IsSecret = true, Meaning = "signing secret of the endpoint in Stripe's dashboard",
    Default = "none: 503", Development = Unsigned)]
[Setting("ORDERS_WEBHOOK_SECRET", IsSecret = true, Meaning = "shared with the shop", Default = "none: 503", Development = Unsigned)]
[Setting("VERIFICATION_WEBHOOK_SECRET", IsSecret = true, Meaning = "shared with the verification provider", Default = "none: 503", Development = Unsigned)]
internal sealed class WebhookKeys(IEnumerable<IWebhookSource> sources, IConfiguration configuration) : IKeys
{
    private const string Unsigned = "none: accepted unsigned, with a warning";
    private readonly Dictionary<IWebhookSource, string[]> secrets = sources.ToDictionary(source => source, source => Read(source, configuration));

    /// <summary>The setting that a source's secret is looked for in.</summary>
    public static string SettingOf(IWebhookSource source) => source.Name.ToUpperInvariant() + "_WEBHOOK_SECRET";

    /// <summary>Any of them may have signed; empty when the source is not configured.</summary>
    public IReadOnlyList<string> Of(IWebhookSource source) => secrets[source];

    public IEnumerable<string> Problems(bool isProduction) =>
        from source in secrets
        let objection = source.Value.Select(source.Key.Signature.Objection).FirstOrDefault(objection => objection is not null)
        where objection is not null
        select $"{SettingOf(source.Key)} holds a value that is no signing secret: {objection} (several, separated by spaces).";

    private static string[] Read(IWebhookSource source, IConfiguration configuration) =>
        $"{configuration[SettingOf(source)]} {configuration[source.Name.ToUpperInvariant() + "_WEBHOOK_SIGNING_SECRET"]}"
            .Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
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
