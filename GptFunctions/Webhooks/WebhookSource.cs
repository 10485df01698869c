using System.Text.Json;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>What an event does to the order of its subject.</summary>
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

    /// <summary>Why an event that should have been handled is ignored.</summary>
    public string? Warning { get; init; }
}

/// <summary>A sender of webhooks: how it signs, what its events are, and what they change.</summary>
internal interface IWebhookSource
{
    /// <summary>In <c>webhook_events</c>, in routes and in metrics.</summary>
    string Name { get; }

    /// <summary>The setting that holds <see cref="Secrets"/>.</summary>
    string SecretSetting { get; }

    /// <summary>Any of them may have signed; empty when the source is not configured.</summary>
    IReadOnlyList<string> Secrets { get; }

    ISignature Signature { get; }

    /// <summary>Null when the body lacks what an event needs.</summary>
    /// <param name="headerId">The id in the headers, of sources that send it there.</param>
    WebhookEvent? Read(JsonElement body, string? headerId);

    /// <summary>Adds the statements that make the event's changes and write its audit events; none when it is only recorded.</summary>
    void AddChanges(NpgsqlBatch batch, WebhookEvent webhook, Occasion occasion);

    /// <summary>The answer to an event whose statements have run, from their results.</summary>
    Task<WebhookResult> AnswerAsync(NpgsqlDataReader reader, WebhookEvent webhook, CancellationToken cancellationToken) => Task.FromResult(WebhookResult.Handled);
}

/// <summary>How a source signs what it sends.</summary>
internal interface ISignature
{
    /// <summary>Whether the request has what a signature needs.</summary>
    bool IsPresent(Func<string, string?> headers);

    /// <summary>Whether this secret made the signature of exactly these bytes, at about this time.</summary>
    bool IsValid(Func<string, string?> headers, ReadOnlySpan<byte> body, string secret, DateTimeOffset now);

    /// <summary>The event's id, when it is among the signed headers.</summary>
    string? EventId(Func<string, string?> headers) => null;
}
