using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace GptFunctions.Verification;

internal sealed record CallbackBody(string Type, DateTimeOffset Timestamp, CallbackData Data);

internal sealed record CallbackData(string OrderId, string? CustomerEmail, decimal? OrderTotal, DateTimeOffset? Deadline, DateTimeOffset? DecidedAt);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(CallbackBody))]
internal sealed partial class CallbackJson : JsonSerializerContext;

/// <summary>
/// Tells another system of reminders and refunds that are due, until it has said 2xx: by Standard Webhooks (https://www.standardwebhooks.com), with
/// the countdown's id as webhook-id in every attempt. A redirect is a failure: what is told of a customer goes to the URL of the settings only.
/// </summary>
internal sealed partial class CallbackService(
    CallbackStore store, CallbackListStore list, IOptions<VerificationSettings> settings, IOptionsMonitor<CallbackKeys> keys, SafeMode safeMode,
    TimeProvider clock,
    ILogger<CallbackService> logger) : IDisposable
{
    private const int BatchSize = 50;
    private const int AtOnce = 8;
    private const int MaximumError = 300;
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan LongestRun = TimeSpan.FromSeconds(40);
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestPause = TimeSpan.FromHours(1);
    private static readonly TimeSpan Persistence = TimeSpan.FromHours(72);

    private readonly HttpClient http = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        ConnectTimeout = TimeSpan.FromSeconds(5),
        PooledConnectionLifetime = TimeSpan.FromMinutes(2),
    })
    {
        Timeout = AnswerLimit,
    };

    /// <summary>Until nothing is due, the time of a run is over, or the program stops.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var started = clock.GetTimestamp();
        while (!cancellationToken.IsCancellationRequested && clock.GetElapsedTime(started) < LongestRun
            && await store.ClaimAsync(BatchSize, Lease) is { Count: > 0 } due)
        {
            await Parallel.ForEachAsync(due, new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (callback, _) => await SendAsync(callback));
        }
    }

    /// <summary>How an order stands; null when nobody has told of it.</summary>
    public Task<OrderVerification?> FindOrderAsync(string orderId) => store.FindAsync(orderId);

    /// <inheritdoc cref="CallbackListStore.ListAsync"/>
    public Task<List<CallbackRow>> ListAsync(string status, (DateTimeOffset Time, Guid Id)? after, int count) => list.ListAsync(status, after, count);

    /// <summary>Null when done, else why not.</summary>
    public async Task<string?> ReplayAsync(Guid id, OperatorAct act, Occasion occasion) =>
        await list.ReplayAsync(id, act, occasion) ? null : $"There is no dead callback {id}: see 'callbacks list --status dead'.";

    /// <summary>Null when done, else why not.</summary>
    public async Task<string?> CancelAsync(Guid id, OperatorAct act, Occasion occasion) =>
        await list.CancelAsync(id, act, occasion) ? null : $"There is no pending or dead callback {id}: see 'callbacks list'.";

    public void Dispose() => http.Dispose();

    private async Task SendAsync(Callback callback)
    {
        var occasion = new Occasion(clock.GetUtcNow(), $"callback-{callback.Id:N}", "callback");
        if (WhyNotTo(callback) is { } reason)
        {
            await store.FinishAsync(callback.Id, "skipped", attempt: 0, reason, occasion);
            LogSkipped(callback.Type, callback.Id, callback.OrderId, reason);
        }
        else if (await TryAsync(callback) is not { } failure)
        {
            await store.FinishAsync(callback.Id, "sent", attempt: 1, error: null, occasion);
        }
        else if (occasion.Now - callback.TriedSince >= Persistence)
        {
            await store.FinishAsync(callback.Id, "dead", attempt: 1, failure, occasion);
            LogDead(callback.Type, callback.Id, callback.OrderId, callback.Attempts + 1, failure);
        }
        else
        {
            var pause = PauseAfter(callback.Attempts);
            await store.PutOffAsync(callback.Id, failure, pause);
            LogFailed(callback.Type, callback.Id, callback.Attempts + 1, pause.TotalSeconds, failure);
        }
    }

    private string? WhyNotTo(Callback callback) =>
        safeMode.IsForAll ? "safe mode"
        : callback.IsMoot ? "the order was decided meanwhile"
        : settings.Value.CallbackUrl is null ? "VERIFICATION_CALLBACK_URL is not set"
        : keys.CurrentValue.Secrets.Length == 0 ? "VERIFICATION_CALLBACK_SECRET is not set"
        : null;

    /// <returns>Null when the receiver has taken it, else why not.</returns>
    private async Task<string?> TryAsync(Callback callback)
    {
        using var request = Sign(callback, clock.GetUtcNow());
        try
        {
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            return response.IsSuccessStatusCode ? null : $"the receiver answered {(int)response.StatusCode}";
        }
        catch (TaskCanceledException)
        {
            return $"no answer within {AnswerLimit.TotalSeconds} s";
        }
        catch (HttpRequestException error)
        {
            var text = (error.InnerException ?? error).Message;
            return text.Length > MaximumError ? text[..MaximumError] : text;
        }
    }

    private HttpRequestMessage Sign(Callback callback, DateTimeOffset now)
    {
        var data = new CallbackData(callback.OrderId, callback.CustomerEmail, callback.OrderTotal, callback.Deadline, callback.DecidedAt);
        var body = JsonSerializer.SerializeToUtf8Bytes(new CallbackBody(callback.Type, callback.CreatedAt, data), CallbackJson.Default.CallbackBody);
        var id = callback.Id.ToString();
        var timestamp = now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        return new HttpRequestMessage(HttpMethod.Post, settings.Value.CallbackUrl)
        {
            Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } },
            Headers = { { "webhook-id", id }, { "webhook-timestamp", timestamp }, { "webhook-signature", keys.CurrentValue.Sign(id, timestamp, body) } },
        };
    }

    private static TimeSpan PauseAfter(int attempts) =>
        attempts >= 9 ? LongestPause : TimeSpan.FromSeconds(Math.Min(FirstPause.TotalSeconds * (1 << attempts), LongestPause.TotalSeconds));

    [LoggerMessage(7011, LogLevel.Information, "Callback {Type} {Id} of order {Order} is skipped: {Reason}")]
    private partial void LogSkipped(string type, Guid id, string order, string reason);

    [LoggerMessage(7012, LogLevel.Warning, "Callback {Type} {Id} failed for the {Attempt}. time and is sent again in {Seconds:0} s: {Reason}")]
    private partial void LogFailed(string type, Guid id, int attempt, double seconds, string reason);

    [LoggerMessage(7013, LogLevel.Error, "Callback {Type} {Id} of order {Order} was given up after 72 hours and {Attempts} attempts: {Reason}")]
    private partial void LogDead(string type, Guid id, string order, int attempts, string reason);
}
