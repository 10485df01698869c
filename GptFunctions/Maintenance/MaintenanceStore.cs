using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Maintenance;

internal sealed class MaintenanceStore(Database database, OutboxSignal outbox)
{
    private const string Columns = """
        id, job, started_at, finished_at, outcome, counts::text, asked::text, started_by, lease_until IS NOT NULL AND lease_until > now()
        """;

    // What was stopped goes on, if it is the last of what the same was asked for. Two at once: the unique index lets one through.
    private static readonly Sql Start = new($"""
        WITH last AS (
            SELECT id, outcome
            FROM maintenance_runs
            WHERE job = @job AND asked = @asked AND @resumes
            ORDER BY started_at DESC, id DESC
            LIMIT 1
        ), resumed AS (
            UPDATE maintenance_runs
            SET outcome = 'active', finished_at = NULL, started_by = @operator
            WHERE id = (SELECT id FROM last WHERE outcome = 'stopped')
              AND NOT EXISTS (SELECT FROM maintenance_runs WHERE job = @job AND outcome = 'active')
            RETURNING id, asked
        ), inserted AS (
            INSERT INTO maintenance_runs (job, started_at, outcome, counts, asked, started_by)
            SELECT @job, @now, 'active', '{"{}"}', @asked, @operator
            WHERE NOT EXISTS (SELECT FROM resumed)
            ON CONFLICT (job) WHERE outcome = 'active' DO NOTHING
            RETURNING id, asked
        ), started AS (
            SELECT * FROM resumed UNION ALL SELECT * FROM inserted
        ), event AS (
            {OperatorAct.Tell("@event_type", "started", "'run_id', id, 'asked', asked")}
        )
        SELECT id FROM started
        """);

    // Whoever works on it finds out within a second, and writes the last figures.
    private static readonly Sql Stop = new($"""
        WITH stopped AS (
            UPDATE maintenance_runs
            SET outcome = 'stopped', finished_at = greatest(started_at, @now)
            WHERE id = @id AND job = @job AND outcome = 'active'
            RETURNING id, asked, counts
        ), event AS (
            {OperatorAct.Tell("@event_type", "stopped", "'run_id', id, 'asked', asked, 'counts', counts")}
        )
        SELECT count(*) > 0 FROM stopped
        """);

    // By the database's clock alone. A lease that is over belongs to a process that died.
    private static readonly Sql Claim = new("""
        UPDATE maintenance_runs
        SET lease_until = clock_timestamp() + @lease
        WHERE id = (
            SELECT id
            FROM maintenance_runs
            WHERE outcome = 'active' AND job = ANY (@jobs) AND (@id::bigint IS NULL OR id = @id) AND (lease_until IS NULL OR lease_until <= clock_timestamp())
            ORDER BY id
            LIMIT 1
            FOR UPDATE SKIP LOCKED)
        RETURNING id, job, started_at, asked::text, counts::text, lease_until
        """);

    private static readonly Sql Renew = new("""
        UPDATE maintenance_runs
        SET lease_until = clock_timestamp() + @lease, counts = @counts
        WHERE id = @id AND outcome = 'active' AND lease_until = @mine
        RETURNING lease_until
        """);

    // A run that was stopped meanwhile stays so. The pause keeps everybody away from one that cannot go on yet.
    private static readonly Sql Leave = new("""
        UPDATE maintenance_runs
        SET counts = @counts,
            lease_until = CASE WHEN outcome = 'active' AND @outcome::text IS NULL AND @pause > interval '0' THEN clock_timestamp() + @pause END,
            finished_at = CASE WHEN outcome = 'active' AND @outcome::text IS NOT NULL THEN greatest(started_at, @now) ELSE finished_at END,
            outcome = CASE WHEN outcome = 'active' THEN coalesce(@outcome, outcome) ELSE outcome END
        WHERE id = @id AND lease_until = @mine
        """);

    private static readonly Sql Find = new($"SELECT {Columns} FROM maintenance_runs WHERE id = @id");

    private static readonly Sql FindActive = new($"SELECT {Columns} FROM maintenance_runs WHERE job = @job AND outcome = 'active'");

    private static readonly Sql List = new($"""
        SELECT {Columns}
        FROM maintenance_runs
        WHERE job = ANY (@jobs) AND started_at <= @before_start AND (started_at, id) < (@before_start, @before_id)
        ORDER BY started_at DESC, id DESC
        LIMIT @count
        """);

