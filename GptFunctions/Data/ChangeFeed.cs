using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace GptFunctions.Data;

/// <summary>
/// Tells the caches of this process what changed in the database: one connection that listens to the notices of V008, and measures the
/// database's time. It reconnects for ever; whenever it has, everything that was kept is dropped, because nobody knows what was missed.
/// </summary>
internal sealed partial class ChangeFeed(
    Database database, DatabaseClock databaseClock, IOptions<DatabaseSettings> settings, TimeProvider clock, ILogger<ChangeFeed> logger) : BackgroundService
{
    /// <summary>How long something read from the database may be used when nobody would tell that it changed.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private const string Listen = "LISTEN gpt_changes";
    private const string Beat = "SELECT clock_timestamp()";
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private readonly Lock turn = new();
    private readonly TaskCompletionSource tried = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private List<(string Kind, Action<string?> Drop)> subscriptions = [];
    private TimeSpan pause = FirstPause;
    private long confirmedAt = long.MinValue;

    /// <summary>Whether it runs in this process.</summary>
    public bool IsUsed { get; private set; }

    /// <summary>Whether the connection to the database stands.</summary>
    public bool IsListening { get; private set; }

    /// <summary>Done when the connection stood for the first time, or could not be made.</summary>
    public Task FirstTry => tried.Task;

    /// <param name="kind">The first word of the notice.</param>
    /// <param name="drop">Called with the key that changed; with null for everything of the kind.</param>
    public void Subscribe(string kind, Action<string?> drop)
    {
        lock (turn)
        {
            subscriptions = [.. subscriptions, (kind, drop)];
        }
    }

    /// <summary>
    /// Whether something that was read at this timestamp is as good as new: it was read a moment ago, or every change up to a moment ago
    /// has been told. That holds whatever keeps notices from arriving: a lost connection, a dead network, a process that was halted.
    /// </summary>
    public bool IsCurrent(long readAt) => clock.GetElapsedTime(Math.Max(readAt, Volatile.Read(ref confirmedAt))) < Grace;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        IsUsed = true;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await ListenAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error) when (error is not OutOfMemoryException) // whatever it is: without this, revokes would take longer for ever
            {
                if (IsListening || pause == FirstPause)
                {
                    LogDown(error.Message);
                }
            }

            IsListening = false;
            tried.TrySetResult();
            await Task.Delay(pause, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            pause = pause >= LongestPause / 2 ? LongestPause : pause * 2;
        }
    }

    private async Task ListenAsync(CancellationToken stoppingToken)
    {
        await using var source = DatabaseSettings.ToSource(settings.Value.ToListenConnectionString()).Build();
        await using var connection = source.CreateConnection();
        connection.Notification += (_, notice) => Drop(notice.Payload);
        await connection.OpenAsync(stoppingToken);
        await using var listen = new NpgsqlCommand(Listen, connection);
        await listen.ExecuteNonQueryAsync(stoppingToken);
        await using var command = new NpgsqlCommand(Beat, connection);
        Drop("");
        IsListening = true;
        tried.TrySetResult();
        pause = FirstPause;
        LogUp();
        while (true)
        {
            // Everything committed before this moment has been told when the answer is here, because the server sends in order.
            var asked = clock.GetTimestamp();
            await BeatAsync(command, stoppingToken);
            Volatile.Write(ref confirmedAt, asked);
            while (clock.GetElapsedTime(asked) is var passed && passed < Heartbeat)
            {
                await connection.WaitAsync(Heartbeat - passed, stoppingToken); // returns after each notice
            }
        }
    }

    /// <summary>Blocks no thread when the server is silent, and tells those who wait for it elsewhere.</summary>
    private async Task BeatAsync(NpgsqlCommand command, CancellationToken stoppingToken)
    {
        var attempt = new Attempt();
        attempt.Begin();
        var asked = databaseClock.GetTimestamp();
        var beating = command.ExecuteScalarAsync(attempt.Token);
        if (await Task.WhenAny(beating, Task.Delay(Patience, stoppingToken)) != beating)
        {
            attempt.GiveUp();
            if (!stoppingToken.IsCancellationRequested)
            {
                database.Suspect();
            }
        }

        databaseClock.Note(new DateTimeOffset((DateTime)(await beating)!), asked, databaseClock.GetTimestamp());
    }

    /// <param name="notice">A kind and perhaps a key; empty for everything there is.</param>
    private void Drop(string notice)
    {
        var parts = notice.Split(' ', 2);
        foreach (var (kind, drop) in subscriptions)
        {
            if (notice.Length == 0 || kind == parts[0])
            {
                drop(parts.Length == 2 ? parts[1] : null);
            }
        }
    }

    [LoggerMessage(
        6001, LogLevel.Warning, "The database does not tell about changes (what is kept in memory is asked for again every five seconds): {Reason}")]
    private partial void LogDown(string reason);

    [LoggerMessage(6002, LogLevel.Information, "The database tells about changes")]
    private partial void LogUp();
}
