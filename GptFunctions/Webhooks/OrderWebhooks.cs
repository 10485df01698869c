using System.Globalization;
using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Countdowns;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Verification;
using Microsoft.Extensions.Options;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>A shop tells of orders; each opens a verification session with its countdown.</summary>
internal sealed class OrderWebhooks(IOptions<VerificationSettings> settings) : IWebhookSource
{
    public const string Opened = "gpt.webhook.verification_opened";

    public string Name => "orders";

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

    private static readonly Sql Open = new($"""
        WITH opened AS (
            INSERT INTO verification_sessions AS session (order_id, customer_email, order_total, status, deadline, created_at)
            VALUES (@order_id, @customer_email, @order_total, 'pending_verification', @now + @lifetime, @now)
            ON CONFLICT (order_id) DO UPDATE SET
                customer_email = excluded.customer_email,
                order_total = excluded.order_total
            WHERE session.customer_email IS NULL -- it was decided before the order came
            RETURNING order_id, status
        ), due AS (
            SELECT kind, order_id AS subject, @now + after AS due_at
            FROM opened, (VALUES ('{VerificationExpiry.KindName}', @lifetime), ('{VerificationReminder.KindName}', @remind_after)) countdown (kind, after)
            WHERE status = 'pending_verification' AND (kind = '{VerificationExpiry.KindName}' OR after < @lifetime)
        ), countdowns AS (
            {CountdownStatements.Schedule}
        ), event AS (
            {Outbox.Tell(Opened, "opened", "'order_id', order_id")}
        )
        SELECT count(*) > 0 FROM opened
        """);

    public void AddChanges(NpgsqlBatch batch, WebhookEvent webhook, Occasion occasion)
    {
        if (webhook.IsHandled)
        {
            batch.Add(new Statement(Open)
                .Bind("order_id", webhook.Subject!).Bind("customer_email", webhook.Data.Text("customerEmail")!)
                .Bind("order_total", Total(webhook.Data)!.Value).Bind("lifetime", settings.Value.Deadline)
                .Bind("remind_after", settings.Value.Reminder).Bind(occasion));
            VerificationSession.AddRead(batch, webhook.Subject!, occasion);
        }
    }

    public async Task<WebhookResult> AnswerAsync(NpgsqlDataReader reader, WebhookEvent webhook, CancellationToken cancellationToken)
    {
        var session = await VerificationSession.ReadAsync(reader, cancellationToken);
        var answer = new WebhookAnswer
        {
            Received = true,
            OrderId = webhook.Subject,
            Status = session.Status,
            Deadline = session.Deadline,
            Idempotent = session.HasChanged ? null : true,
        };
        return WebhookResult.Handled with { Answer = answer };
    }

    /// <summary>A number, or the text of one: not every shop trusts JSON's numbers with money.</summary>
    private static decimal? Total(JsonElement body)
    {
        const NumberStyles styles = NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        return body.Member("orderTotal") is { } value && decimal.TryParse(JsonBody.Decode(value), styles, CultureInfo.InvariantCulture, out var total)
            ? total
            : null;
    }
}
