using System.Collections.Frozen;
using System.Diagnostics.Metrics;
using System.Text.Json;
using System.Text.Unicode;
using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Statistics;
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
    private const int MaximumName = 512;
    private const int MaximumError = 300;
    private static readonly TimeSpan HandlerLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan SlowHandling = TimeSpan.FromSeconds(5);

    /// <summary>When the server is silent; a handler that takes its time has a limit of its own, before this one.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private static readonly Sql Commit = new("COMMIT");

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
    public async Task<WebhookResult?> ReplayAsync(IWebhookSource source, string eventId, Occasion occasion) =>
        await store.FindPayloadAsync(source.Name, eventId) is { } payload ? await AcceptAsync(source, _ => null, payload, occasion, eventId) : null;

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

    private async Task<WebhookResult> AcceptAsync(IWebhookSource source, Func<string, string?> headers, byte[] body, Occasion occasion, string? eventId = null)
    {
        await using var changes = new NpgsqlBatch();
        if (Parse(source, body, eventId ?? source.Signature.EventId(headers), changes, occasion) is not { } webhook)
        {
            return WebhookResult.Malformed;
        }

        if (webhook.Warning is { } warning)
        {
            LogIgnored(source.Name, webhook.Type, webhook.Id, warning);
        }

        var started = clock.GetTimestamp();
        var result = await HandleAsync(source, webhook, changes, body);
        if (clock.GetElapsedTime(started) is var elapsed && elapsed > SlowHandling)
        {
            LogSlow(source.Name, webhook.Type, webhook.Id, elapsed.TotalSeconds, result.Outcome);
        }

        return result;
    }

    private async Task<WebhookResult> HandleAsync(IWebhookSource source, WebhookEvent webhook, NpgsqlBatch changes, byte[] body)
    {
        var now = clock.GetUtcNow();
        using var limit = new CancellationTokenSource(HandlerLimit, clock);
        try
        {
            return await database.RunAsync(Patience, async (connection, cancellationToken) =>
            {
                using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
                return await HandleAsync(connection, source, webhook, changes, now, both.Token);
            });
        }
        catch (Exception error) when (limit.IsCancellationRequested || !ErrorMapper.IsOutage(error))
        {
            var reason = limit.IsCancellationRequested ? $"took longer than {HandlerLimit.TotalSeconds} s" : Describe(error);
            LogFailed(source.Name, webhook.Type, webhook.Id, reason, error);
            await store.RecordFailureAsync(source.Name, webhook, body, reason, now, clock.GetUtcNow());
            return WebhookResult.Failed;
        }
    }

    /// <summary>
    /// The transaction: the claim of the event and, if it is to take effect, its changes. Two round trips, of which the first begins it and the second
    /// commits it.
    /// </summary>
    private async Task<WebhookResult> HandleAsync(
        NpgsqlConnection connection, IWebhookSource source, WebhookEvent webhook, NpgsqlBatch changes, DateTimeOffset now,
        CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken); // sent with the claim; rolled back unless committed
        switch (await WebhookStore.ClaimAsync(connection, source.Name, webhook, now, cancellationToken))
        {
            case "completed":
                break;
            case "in_progress":
                return WebhookResult.InProgress;
            case "already_completed":
                return WebhookResult.Duplicate;
            case var recorded:
                await transaction.CommitAsync(cancellationToken);
                return recorded == "ignored" ? WebhookResult.Ignored : WebhookResult.SkippedStale;
        }

        changes.Add(new Statement(Commit));
        changes.Connection = connection;
        WebhookResult result;
        await using (var reader = await changes.ExecuteReaderAsync(cancellationToken))
        {
            result = await source.AnswerAsync(reader, webhook, cancellationToken);
            while (await reader.NextResultAsync(cancellationToken))
            {
                // Until the commit has answered, nothing has happened.
            }
        }

        outbox.Raise();
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

/// <summary>Figures of the inbox, under the meter <c>GptFunctions.Webhooks</c>.</summary>
internal sealed class WebhookMetrics : IDisposable
{
    private readonly Meter meter = new("GptFunctions.Webhooks");
    private readonly HourlyCounts counts;
    private readonly Counter<long> deliveries;
    private readonly Histogram<double> duration;

    public WebhookMetrics(HourlyCounts counts)
    {
        this.counts = counts;
        deliveries = meter.CreateCounter<long>("gpt.webhooks.deliveries", "{delivery}", "Deliveries by source and outcome");
        duration = meter.CreateHistogram<double>("gpt.webhooks.duration", "s", "From the body's last byte to the answer");
    }

    public void Record(string source, string outcome, TimeSpan elapsed)
    {
        var sourceTag = new KeyValuePair<string, object?>("source", source);
        var outcomeTag = new KeyValuePair<string, object?>("outcome", outcome);
        deliveries.Add(1, sourceTag, outcomeTag);
        duration.Record(elapsed.TotalSeconds, sourceTag, outcomeTag);
        counts.Add(HourlyCounts.Webhook, outcome);
    }

    /// <summary>Whether an instrument is of this inbox; a test runs several.</summary>
    internal bool Owns(Instrument instrument) => instrument.Meter == meter;

    public void Dispose() => meter.Dispose();
}
