using System.Text.Json;
using GptFunctions.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>An identity-verification provider decides about orders.</summary>
internal sealed class VerificationWebhooks(IOptionsMonitor<WebhookKeys> keys) : IWebhookSource
{
    private static readonly WebhookResult TooLate = new("too_late", StatusCodes.Status410Gone, new WebhookAnswer { Error = "The deadline of this verification has passed" });

    public string Name => "verification";

    public string SecretSetting => "VERIFICATION_WEBHOOK_SECRET";

    public IReadOnlyList<string> Secrets => keys.CurrentValue.VerificationSecrets;

    public ISignature Signature { get; } = new HmacSignature();

    public WebhookEvent? Read(JsonElement body, string? headerId)
    {
        var orderId = body.Text("orderId");
        if (body.Text("event") is not { } type || (body.Text("id") ?? orderId) is not { } id)
        {
            return null;
        }

        // A verification keeps its id from "submitted" to "approved": the status belongs to the event's id.
        var status = body.Text("status");
        var webhook = new WebhookEvent($"{id} {type} {status}".TrimEnd(), type, body) { Subject = orderId };
        return type != "verification.updated" || status is not ("approved" or "declined") ? webhook with { IsHandled = false }
            : orderId is null ? null
            : webhook;
    }

    public void AddChanges(NpgsqlBatch batch, WebhookEvent webhook, Occasion occasion)
    {
        if (webhook.IsHandled)
        {
            VerificationStore.AddDecide(batch, webhook.Subject!, IsApproval(webhook), (Name, webhook.Id), occasion);
        }
    }

    public async Task<WebhookResult> AnswerAsync(NpgsqlDataReader reader, WebhookEvent webhook, CancellationToken cancellationToken)
    {
        var session = await VerificationStore.ReadAsync(reader, cancellationToken);
        return session.IsTooLate ? TooLate : WebhookResult.Handled;
    }

    private static bool IsApproval(WebhookEvent webhook) => webhook.Data.Text("status") == "approved";
}
