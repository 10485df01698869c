using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;
using NpgsqlTypes;

namespace GptFunctions.Purge;

/// <summary>What one batch did.</summary>
/// <param name="Deleted">Rows of the class.</param>
/// <param name="Position">Where the next batch goes on; null when there was nothing.</param>
/// <param name="Sessions">Sessions that lost their last token and went with it.</param>
/// <param name="IsBusy">Whether somebody else was using the database.</param>
internal sealed record PurgeBatch(int Deleted, object? Position, int Sessions, bool IsBusy);

/// <summary>The two points in time that a run measures age by.</summary>
internal sealed record PurgeWindow(DateTimeOffset Now, DateTimeOffset Cutoff);

internal sealed class PurgeStore(NpgsqlDataSource dataSource)
{
    /// <summary>In <c>maintenance_runs</c>.</summary>
    public const string Job = "purge";

    public const string Started = "gpt.operator.purge_started";
    private const long LockKey = 0x6770_7466_0003;

    // Held by a transaction, not by the session: behind a pooler in transaction mode a session is nobody's. The transaction has no
    // snapshot and writes nothing, so it holds up no vacuum however long the run takes.
    private static readonly Sql TryLock = new("SELECT pg_try_advisory_xact_lock(@lock) FROM set_config('idle_in_transaction_session_timeout', '10min', true)");

    private static readonly Sql LastRun = new("""
        SELECT started_at
        FROM maintenance_runs
        WHERE job = @job AND finished_at IS NOT NULL
        ORDER BY started_at DESC
        LIMIT 1
        """);

    private static readonly Sql InsertRun = new("""
        INSERT INTO maintenance_runs (job, started_at, finished_at, outcome, counts)
        VALUES (@job, @started_at, @finished_at, @outcome, @counts)
        """);

    private static readonly Sql TellStarted = new(OperatorAct.Tell(
        Started, "(VALUES (1))", "'asked', jsonb_build_object('dry_run', @dry_run::boolean, 'retention_days', @retention_days::integer)"));

    /// <summary>Takes the lock that lets one purge run at a time, over all processes; null when another run holds it.</summary>
    public async Task<PurgeLock?> TryLockAsync(CancellationToken cancellationToken)
    {
        var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        var isMine = false;
        try
        {
            await connection.BeginTransactionAsync(cancellationToken); // closing the connection ends it
            await using var command = new Statement(TryLock).Bind("lock", LockKey).On(connection);
            isMine = (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
            return isMine ? new PurgeLock(connection) : null;
        }
        finally
        {
            if (!isMine)
            {
                await connection.DisposeAsync();
            }
        }
    }

    /// <summary>Deletes one batch, in a transaction of its own.</summary>
    /// <param name="position">Where the batch before ended.</param>
    public async Task<PurgeBatch> DeleteAsync(
        PurgeClass rows, PurgeWindow window, int limit, object position, CancellationToken cancellationToken)
    {
        var delete = new Statement(rows.Delete).Bind("limit", limit);
        delete.Set("position", new NpgsqlParameter { Value = position });
        await using var command = Bind(delete, window).On(dataSource);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(CancellationToken.None); // what is deleted is counted, also when nobody wants more
        return new PurgeBatch((int)reader.GetInt64(0), reader.IsDBNull(1) ? null : reader.GetValue(1), (int)reader.GetInt64(2), reader.GetBoolean(3));
    }

    /// <summary>How many rows of a class are due.</summary>
    public Task<long> CountAsync(PurgeClass rows, PurgeWindow window, CancellationToken cancellationToken) =>
        CountAsync(rows.Count, window, cancellationToken);

    /// <summary>How many rows of a class were due when a run began that has just ended, and are still there.</summary>
    public Task<long> CountLeftAsync(PurgeClass rows, PurgeWindow window, CancellationToken cancellationToken) =>
        CountAsync(rows.CountLeft, window, cancellationToken);

    private async Task<long> CountAsync(Sql sql, PurgeWindow window, CancellationToken cancellationToken)
    {
        await using var command = Bind(new Statement(sql), window).On(dataSource);
        command.CommandTimeout = 0;
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Not every class asks for both.</summary>
    private static Statement Bind(Statement statement, PurgeWindow window) =>
        statement.BindIfUsed("now", window.Now).BindIfUsed("cutoff", window.Cutoff);

    /// <summary>When the last run began, whatever came of it; null when there was none yet.</summary>
    public async Task<DateTimeOffset?> ReadLastRunAsync(CancellationToken cancellationToken)
    {
        await using var command = new Statement(LastRun).Bind("job", Job).On(dataSource);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? reader.GetFieldValue<DateTimeOffset>(0) : null;
    }

    /// <summary>Writes that an operator began a run, which itself has no transaction of its own.</summary>
    public async Task TellStartedAsync(bool isDryRun, TimeSpan retention, OperatorAct act, Occasion occasion)
    {
        await using var command = new Statement(TellStarted)
            .Bind("dry_run", isDryRun).Bind("retention_days", (int)retention.TotalDays).Bind(act).Bind(occasion).On(dataSource);
        await command.ExecuteNonQueryAsync();
    }

    /// <param name="counts">A JSON object.</param>
    public async Task RecordAsync(DateTimeOffset startedAt, DateTimeOffset finishedAt, string outcome, string counts, CancellationToken cancellationToken)
    {
        await using var command = new Statement(InsertRun)
            .Bind("job", Job).Bind("started_at", startedAt).Bind("finished_at", finishedAt).Bind("outcome", outcome).BindJson("counts", counts)
            .On(dataSource);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}

/// <summary>The transaction that holds the purge's lock, until it is disposed.</summary>
internal sealed class PurgeLock(NpgsqlConnection connection) : IAsyncDisposable
{
    public async ValueTask DisposeAsync()
    {
        try
        {
            await connection.DisposeAsync();
        }
        catch (NpgsqlException)
        {
            // The connection was lost, and the lock with it. The run is harmless beside another one.
        }
    }
}
