using System.Collections.Concurrent;
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
    IEnumerable<IWebhookSource> sources, IOptionsMonitor<WebhookKeys> keys, Database database, DeliveryStore deliveries, WebhookStore store,
    OutboxSignal outbox, WebhookMetrics metrics, IHostEnvironment environment, TimeProvider clock, ILogger<WebhookService> logger)
{
    private const int MaximumName = 512;
    private const int MaximumError = 300;
    private static readonly TimeSpan HandlerLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan TakenNote = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan SlowHandling = TimeSpan.FromSeconds(5);

    /// <summary>When the server is silent; a handler that takes its time has a limit of its own, before this one.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly FrozenDictionary<string, IWebhookSource> byName =
        sources.ToFrozenDictionary(source => source.Name, StringComparer.OrdinalIgnoreCase);

    private readonly ConcurrentDictionary<(string Source, string Id), bool> handling = new(); // by this process

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

        // Between a transaction that was shared and one of its own nobody has claimed the event in the database.
        var key = (source.Name, webhook.Id);
        if (!handling.TryAdd(key, true))
        {
            return WebhookResult.InProgress;
        }

        try
        {
            return await AcceptAsync(new Delivery(source, webhook, changes, clock.GetUtcNow(), occasion, replay?.Act), body);
        }
        finally
        {
            handling.TryRemove(key, out _);
        }
    }

    private async Task<WebhookResult> AcceptAsync(Delivery delivery, byte[] body)
    {
        var started = clock.GetTimestamp();
        var result = await ShareAsync(delivery) ?? await HandleAsync(delivery, body);
        if (clock.GetElapsedTime(started) is var elapsed && elapsed > SlowHandling)
        {
            LogSlow(delivery.Source.Name, delivery.Event.Type, delivery.Event.Id, elapsed.TotalSeconds, result.Outcome);
        }

        return result;
    }

    /// <summary>In a transaction that others share, where its changes allow that; null when it has to be handled by itself.</summary>
    private async Task<WebhookResult?> ShareAsync(Delivery delivery)
    {
        if (!delivery.MayShare)
        {
            return null;
        }

        try
        {
            return await deliveries.ShareAsync(delivery);
        }
        catch (Exception error) when (!ErrorMapper.IsOutage(error) || (error as PostgresException)?.SqlState == PostgresErrorCodes.QueryCanceled)
        {
            return null; // whose fault it is, or who is so slow, shows when each of them is handled by itself
        }
    }

    private async Task<WebhookResult> HandleAsync(Delivery delivery, byte[] body)
    {
        using var limit = new CancellationTokenSource(HandlerLimit, clock);
        try
        {
            return await database.RunAsync(Patience, async (connection, cancellationToken) =>
            {
                using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
                return await deliveries.TakeAsync(delivery, connection, both.Token);
            });
        }
        catch (Exception error) when (limit.IsCancellationRequested || !ErrorMapper.IsOutage(error))
        {
            var reason = limit.IsCancellationRequested ? $"took longer than {HandlerLimit.TotalSeconds} s" : Describe(error);
            LogFailed(delivery.Source.Name, delivery.Event.Type, delivery.Event.Id, reason, error);
            await RecordFailureAsync(delivery, body, reason, isGivenUp: limit.IsCancellationRequested);
            return WebhookResult.Failed;
        }
    }

    /// <param name="isGivenUp">Nobody waited for the changes any longer. Until the server has taken note of that, the event counts as being handled.</param>
    private async Task RecordFailureAsync(Delivery delivery, byte[] body, string reason, bool isGivenUp)
    {
        (OperatorAct, Occasion)? replay = delivery.Act is { } act ? (act, delivery.Occasion) : null;
        var tries = isGivenUp ? 20 : 1;
        while (!await store.RecordFailureAsync(
            delivery.Source.Name, delivery.Event, body, reason, delivery.ReceivedAt, Latest(delivery.Occasion.Now), replay) && --tries > 0)
        {
            await Task.Delay(TakenNote, clock, CancellationToken.None);
        }
    }

    /// <summary>Now, but not before what was said to be now: a replay must be able to tell what has failed again since it began.</summary>
    private DateTimeOffset Latest(DateTimeOffset known) => clock.GetUtcNow() is var now && now > known ? now : known;

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
