using System.ComponentModel.DataAnnotations;
using GptFunctions.Hosting;

namespace GptFunctions.Webhooks;

/// <summary>
/// The secrets that webhooks are signed with. Several at once (rotation, two instances of a sender): any of them may have signed. A source without a
/// secret answers 503 in Production, which is no reason not to start: not everybody has every sender.
/// </summary>
internal sealed class WebhookSettings : ISettings
{
    [Setting("CLERK_WEBHOOK_SECRET")]
    public string[] ClerkSecrets { get; set; } = [];

    /// <summary>Clerk's own name for <see cref="ClerkSecrets"/>.</summary>
    [Setting("CLERK_WEBHOOK_SIGNING_SECRET")]
    public string[] ClerkSigningSecrets { get; set; } = [];

    [Setting("STRIPE_WEBHOOK_SECRET")]
    public string[] StripeSecrets { get; set; } = [];

    [Setting("VERIFICATION_WEBHOOK_SECRET")]
    public string[] VerificationSecrets { get; set; } = [];

    [Setting("ORDERS_WEBHOOK_SECRET")]
    public string[] OrdersSecrets { get; set; } = [];

    /// <summary>Hours a customer has to verify an order.</summary>
    [Setting("VERIFICATION_DEADLINE_HOURS")]
    [Range(1, 8760, ErrorMessage = "VERIFICATION_DEADLINE_HOURS must be between 1 and 8760.")]
    public int VerificationDeadlineHours { get; set; } = 72;

    public IEnumerable<string> Problems(bool isProduction)
    {
        if (ClerkSecrets.Concat(ClerkSigningSecrets).Any(secret => !SvixSignature.IsSecret(secret)))
        {
            yield return "CLERK_WEBHOOK_SECRET holds a value that is no signing secret: copy it from the endpoint in Clerk's dashboard, it begins with whsec_ (several, separated by spaces).";
        }
    }
}
