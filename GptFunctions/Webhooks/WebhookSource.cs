using System.Text.Json;
using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using Microsoft.AspNetCore.Http;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>
/// A sender of webhooks: how it signs, what its events are, and what they change. A new one is a class like <see cref="OrderWebhooks"/> in a file of
/// its own, with its SQL and the types of its audit events (each a row of docs/events.md), and its line in <see cref="WebhookSetup"/>. Then
/// <c>POST /webhooks/{name}</c> receives its events, signed with <c>{NAME}_WEBHOOK_SECRET</c> (<see cref="WebhookKeys"/>), and each takes effect once.
/// Its parts are called in the order in which they stand here.
/// </summary>
internal interface IWebhookSource
{
    /// <summary>In <c>webhook_events</c>, in the route, in the setting of its secret, in metrics: lower case.</summary>
    string Name { get; }

    ISignature Signature { get; }

    /// <summary>Null when the body lacks what an event needs.</summary>
    /// <param name="headerId">The id in the headers, of sources that send it there.</param>
    /// <exception cref="JsonException">The same.</exception>
    WebhookEvent? Read(JsonElement body, string? headerId);

    /// <summary>
    /// Adds the statements that make the event's changes and write its audit events (<see cref="Audit.Outbox"/>); none when it is only recorded, or
    /// when its <see cref="WebhookEvent.Profile"/> is all: then others may share its transaction. They run in the transaction of the event's claim.
    /// </summary>
    void AddChanges(NpgsqlBatch batch, WebhookEvent webhook, Occasion occasion);

    /// <summary>The answer to an event whose statements have run, from their results. Not asked for one that has none.</summary>
    Task<WebhookResult> AnswerAsync(NpgsqlDataReader reader, WebhookEvent webhook, CancellationToken cancellationToken) =>
        Task.FromResult(WebhookResult.Handled);
}

/// <summary>What an event does to the order of its subject. Compared by the SQL function <c>webhook_take_all</c>.</summary>
internal enum EventOrder
{
    /// <summary>Nothing: it may come at any time.</summary>
    None,

    /// <summary>Takes effect unless something as new or newer of its subject did: within one tick of the source's clock, being created comes first.</summary>
    Creation,

    /// <summary>Takes effect unless something newer of its subject did.</summary>
    Change,

    /// <summary>Takes effect however late it comes; after it nothing of its subject does.</summary>
    Deletion,
}

/// <summary>One event as its source describes it.</summary>
/// <param name="Id">Unique within the source.</param>
/// <param name="Data">The part of the body that the handler reads.</param>
internal sealed record WebhookEvent(string Id, string Type, JsonElement Data)
{
    /// <summary>False: nobody handles this type, it is recorded as ignored.</summary>
    public bool IsHandled { get; init; } = true;

    /// <summary>Whom or what the event is about.</summary>
    public string? Subject { get; init; }

    public EventOrder Order { get; init; }

    /// <summary>When it happened, by the source's clock; needed for <see cref="EventOrder.Creation"/> and <see cref="EventOrder.Change"/>.</summary>
    public DateTimeOffset? OccurredAt { get; init; }

    /// <summary>What it says of a person, which is taken over before its other changes.</summary>
    public ProfileChange? Profile { get; init; }

    /// <summary>Why an event that should have been handled is ignored.</summary>
    public string? Warning { get; init; }
}

/// <summary>What became of a delivery: the status and body of the answer, and the word for it in metrics and logs.</summary>
internal sealed record WebhookResult(string Outcome, int Status, WebhookAnswer Answer)
{
    public static WebhookResult Handled { get; } = new("completed", StatusCodes.Status200OK, new WebhookAnswer { Received = true });

    public static WebhookResult Ignored { get; } = Handled with { Outcome = "ignored" };

    public static WebhookResult SkippedStale { get; } = Handled with { Outcome = "skipped_stale" };

    public static WebhookResult Duplicate { get; } =
        new("duplicate", StatusCodes.Status200OK, new WebhookAnswer { Received = true, Duplicate = true, Idempotent = true, Reason = "already_completed" });

    /// <summary>Never 200: the delivery that handles it may die.</summary>
    public static WebhookResult InProgress { get; } = new(
        "in_progress", StatusCodes.Status503ServiceUnavailable, new WebhookAnswer { Error = "This event is being handled right now", Reason = "in_progress" })
    {
        RetryAfterSeconds = 1,
    };

    public static WebhookResult Failed { get; } =
        Refusal("failed", StatusCodes.Status500InternalServerError, "The event could not be handled; deliver it again");

    public static WebhookResult TooLarge { get; } = Refusal("too_large", StatusCodes.Status413PayloadTooLarge, "The body is larger than 1 MB");

    public static WebhookResult MissingHeaders { get; } =
        Refusal("missing_headers", StatusCodes.Status400BadRequest, "Missing webhook verification headers");

    public static WebhookResult InvalidSignature { get; } = Refusal("invalid_signature", StatusCodes.Status400BadRequest, "Invalid webhook signature");

    public static WebhookResult Malformed { get; } = Refusal("malformed", StatusCodes.Status400BadRequest, "Invalid webhook payload");

    /// <summary>The store was away: nothing is known of the event. The exception goes on to <see cref="ErrorMapper"/>.</summary>
    public static WebhookResult Outage { get; } = Refusal("outage", StatusCodes.Status503ServiceUnavailable, "Temporarily unavailable");

    public static WebhookResult NoSecret { get; } =
        Refusal("no_secret", StatusCodes.Status503ServiceUnavailable, "This webhook is not configured") with { RetryAfterSeconds = 300 };

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
