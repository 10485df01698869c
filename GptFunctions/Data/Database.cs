using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace GptFunctions.Data;

/// <summary>What every statement may take, though its own limit is shorter.</summary>
internal sealed record Patience(TimeSpan AtLeast);

/// <summary>
/// The database on the way of a request. No statement takes the caller's cancellation token: it is over in a moment, what it did counts, and
/// to cancel one blocks a thread until the server has taken note. Instead each has a limit of its own, which holds whether the server answers
/// or not. While the server is silent, nobody waits for it: everything fails at once, and one question a second finds out when it is back.
/// </summary>
internal sealed partial class Database : IDisposable
{
    /// <summary>For what is read, and for limits.</summary>
    public static readonly TimeSpan LookUpLimit = TimeSpan.FromSeconds(2);

    /// <summary>For what is written, which may have to wait for a lock.</summary>
    public static readonly TimeSpan ChangeLimit = TimeSpan.FromSeconds(5);

    /// <summary>For what somebody waits for who can.</summary>
    public static readonly TimeSpan ReportLimit = TimeSpan.FromSeconds(15);

    private const string ReadState = """
        SELECT coalesce(max(version), 0), NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off', clock_timestamp()
        FROM schema_migrations
        """;

    private static readonly TimeSpan QuestionInterval = TimeSpan.FromSeconds(1);
    private readonly NpgsqlDataSource dataSource;
    private readonly DatabaseClock clock;
    private readonly IOptions<DatabaseSettings> settings;
    private readonly ILogger<Database> logger;
    private readonly Patience? patience;
    private readonly CancellationTokenSource stopping = new();
    private volatile CancellationTokenSource away = new(); // cancelled while the server is silent
    private int isAsking;

    public Database(
        NpgsqlDataSource dataSource, DatabaseClock clock, IOptions<DatabaseSettings> settings, ILogger<Database> logger, Patience? patience = null)
    {
        (this.dataSource, this.clock, this.settings, this.logger, this.patience) = (dataSource, clock, settings, logger, patience);
        AppDomain.CurrentDomain.FirstChanceException += LeaveReadOnlyConnections;
    }

    /// <summary>Whether the server takes connections and does not answer.</summary>
    public bool IsSilent => away.IsCancellationRequested;

    /// <summary>A statement that reads.</summary>
    public LimitedStatement LookUp(Sql sql) => new(this, sql, LookUpLimit);

    /// <summary>A statement that writes, in a transaction of its own.</summary>
    public LimitedStatement Change(Sql sql) => new(this, sql, ChangeLimit);

    /// <summary>A statement for an operator, who can wait.</summary>
    public LimitedStatement Report(Sql sql) => new(this, sql, ReportLimit);

    /// <summary>
    /// For what is more than one statement: runs <paramref name="work"/> on a connection. It is cancelled at the limit, for which nobody waits.
    /// </summary>
    /// <exception cref="NpgsqlException">The limit is over, or the database is away.</exception>
    public async Task<T> RunAsync<T>(TimeSpan limit, Func<NpgsqlConnection, CancellationToken, Task<T>> work)
    {
        limit = patience is { } least && limit < least.AtLeast ? least.AtLeast : limit;
        var waiting = away.Token;
        if (waiting.IsCancellationRequested)
        {
            throw new NpgsqlException("The database does not answer; it is asked once a second whether it is back.", new TimeoutException());
        }

        var attempt = new Attempt();
        var running = RunAsync(attempt, work);
        try
        {
            return await running.WaitAsync(limit, waiting);
        }
        catch (Exception error) when (error is TimeoutException or OperationCanceledException)
        {
            if (running.IsCompleted)
            {
                return await running;
            }

            attempt.GiveUp();
            Suspect();
            throw new NpgsqlException($"The database gave no answer within {limit.TotalSeconds} s.", new TimeoutException());
        }
        catch (NpgsqlException error) when (error.InnerException is TimeoutException)
        {
            Suspect();
            throw;
        }
    }

