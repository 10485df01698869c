using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using GptFunctions.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>Receives deliveries: nothing is looked up before the signature holds, and each event takes effect once, whatever happens on the way.</summary>
internal sealed partial class WebhookService(WebhookStore store, WebhookMetrics metrics, IHostEnvironment environment, TimeProvider clock, ILogger<WebhookService> logger)
{
    private const int MaximumName = 512;
    private const int MaximumError = 300;
    private static readonly TimeSpan HandlerLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan SlowHandling = TimeSpan.FromSeconds(5);

    /// <summary>One delivery, from its bytes to its answer.</summary>
    /// <param name="headers">The value of a header; null when it is absent, empty or repeated.</param>
    /// <param name="body">Null when it was too large to be read.</param>
    /// <exception cref="NpgsqlException">The store is away: nothing was handled.</exception>
    public async Task<WebhookResult> ReceiveAsync(IWebhookSource source, Func<string, string?> headers, byte[]? body, Occasion occasion)
    {
        var started = clock.GetTimestamp();
        var result = WebhookResult.Outage;
        try
        {
            result = body is null ? WebhookResult.TooLarge : Refuse(source, headers, body) ?? await AcceptAsync(source, headers, body, occasion);
        }
        finally
        {
            metrics.Record(source.Name, result.Outcome, clock.GetElapsedTime(started));
        }

        return source.Secrets.Count > 0 || result == WebhookResult.NoSecret ? result : result with { IsUnverified = true };
    }

    /// <summary>Handles a failed event once more, from the payload that was kept; null when there is no such event, or when it has not failed.</summary>
    public async Task<WebhookResult?> ReplayAsync(IWebhookSource source, string eventId, Occasion occasion) =>
        await store.FindPayloadAsync(source.Name, eventId) is { } payload ? await AcceptAsync(source, _ => null, payload, occasion, eventId) : null;

    private WebhookResult? Refuse(IWebhookSource source, Func<string, string?> headers, byte[] body)
    {
        if (source.Secrets.Count == 0)
        {
            if (environment.IsProduction())
            {
                return WebhookResult.NoSecret;
            }

            LogUnverified(source.Name, source.SecretSetting);
            return null;
        }

        if (!source.Signature.IsPresent(headers))
        {
            return WebhookResult.MissingHeaders;
        }

        if (source.Secrets.Any(secret => source.Signature.IsValid(headers, body, secret, clock.GetUtcNow())))
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
            return await store.HandleAsync(source, webhook, changes, now, limit.Token);
        }
        catch (Exception error) when (limit.IsCancellationRequested || !ErrorMapper.IsOutage(error))
        {
            var reason = limit.IsCancellationRequested ? $"took longer than {HandlerLimit.TotalSeconds} s" : Describe(error);
            LogFailed(source.Name, webhook.Type, webhook.Id, reason, error);
            await store.RecordFailureAsync(source.Name, webhook, body, reason, now, clock.GetUtcNow());
            return WebhookResult.Failed;
        }
    }

    /// <summary>The event and its <paramref name="changes"/>, and with them all that is ever read of it: what cannot be read is the sender's mistake.</summary>
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
