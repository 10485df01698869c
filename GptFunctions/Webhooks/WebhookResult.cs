using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Webhooks;

/// <summary>What became of a delivery: the status and body of the answer, and the word for it in metrics and logs.</summary>
internal sealed record WebhookResult(string Outcome, int Status, WebhookAnswer Answer)
{
    public static WebhookResult Handled { get; } = new("completed", StatusCodes.Status200OK, new WebhookAnswer { Received = true });

    public static WebhookResult Ignored { get; } = Handled with { Outcome = "ignored" };

    public static WebhookResult SkippedStale { get; } = Handled with { Outcome = "skipped_stale" };

    public static WebhookResult Duplicate { get; } =
        new("duplicate", StatusCodes.Status200OK, new WebhookAnswer { Received = true, Duplicate = true, Idempotent = true, Reason = "already_completed" });

    /// <summary>Never 200: the delivery that handles it may die.</summary>
    public static WebhookResult InProgress { get; } =
        new("in_progress", StatusCodes.Status503ServiceUnavailable, new WebhookAnswer { Error = "This event is being handled right now", Reason = "in_progress" }) { RetryAfterSeconds = 1 };

    public static WebhookResult Failed { get; } = Refusal("failed", StatusCodes.Status500InternalServerError, "The event could not be handled; deliver it again");

    public static WebhookResult TooLarge { get; } = Refusal("too_large", StatusCodes.Status413PayloadTooLarge, "The body is larger than 1 MB");

    public static WebhookResult MissingHeaders { get; } = Refusal("missing_headers", StatusCodes.Status400BadRequest, "Missing webhook verification headers");

    public static WebhookResult InvalidSignature { get; } = Refusal("invalid_signature", StatusCodes.Status400BadRequest, "Invalid webhook signature");

    public static WebhookResult Malformed { get; } = Refusal("malformed", StatusCodes.Status400BadRequest, "Invalid webhook payload");

    /// <summary>The store was away: nothing is known of the event. The exception goes on to <see cref="Hosting.ErrorMapper"/>.</summary>
    public static WebhookResult Outage { get; } = Refusal("outage", StatusCodes.Status503ServiceUnavailable, "Temporarily unavailable");

    public static WebhookResult NoSecret { get; } = Refusal("no_secret", StatusCodes.Status503ServiceUnavailable, "This webhook is not configured") with { RetryAfterSeconds = 300 };

    public int? RetryAfterSeconds { get; init; }

    /// <summary>Accepted without a signature, as only Development does.</summary>
    public bool IsUnverified { get; init; }

    private static WebhookResult Refusal(string outcome, int status, string error) => new(outcome, status, new WebhookAnswer { Error = error });
}

/// <summary>The body of an answer.</summary>
internal sealed record WebhookAnswer
{
    public bool? Received { get; init; }

    public bool? Duplicate { get; init; }

    public string? OrderId { get; init; }

    public string? Status { get; init; }

    public DateTimeOffset? Deadline { get; init; }

    public bool? Idempotent { get; init; }

    public string? Reason { get; init; }

    public string? Error { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(WebhookAnswer))]
internal sealed partial class WebhookJson : JsonSerializerContext;
