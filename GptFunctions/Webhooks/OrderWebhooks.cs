using System.Globalization;
using System.Text.Json;
using GptFunctions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>A shop tells of orders; each opens a verification session with its countdown.</summary>
internal sealed class OrderWebhooks(IOptionsMonitor<WebhookKeys> keys, IOptions<VerificationSettings> settings) : IWebhookSource
{
    public string Name => "orders";

    public string SecretSetting => "ORDERS_WEBHOOK_SECRET";

    public IReadOnlyList<string> Secrets => keys.CurrentValue.OrdersSecrets;

    public ISignature Signature { get; } = new HmacSignature();

    public WebhookEvent? Read(JsonElement body, string? headerId)
    {
        var orderId = body.Text("orderId");
        if (body.Text("event") is not { } type || (body.Text("id") ?? orderId) is not { } id)
        {
            return null;
        }

        var webhook = new WebhookEvent($"{id} {type}", type, body) { Subject = orderId };
        return type != "order.created" ? webhook with { IsHandled = false }
            : orderId is null || body.Text("customerEmail") is null || Total(body) is null ? null
            : webhook;
    }

    public void AddChanges(NpgsqlBatch batch, WebhookEvent webhook, Occasion occasion)
    {
        if (webhook.IsHandled)
        {
            var order = new Order(webhook.Subject!, webhook.Data.Text("customerEmail")!, Total(webhook.Data)!.Value);
            VerificationStore.AddOpen(batch, order, TimeSpan.FromHours(settings.Value.DeadlineHours), occasion);
        }
    }

    public async Task<WebhookResult> AnswerAsync(NpgsqlDataReader reader, WebhookEvent webhook, CancellationToken cancellationToken)
    {
        var session = await VerificationStore.ReadAsync(reader, cancellationToken);
        var answer = new WebhookAnswer { Received = true, OrderId = webhook.Subject, Status = session.Status, Deadline = session.Deadline, Idempotent = session.HasChanged ? null : true };
        return WebhookResult.Handled with { Answer = answer };
    }

    /// <summary>A number, or the text of one: not every shop trusts JSON's numbers with money.</summary>
    private static decimal? Total(JsonElement body) =>
        body.Member("orderTotal") is { } value
        && decimal.TryParse(JsonBody.Decode(value), NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out var total)
            ? total
            : null;
}