    /// <returns>The run's id; null when another one of the job is active.</returns>
    public async Task<long?> StartAsync(IMaintenanceJob job, string asked, OperatorAct act, Occasion occasion)
    {
        try
        {
            var id = await database.Change(Start)
                .Bind("job", job.Name).BindJson("asked", asked).Bind("resumes", job.Resumes).Bind("event_type", job.StartedEvent).Bind(act).Bind(occasion)
                .FirstAsync(reader => (long?)reader.GetInt64(0));
            outbox.Raise();
            return id;
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            return null;
        }
    }

    /// <returns>False when the run is not active.</returns>
    public async Task<bool> StopAsync(IMaintenanceJob job, long id, OperatorAct act, Occasion occasion)
    {
        var isDone = await database.Change(Stop).Bind("job", job.Name).Bind("id", id).Bind("event_type", job.StoppedEvent).Bind(act).Bind(occasion)
            .FirstAsync(reader => reader.GetBoolean(0));
        outbox.Raise();
        return isDone;
    }

    /// <summary>Takes an active run that nobody works on; null when there is none.</summary>
    /// <param name="id">Only this one; null for any.</param>
    public Task<MaintenanceWork?> ClaimAsync(string[] jobs, long? id, TimeSpan lease) =>
        database.Change(Claim).Bind("jobs", jobs).Bind("id", id).Bind("lease", lease).FirstAsync(reader => new MaintenanceWork
        {
            Id = reader.GetInt64(0),
            Job = reader.GetString(1),
            StartedAt = reader.GetFieldValue<DateTimeOffset>(2),
            Asked = JsonElement.Parse(reader.GetString(3)),
            Counts = reader.GetString(4),
            LeaseUntil = reader.GetFieldValue<DateTimeOffset>(5),
        });

    /// <summary>Keeps a run for longer, and writes how far it is.</summary>
    /// <returns>Until when; null when it was stopped, or when somebody else has it.</returns>
    public Task<DateTimeOffset?> RenewAsync(MaintenanceWork work, TimeSpan lease) =>
        database.Change(Renew).Bind("id", work.Id).Bind("mine", work.LeaseUntil).Bind("lease", lease).BindJson("counts", work.Counts)
            .FirstAsync(reader => (DateTimeOffset?)reader.GetFieldValue<DateTimeOffset>(0));

    /// <summary>Gives a run back or ends it, unless it was taken over.</summary>
    /// <param name="outcome">How it ended; null when somebody is to go on, after the pause.</param>
    public Task LeaveAsync(MaintenanceWork work, string? outcome, TimeSpan pause, DateTimeOffset now) =>
        database.Change(Leave)
            .Bind("id", work.Id).Bind("mine", work.LeaseUntil).BindJson("counts", work.Counts).Bind("outcome", outcome).Bind("pause", pause).Bind("now", now)
            .ExecuteAsync();

    public Task<MaintenanceRow?> FindAsync(long id) => database.LookUp(Find).Bind("id", id).FirstAsync(Read);

    public Task<MaintenanceRow?> FindActiveAsync(string job) => database.LookUp(FindActive).Bind("job", job).FirstAsync(Read);

    /// <summary>The newest runs of some jobs, from before a position.</summary>
    public Task<List<MaintenanceRow>> ListAsync(string[] jobs, (DateTimeOffset StartedAt, long Id) before, int count) =>
        database.Report(List).Bind("jobs", jobs).Bind("before_start", before.StartedAt).Bind("before_id", before.Id).Bind("count", count).AllAsync(Read);

    private static MaintenanceRow Read(NpgsqlDataReader reader) => new()
    {
        Id = reader.GetInt64(0),
        Job = reader.GetString(1),
        StartedAt = reader.GetFieldValue<DateTimeOffset>(2),
        FinishedAt = reader.Get<DateTimeOffset?>(3),
        Outcome = reader.GetString(4),
        Counts = JsonElement.Parse(reader.GetString(5)),
        Asked = JsonElement.Parse(reader.GetString(6)),
        StartedBy = reader.Get<string?>(7),
        IsAtWork = reader.GetBoolean(8),
    };
}
