using GptFunctions.Hosting;

namespace GptFunctions.Webhooks;

/// <summary>
/// The secrets that webhooks are signed with. Several at once (rotation, two instances of a sender): any of them may have signed. A source without a
/// secret answers 503 in Production, which is no reason not to start: not everybody has every sender.
/// </summary>
internal sealed class WebhookKeys : IKeys
{
    private const string Unsigned = "none: accepted unsigned, with a warning";

    [Setting("CLERK_WEBHOOK_SECRET", IsSecret = true, Default = "none: `/webhooks/clerk` answers 503", Development = Unsigned,
        Meaning = "signing secret of the endpoint in Clerk's dashboard (`whsec_...`); this and the following may be several, separated by spaces, "
            + "for a rotation or two instances")]
    public string[] ClerkSecrets { get; set; } = [];

    [Setting("CLERK_WEBHOOK_SIGNING_SECRET", IsSecret = true, Meaning = "the same under Clerk's own name; both count")]
    public string[] ClerkSigningSecrets { get; set; } = [];

    [Setting("STRIPE_WEBHOOK_SECRET", IsSecret = true, Meaning = "signing secret of the endpoint in Stripe's dashboard",
        Default = "none: 503", Development = Unsigned)]
    public string[] StripeSecrets { get; set; } = [];

    [Setting("ORDERS_WEBHOOK_SECRET", IsSecret = true, Meaning = "shared with the shop", Default = "none: 503", Development = Unsigned)]
    public string[] OrdersSecrets { get; set; } = [];

    [Setting("VERIFICATION_WEBHOOK_SECRET", IsSecret = true, Meaning = "shared with the verification provider", Default = "none: 503", Development = Unsigned)]
    public string[] VerificationSecrets { get; set; } = [];

    public IEnumerable<string> Problems(bool isProduction)
    {
        if (ClerkSecrets.Concat(ClerkSigningSecrets).Any(secret => !SvixSignature.IsSecret(secret)))
        {
            yield return "CLERK_WEBHOOK_SECRET holds a value that is no signing secret: copy it from the endpoint in Clerk's dashboard, "
                + "it begins with whsec_ (several, separated by spaces).";
        }
    }
}

internal sealed class VerificationSettings : ISettings
{
    [Setting("VERIFICATION_DEADLINE_HOURS", 1, 8760, Meaning = "hours in which an order must be verified")]
    public int DeadlineHours { get; set; } = 72;
}
