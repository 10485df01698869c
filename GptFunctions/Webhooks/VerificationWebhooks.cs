using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Countdowns;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Verification;
using Microsoft.AspNetCore.Http;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>An identity-verification provider decides about orders.</summary>
internal sealed class VerificationWebhooks : IWebhookSource
{
    public const string Verified = "gpt.webhook.verified";
    public const string Declined = "gpt.webhook.verification_declined";

    private static readonly WebhookResult TooLate =
        new("too_late", StatusCodes.Status410Gone, new WebhookAnswer { Error = "The deadline of this verification has passed" });

    public string Name => "verification";

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

    private static readonly Sql Decide = new($"""
        WITH decided AS (
            INSERT INTO verification_sessions AS session (order_id, status, created_at, decided_at)
            VALUES (@order_id, @status, @now, @now)
            ON CONFLICT (order_id) DO UPDATE SET
                status = excluded.status,
                decided_at = excluded.decided_at
            WHERE session.status = 'pending_verification' AND session.deadline > @now
            RETURNING order_id
        ), over AS (
            SELECT kind, order_id AS subject
            FROM decided, (VALUES ('{VerificationExpiry.KindName}'), ('{VerificationReminder.KindName}')) countdown (kind)
        ), countdowns AS (
            {CountdownStatements.Cancel}
        ), event AS (
            {Outbox.Tell("@event_type", "decided", "'order_id', order_id")}
        )
        SELECT count(*) > 0 FROM decided
        """);

    // What came too late changes nothing. Not even the event is recorded, so that each delivery of it gets the same answer.
    private static readonly Sql Forget = new($"""
        DELETE FROM webhook_events
        USING verification_sessions session
        WHERE source = @source AND event_id = @event_id AND session.order_id = @order_id AND {VerificationSession.IsOver}
        """);

    public void AddChanges(NpgsqlBatch batch, WebhookEvent webhook, Occasion occasion)
    {
        if (webhook.IsHandled)
        {
            var isApproval = webhook.Data.Text("status") == "approved";
            batch.Add(new Statement(Decide)
                .Bind("order_id", webhook.Subject!).Bind("status", isApproval ? "verified" : "declined")
                .Bind("event_type", isApproval ? Verified : Declined).Bind(occasion));
            VerificationSession.AddRead(batch, webhook.Subject!, occasion);
            batch.Add(new Statement(Forget)
                .Bind("source", Name).Bind("event_id", webhook.Id).Bind("order_id", webhook.Subject!).Bind(occasion));
        }
    }

    public async Task<WebhookResult> AnswerAsync(NpgsqlDataReader reader, WebhookEvent webhook, CancellationToken cancellationToken)
    {
        var session = await VerificationSession.ReadAsync(reader, cancellationToken);
        return session switch
        {
            { IsTooLate: true } => TooLate,
            { HasChanged: true } => WebhookResult.Handled,
            _ => WebhookResult.Handled with { Answer = new WebhookAnswer { Received = true, OrderId = webhook.Subject, Status = session.Status } },
        };
    }
}
