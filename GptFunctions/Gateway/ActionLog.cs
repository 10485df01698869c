using System.Buffers;
using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Sessions;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Gateway;

/// <summary>
/// Records the calls of audited routes: the attempt before it leaves, the end behind the caller's back. What is committed with the attempt is
/// enough for every call to have an end, whatever dies: this process says every few seconds which calls it still sees to, and a timer closes the others.
/// </summary>
internal sealed partial class ActionLog(ActionStore store, OutboxSignal outbox, TimeProvider clock, ILogger<ActionLog> logger) : SteadyService(logger)
{
    private const int MostAtOnce = 500;
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(2);

    private readonly ConcurrentDictionary<Guid, bool> open = new();
    private readonly Channel<ActionResult> ended = Channel.CreateUnbounded<ActionResult>(new() { SingleReader = true });
    private readonly List<ActionResult> unwritten = [];
    private long beatAt;
    private bool isWaiting;

    /// <summary>Commits the attempt; null for a route that asks for none. Throws when it cannot be recorded: then the call must not be made.</summary>
    public async Task<Guid?> BeginAsync(GatewayRoute route, Caller caller, Occasion occasion)
    {
        if (route.EventType is not { } type)
        {
            return null;
        }

        var now = clock.GetUtcNow();
        var id = Guid.CreateVersion7(now);
        await store.BeginAsync(id, type, occasion, Payload(caller, occasion), now);
        open.TryAdd(id, true);
        outbox.Raise();
        return id;
    }

    /// <summary>Notes how a call ended. Returns at once; the event is written in a moment, or when the database is back.</summary>
    public void End(Guid id, int status, TimeSpan took) => ended.Writer.TryWrite(new ActionResult(id, status, took, clock.GetUtcNow()));

    /// <summary>Notes that a call was not made, because of safe mode.</summary>
    public void Skip(Guid id) => ended.Writer.TryWrite(new ActionResult(id, null, TimeSpan.Zero, clock.GetUtcNow()));

    /// <summary>For the timer: gives an end to the calls of processes that are gone.</summary>
    public async Task CloseAbandonedAsync()
    {
        if (await store.CloseAsync(Silence, Grace) is > 0 and var count)
        {
            LogClosed(count);
            outbox.Raise();
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await TryWriteAsync(); // the server has stopped before: nothing comes after this
    }

    protected override async Task<bool> StepAsync(CancellationToken stoppingToken)
    {
        using (var limit = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken))
        {
            limit.CancelAfter(unwritten.Count > 0 ? Pause : Beat);
            await Task.WhenAny(unwritten.Count > 0 ? Task.Delay(Timeout.Infinite, limit.Token) : ended.Reader.WaitToReadAsync(limit.Token).AsTask());
        }

        stoppingToken.ThrowIfCancellationRequested();
        await TryWriteAsync();
        return true;
    }

    private async Task TryWriteAsync()
    {
        try
        {
            await WriteAsync();
            await BeatAsync();
            isWaiting = false;
        }
        catch (Exception error) when (ErrorMapper.IsOutage(error))
        {
            if (!isWaiting)
            {
                LogWaiting(unwritten.Count, error.Message);
            }

            isWaiting = true;
        }
    }

    private async Task WriteAsync()
    {
        while (true)
        {
            while (unwritten.Count < MostAtOnce && ended.Reader.TryRead(out var result))
            {
                unwritten.Add(result);
            }

            if (unwritten.Count == 0)
            {
                return;
            }

            var count = await store.EndAsync(unwritten);
            if (count < unwritten.Count)
            {
                LogLate(unwritten.Count - count); // written by a try before this one, whose answer was lost; or closed as unknown meanwhile
            }

            unwritten.ForEach(result => open.TryRemove(result.Id, out _));
            unwritten.Clear();
            outbox.Raise();
        }
    }

    private async Task BeatAsync()
    {
        if (clock.GetElapsedTime(beatAt) < Beat)
        {
            return;
        }

        if (open.Keys.ToArray() is { Length: > 0 } ids)
        {
            await store.SeeAsync(ids);
        }

        beatAt = clock.GetTimestamp();
    }

    private static string Payload(Caller caller, Occasion occasion)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("clerk_user_id", caller.Subject);
            json.WriteString("client_id", caller.ClientId);
            json.WriteString("session_id", caller.SessionId?.ToString());
            json.WriteString("ip_address", occasion.Address);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    [LoggerMessage(6011, LogLevel.Warning, "The results of {Count} audited actions wait to be recorded: {Reason}")]
    private partial void LogWaiting(int count, string reason);

    [LoggerMessage(6012, LogLevel.Warning, "{Count} results of audited actions had been recorded before, by an earlier try or as unknown")]
    private partial void LogLate(int count);

    [LoggerMessage(6013, LogLevel.Warning, "{Count} audited actions of processes that are gone were closed as unknown")]
    private partial void LogClosed(int count);
}
