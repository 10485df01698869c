using System.Text.Json;
using GptFunctions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>What one event says of a subscription, and of whom it belongs to.</summary>
/// <param name="SubscriptionId">A subscription's id, or a checkout session's for a one-time purchase.</param>
/// <param name="ClerkUserId">Named by ourselves when the checkout began.</param>
/// <param name="Plan">What was bought.</param>
/// <param name="Status">The subscription's own word.</param>
/// <param name="Payment"><c>active</c> or <c>past_due</c>, after a payment that succeeded or failed.</param>
internal sealed record SubscriptionNews(string SubscriptionId, string? CustomerId, string? ClerkUserId, string? Plan = null, string? Status = null, string? Payment = null, bool IsEnded = false);

/// <summary>
/// Stripe tells who pays. Its events come in any order, and three kinds of them tell parts of the story: the subscription's own (plan and status),
/// payments (status), and the checkout (whose it is). Each kind has an order of its own, so that one never hides another.
/// </summary>
internal sealed class StripeWebhooks(IOptionsMonitor<WebhookKeys> keys) : IWebhookSource
{
    private const string Checkout = "checkout.session.completed";
    private const string CheckoutPaidLater = "checkout.session.async_payment_succeeded";
    private const string Created = "customer.subscription.created";
    private const string Updated = "customer.subscription.updated";
    private const string Ended = "customer.subscription.deleted";
    private const string Paid = "invoice.paid";
    private const string PaymentFailed = "invoice.payment_failed";

    public string Name => "stripe";

    public string SecretSetting => "STRIPE_WEBHOOK_SECRET";

    public IReadOnlyList<string> Secrets => keys.CurrentValue.StripeSecrets;

    public ISignature Signature { get; } = new StripeSignature();

    public WebhookEvent? Read(JsonElement body, string? headerId)
    {
        if (body.Text("id") is not { } id || body.Text("type") is not { } type)
        {
            return null;
        }

        var webhook = new WebhookEvent(id, type, body.Object("data").Object("object")) { OccurredAt = body.UnixTime("created", 1) };
        if (!IsHandled(type))
        {
            return webhook with { IsHandled = false }; // also a thin event, which has no such data and another kind of time
        }

        return webhook is { Data: { ValueKind: JsonValueKind.Object } data, OccurredAt: not null } ? Read(webhook, data) : null;
    }

    private static bool IsHandled(string type) =>
        type is Created or Updated or Ended or Paid or PaymentFailed or Checkout or CheckoutPaidLater;

    private static WebhookEvent? Read(WebhookEvent webhook, JsonElement data) => webhook.Type switch
    {
        Paid or PaymentFailed => InvoiceSubscription(data) is { } subscription
            ? webhook with { Subject = subscription + " payments", Order = EventOrder.Change }
            : webhook with { IsHandled = false }, // an invoice that belongs to no subscription
        Checkout or CheckoutPaidLater => data.Text("id") is { } session ? webhook with { Subject = session } : null, // completed once
        var change => data.Text("id") is { } subscription
            ? webhook with { Subject = subscription, Order = change switch { Created => EventOrder.Creation, Ended => EventOrder.Deletion, _ => EventOrder.Change } }
            : null,
    };

    public void AddChanges(NpgsqlBatch batch, WebhookEvent webhook, Occasion occasion)
    {
        if (webhook.IsHandled)
        {
            StripeStore.AddNews(batch, Tell(webhook), webhook.OccurredAt!.Value, occasion);
        }
    }

    private static SubscriptionNews Tell(WebhookEvent webhook)
    {
        var data = webhook.Data;
        var customer = Reference(data, "customer");
        switch (webhook.Type)
        {
            case Checkout or CheckoutPaidLater:
                var metadata = data.Object("metadata");
                var isPaid = data.Text("payment_status") is "paid" or "no_payment_required";
                // Whoever opens a payment link writes the reference: it says whose it is when somebody has paid for that, not before.
                var user = isPaid ? data.Text("client_reference_id") ?? metadata.Text("clerk_user_id") : null;
                var bought = Reference(data, "subscription") ?? data.Text("id")!;
                return new SubscriptionNews(bought, customer, user, metadata.Text("plan"), Payment: isPaid ? "active" : null);
            case Paid or PaymentFailed:
                var payer = Details(data).Object("metadata").Text("clerk_user_id");
                return new SubscriptionNews(InvoiceSubscription(data)!, customer, payer, Payment: webhook.Type == Paid ? "active" : "past_due");
            default:
                return new SubscriptionNews(webhook.Subject!, customer, data.Object("metadata").Text("clerk_user_id"), PlanOf(data), data.Text("status") ?? "incomplete", IsEnded: webhook.Type == Ended);
        }
    }

    /// <summary>The plan's name as we gave it to Stripe: in the subscription's metadata, else the price's look-up key or nickname, else the price's id.</summary>
    private static string? PlanOf(JsonElement subscription)
    {
        var price = subscription.Object("items").Items("data").FirstOrDefault().Object("price");
        return subscription.Object("metadata").Text("plan") ?? price.Text("lookup_key") ?? price.Text("nickname") ?? price.Text("id");
    }

    private static string? InvoiceSubscription(JsonElement invoice) => Reference(invoice, "subscription") ?? Reference(Details(invoice), "subscription");

    /// <summary>Since API version 2025-03-31 below <c>parent</c>.</summary>
    private static JsonElement Details(JsonElement invoice) =>
        invoice.Object("parent").Member("subscription_details") ?? invoice.Object("subscription_details");

    /// <summary>A reference is an id or, when the endpoint asks for it, the whole object.</summary>
    private static string? Reference(JsonElement element, string name) => element.Text(name) ?? element.Object(name).Text("id");
}