    /// <summary>
    /// The schema's version, 0 when nothing was applied yet, and whether the server takes writes: a replica does not, nor does one that somebody closed for
    /// them.
    /// </summary>
    public async Task<(int SchemaVersion, bool TakesWrites)> ReadStateAsync()
    {
        try
        {
            return await RunAsync(LookUpLimit, ReadStateAsync);
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            return (0, true);
        }
    }

    private async Task<(int SchemaVersion, bool TakesWrites)> ReadStateAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(ReadState, connection);
        var asked = clock.GetTimestamp();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        clock.Note(reader.GetFieldValue<DateTimeOffset>(2), asked, clock.GetTimestamp());
        if (!reader.GetBoolean(1))
        {
            dataSource.Clear();
        }

        return (reader.GetInt32(0), reader.GetBoolean(1));
    }

    /// <inheritdoc cref="PoolReading.Of"/>
    public (long Used, int Size) ReadPool() => PoolReading.Of(dataSource);

    /// <summary>Finds out whether the server is silent. Whoever waited for it in vain calls this.</summary>
    public void Suspect()
    {
        if (Interlocked.CompareExchange(ref isAsking, 1, 0) == 0)
        {
            _ = AskAsync();
        }
    }

    public void Dispose()
    {
        AppDomain.CurrentDomain.FirstChanceException -= LeaveReadOnlyConnections;
        stopping.Cancel();
        stopping.Dispose();
        away.Dispose();
    }

    private async Task<T> RunAsync<T>(Attempt attempt, Func<NpgsqlConnection, CancellationToken, Task<T>> work)
    {
        await using var connection = await dataSource.OpenConnectionAsync(attempt.Token);
        attempt.Begin();
        return await work(connection, attempt.Token);
    }

    /// <summary>
    /// Whoever uses the pool, and whatever becomes of the exception: connections that lead to what has become a replica would be used again
    /// and again. New ones find the new primary.
    /// </summary>
    private void LeaveReadOnlyConnections(object? sender, FirstChanceExceptionEventArgs thrown)
    {
        if (thrown.Exception is PostgresException { SqlState: PostgresErrorCodes.ReadOnlySqlTransaction })
        {
            dataSource.Clear();
        }
    }

    /// <summary>Asks until there is an answer, whatever it is: a server that refuses does so at once, and keeps nobody waiting.</summary>
    private async Task AskAsync()
    {
        Activity.Current = null; // it outlives whoever began it, and belongs to nobody's trace
        try
        {
            while (!await IsAnsweringAsync())
            {
                if (!IsSilent)
                {
                    LogSilent();
                    await away.CancelAsync(); // all who wait now
                }
            }

            if (IsSilent)
            {
                dataSource.Clear(); // connections of before may be dead, each for as long as a limit
                away = new CancellationTokenSource();
                LogBack();
            }
        }
        catch (OperationCanceledException)
        {
            // The process ends.
        }
        finally
        {
            Volatile.Write(ref isAsking, 0);
        }
    }

    /// <returns>False after a second without an answer.</returns>
    private async Task<bool> IsAnsweringAsync()
    {
        var attempt = new Attempt();
        var asking = AskOnceAsync(attempt);
        await Task.WhenAny(asking, Task.Delay(QuestionInterval, stopping.Token));
        stopping.Token.ThrowIfCancellationRequested();
        if (asking.IsCompleted)
        {
            return await asking;
        }

        attempt.GiveUp();
        return false;
    }

    private async Task<bool> AskOnceAsync(Attempt attempt)
    {
        try
        {
            await using var source = DatabaseSettings.ToSource(settings.Value.ToQuestionConnectionString()).Build();
            await using var connection = source.CreateConnection();
            await connection.OpenAsync(attempt.Token);
            attempt.Begin();
            await using var command = new NpgsqlCommand("SELECT 1", connection);
            await command.ExecuteScalarAsync(attempt.Token);
            return true;
        }
        catch (Exception error) when (error is NpgsqlException or SocketException)
        {
            return true; // refused, or broken off: that is an answer
        }
    }

    [LoggerMessage(6005, LogLevel.Error, "The database does not answer: what needs it fails at once until it does")]
    private partial void LogSilent();

    [LoggerMessage(6006, LogLevel.Information, "The database answers again")]
    private partial void LogBack();
}
