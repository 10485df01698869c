using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Unicode;
using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>Receives deliveries: nothing is looked up before the signature holds, and each event takes effect once, whatever happens on the way.</summary>
internal sealed partial class WebhookService(
    IEnumerable<IWebhookSource> sources, IOptionsMonitor<WebhookKeys> keys, Database database, WebhookStore store, OutboxSignal outbox,
    WebhookMetrics metrics, IHostEnvironment environment, TimeProvider clock, ILogger<WebhookService> logger)
{
    private const string Completed = "completed";
    private const string Ignored = "ignored";
    private const string Stale = "skipped_stale";
    private const int MaximumName = 512;
    private const int MaximumError = 300;
    private static readonly TimeSpan HandlerLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan TakenNote = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan SlowHandling = TimeSpan.FromSeconds(5);

    /// <summary>When the server is silent; a handler that takes its time has a limit of its own, before this one.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly FrozenDictionary<string, IWebhookSource> byName =
        sources.ToFrozenDictionary(source => source.Name, StringComparer.OrdinalIgnoreCase);

    /// <summary>The source of a name, in any case; null when there is none.</summary>
    public IWebhookSource? Find(string name) => byName.GetValueOrDefault(name);

    /// <summary>One delivery, from its bytes to its answer.</summary>
    /// <param name="headers">The value of a header; null when it is absent, empty or repeated.</param>
    /// <param name="body">Null when it was too large to be read.</param>
    /// <exception cref="NpgsqlException">The store is away: nothing was handled.</exception>
    public async Task<WebhookResult> ReceiveAsync(IWebhookSource source, Func<string, string?> headers, byte[]? body, Occasion occasion)
    {
        var started = clock.GetTimestamp();
        var secrets = keys.CurrentValue.Of(source);
        var result = WebhookResult.Outage;
        try
        {
            result = body is null ? WebhookResult.TooLarge : Refuse(source, secrets, headers, body) ?? await AcceptAsync(source, headers, body, occasion);
        }
        finally
        {
            metrics.Record(source.Name, result.Outcome, clock.GetElapsedTime(started));
        }

        return secrets.Count > 0 || result == WebhookResult.NoSecret ? result : result with { IsUnverified = true };
    }

    /// <summary>Handles a failed event once more, from the payload that was kept; null when there is no such event, or when it has not failed.</summary>
    /// <param name="act">Of whoever asked for this event; null when it is one of many that were asked for.</param>
    /// <param name="failedBefore">Only one that has not failed again since; null for any.</param>
    public async Task<WebhookResult?> ReplayAsync(
        IWebhookSource source, string eventId, OperatorAct? act, Occasion occasion, DateTimeOffset? failedBefore = null)
    {
        if (await store.FindPayloadAsync(source.Name, eventId, failedBefore) is not { } payload)
        {
            return null;
        }

        var result = await AcceptAsync(source, _ => null, payload, occasion, new Replay(eventId, act));
        if (result == WebhookResult.Malformed) // by a release that reads more strictly than the one that kept it
        {
            await store.RecordUnreadableAsync(
                source.Name, eventId, "what was kept of it cannot be read as an event any more", Latest(occasion.Now), act is null ? null : (act, occasion));
        }

        if (act is not null)
        {
            outbox.Raise();
        }

        return result;
    }

    private WebhookResult? Refuse(IWebhookSource source, IReadOnlyList<string> secrets, Func<string, string?> headers, byte[] body)
    {
        if (secrets.Count == 0)
        {
            if (environment.IsProduction())
            {
                return WebhookResult.NoSecret;
            }

            LogUnverified(source.Name, WebhookKeys.SettingOf(source));
            return null;
        }

        if (!source.Signature.IsPresent(headers))
        {
            return WebhookResult.MissingHeaders;
        }

        if (secrets.Any(secret => source.Signature.IsValid(headers, body, secret, clock.GetUtcNow())))
        {
            return null;
        }

        LogInvalidSignature(source.Name);
        return WebhookResult.InvalidSignature;
    }

    private async Task<WebhookResult> AcceptAsync(
        IWebhookSource source, Func<string, string?> headers, byte[] body, Occasion occasion, Replay? replay = null)
    {
        await using var changes = new NpgsqlBatch();
        if (Parse(source, body, replay?.EventId ?? source.Signature.EventId(headers), changes, occasion) is not { } webhook)
        {
            return WebhookResult.Malformed;
        }

        if (webhook.Warning is { } warning)
        {
            LogIgnored(source.Name, webhook.Type, webhook.Id, warning);
        }

        var started = clock.GetTimestamp();
        var delivery = new Delivery(webhook, changes, webhook.IsHandled ? Completed : Ignored, occasion, replay?.Act);
        var result = await HandleAsync(source, delivery, body);
        if (clock.GetElapsedTime(started) is var elapsed && elapsed > SlowHandling)
        {
            LogSlow(source.Name, webhook.Type, webhook.Id, elapsed.TotalSeconds, result.Outcome);
        }

        return result;
    }

    private async Task<WebhookResult> HandleAsync(IWebhookSource source, Delivery delivery, byte[] body)
    {
        var now = clock.GetUtcNow();
        var webhook = delivery.Event;
        using var limit = new CancellationTokenSource(HandlerLimit, clock);
        try
        {
            return await database.RunAsync(Patience, async (connection, cancellationToken) =>
            {
                using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
                return await HandleAsync(connection, source, delivery, now, both.Token);
            });
        }
        catch (Exception error) when (limit.IsCancellationRequested || !ErrorMapper.IsOutage(error))
        {
            var reason = limit.IsCancellationRequested ? $"took longer than {HandlerLimit.TotalSeconds} s" : Describe(error);
            LogFailed(source.Name, webhook.Type, webhook.Id, reason, error);
            await RecordFailureAsync(source.Name, delivery, body, reason, now, isGivenUp: limit.IsCancellationRequested);
            return WebhookResult.Failed;
        }
    }

    /// <param name="isGivenUp">Nobody waited for the changes any longer. Until the server has taken note of that, the event counts as being handled.</param>
    private async Task RecordFailureAsync(string source, Delivery delivery, byte[] body, string reason, DateTimeOffset now, bool isGivenUp)
    {
        (OperatorAct, Occasion)? replay = delivery.Act is { } act ? (act, delivery.Occasion) : null;
        var tries = isGivenUp ? 20 : 1;
        while (!await store.RecordFailureAsync(source, delivery.Event, body, reason, now, Latest(delivery.Occasion.Now), replay) && --tries > 0)
        {
            await Task.Delay(TakenNote, clock, CancellationToken.None);
        }
    }

    /// <summary>Now, but not before what was said to be now: a replay must be able to tell what has failed again since it began.</summary>
    private DateTimeOffset Latest(DateTimeOffset known) => clock.GetUtcNow() is var now && now > known ? now : known;

    /// <summary>
    /// The claim of the event and, if it takes effect, its changes, in one round trip, and another one to record that it does not. A claim that was not
    /// expected fails, and all that was sent with it does not happen.
    /// </summary>
    private async Task<WebhookResult> HandleAsync(
        NpgsqlConnection connection, IWebhookSource source, Delivery delivery, DateTimeOffset now, CancellationToken cancellationToken)
    {
        try
        {
            return await TakeAsync(connection, source, delivery, now, cancellationToken);
        }
        catch (PostgresException error) when (WebhookStore.OutcomeOf(error) is "in_progress")
        {
            return WebhookResult.InProgress;
        }
        catch (PostgresException error) when (WebhookStore.OutcomeOf(error) is "already_completed")
        {
            return WebhookResult.Duplicate;
        }
        catch (PostgresException error) when (delivery.Expected != Stale && WebhookStore.OutcomeOf(error) is Stale)
        {
            await using var record = new NpgsqlBatch();
            return await HandleAsync(connection, source, delivery with { Changes = record, Expected = Stale }, now, cancellationToken);
        }
    }

    /// <summary>A batch is a transaction, which its end commits.</summary>
    private async Task<WebhookResult> TakeAsync(
        NpgsqlConnection connection, IWebhookSource source, Delivery delivery, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var (webhook, batch, expected) = (delivery.Event, delivery.Changes, delivery.Expected);
        batch.Connection = connection;
        batch.BatchCommands.Insert(0, WebhookStore.ToTake(source.Name, webhook, expected, now).ToBatchCommand());
        if (delivery.Act is { } act)
        {
            batch.Add(WebhookStore.ToReplayed(source.Name, webhook, expected, act, delivery.Occasion));
        }

        if (expected == Completed)
        {
            batch.Add(WebhookStore.ToDuration(source.Name, webhook.Id));
        }

        WebhookResult result;
        await using (var reader = await batch.ExecuteReaderAsync(cancellationToken))
        {
            await reader.NextResultAsync(cancellationToken); // the claim says nothing but that it was expected
            result = expected switch
            {
                Completed => await source.AnswerAsync(reader, webhook, cancellationToken),
                Ignored => WebhookResult.Ignored,
                _ => WebhookResult.SkippedStale,
            };
            while (await reader.NextResultAsync(cancellationToken))
            {
                // Until the commit has answered, nothing has happened.
            }
        }

        if (expected == Completed)
        {
            outbox.Raise();
        }

        return result;
    }

    /// <summary>
    /// The event and its <paramref name="changes"/>, and with them all that is ever read of it: what cannot be read is the sender's mistake.
    /// </summary>
    private static WebhookEvent? Parse(IWebhookSource source, byte[] body, string? headerId, NpgsqlBatch changes, Occasion occasion)
    {
        if (!Utf8.IsValid(body))
        {
            return null; // RFC 8259 8.1
        }

        try
        {
            using var document = JsonDocument.Parse(body);
            var webhook = document.RootElement.ValueKind == JsonValueKind.Object ? source.Read(document.RootElement.Clone(), headerId) : null;
            if (webhook is null || !IsName(webhook.Id) || !IsName(webhook.Type) || (webhook.Subject is not null && !IsName(webhook.Subject)))
            {
                return null;
            }

            source.AddChanges(changes, webhook, occasion);
            return webhook;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>What the store can keep in a key.</summary>
    private static bool IsName(string text) => text.Length is > 0 and <= MaximumName && !text.Contains('\0', StringComparison.Ordinal);

    /// <summary>Without what PostgreSQL adds of the rows' values.</summary>
    private static string Describe(Exception error)
    {
        var text = error is PostgresException postgres ? $"{postgres.SqlState}: {postgres.MessageText}" : $"{error.GetType().Name}: {error.Message}";
        return text.Length > MaximumError ? text[..(char.IsHighSurrogate(text[MaximumError - 1]) ? MaximumError - 1 : MaximumError)] + "..." : text;
    }

    /// <summary>An event that is handled again.</summary>
    private sealed record Replay(string EventId, OperatorAct? Act);

    /// <summary>An event on its way through its transaction.</summary>
    /// <param name="Changes">The rest of its batch, behind the claim.</param>
    /// <param name="Expected">What the claim is expected to say.</param>
    /// <param name="Act">Of the operator who asked for its replay; null for a delivery.</param>
    private sealed record Delivery(WebhookEvent Event, NpgsqlBatch Changes, string Expected, Occasion Occasion, OperatorAct? Act);

    [LoggerMessage(5002, LogLevel.Warning, "Webhook of {Source} accepted without a signature, because {Setting} is not set")]
    private partial void LogUnverified(string source, string setting);

    [LoggerMessage(5003, LogLevel.Warning, "Webhook {Source} {Type} {EventId} took {Seconds:0.0} s: {Outcome}")]
    private partial void LogSlow(string source, string type, string eventId, double seconds, string outcome);

    [LoggerMessage(5004, LogLevel.Error, "Webhook {Source} {Type} {EventId} failed: {Reason}")]
    private partial void LogFailed(string source, string type, string eventId, string reason, Exception error);

    [LoggerMessage(5005, LogLevel.Warning, "Webhook {Source} {Type} {EventId} is ignored: {Reason}")]
    private partial void LogIgnored(string source, string type, string eventId, string reason);

    [LoggerMessage(5006, LogLevel.Warning, "Webhook of {Source} refused: its signature was made with none of our secrets, or too long ago")]
    private partial void LogInvalidSignature(string source);
}
