using System.Globalization;
using GptFunctions.Hosting;

namespace GptFunctions.Data;

/// <summary>The database answers, takes writes, has the schema, the rights and the time, and there are connections left.</summary>
internal sealed class DatabaseCheck(
    Database database, Migrator migrator, DatabaseClock databaseClock, TimeProvider clock) : ICheck
{
    /// <summary>How far the clock of a process may be from the database's.</summary>
    public static readonly TimeSpan LargestDifference = TimeSpan.FromSeconds(30);

    private const double FewConnectionsLeft = 0.9;

    /// <summary>Two that answer requests, one for the audit queue and one for timers: what a deployment has at least.</summary>
    private const int FewestProcesses = 4;

    // A role with a limit of its own meets that one: what others have open does not count against it.
    private static readonly Sql Server = new("""
        WITH most AS (
            SELECT current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint AS of_server,
                   (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user) AS of_role
        )
        SELECT CASE WHEN of_role < of_server THEN (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user)
                    ELSE (SELECT sum(numbackends)::bigint FROM pg_stat_database) END,
               least(of_server, of_role),
               (SELECT coalesce(string_agg(relname, ', ' ORDER BY relname), '')
                FROM pg_class
                WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace
                  AND NOT has_table_privilege(oid, 'SELECT, INSERT')),
               current_user
        FROM most
        """);

    public string Name => "database";

    public CheckState WhenUnknown => CheckState.Blocker;

    public async Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        var asked = clock.GetTimestamp();
        var (version, takesWrites) = await database.ReadStateAsync();
        finding.Details["round_trip_ms"] = Math.Round(clock.GetElapsedTime(asked).TotalMilliseconds, 1);
        finding.Details["schema_version"] = version;
        finding.Details["schema_needed"] = migrator.LatestVersion;
        if (!takesWrites)
        {
            finding.Say(CheckState.Blocker, "The database takes no writes: it is a replica, or default_transaction_read_only is on.");
        }

        if (version < migrator.LatestVersion)
        {
            finding.Say(CheckState.Blocker, string.Create(
                CultureInfo.InvariantCulture, $"The database has version {version}, this program needs {migrator.LatestVersion}: run 'GptFunctions setup'."));
        }

        // Nothing here goes by this clock, because the database's counts; but logs do, and certificates.
        var ahead = databaseClock.SystemIsAhead;
        finding.Details["clock_ahead_seconds"] = Math.Round(ahead.TotalSeconds, 1) + 0.0; // never -0
        if (ahead.Duration() > LargestDifference)
        {
            finding.Say(CheckState.Degraded, string.Create(
                CultureInfo.InvariantCulture,
                $"The clock of this process is {ahead.Duration().TotalSeconds:0} s {(ahead > TimeSpan.Zero ? "ahead of" : "behind")} the database: set it by "
                    + $"NTP."));
        }

        await LookAroundAsync(finding);
    }

    private async Task LookAroundAsync(Finding finding)
    {
        var (open, most, closed, role) = await database.LookUp(Server)
            .FirstAsync(reader => (reader.GetInt64(0), reader.GetInt64(1), reader.GetString(2), reader.GetString(3)));
        finding.Details["role"] = role;
        if (closed.Length > 0)
        {
            finding.Say(CheckState.Degraded, $"The role of DATABASE_URL has no rights to {closed}: run infra/postgres/roles.sql.");
        }

        finding.Details["server_connections"] = open;
        finding.Details["server_max_connections"] = most;
        if (open > most * FewConnectionsLeft)
        {
            finding.Say(CheckState.Degraded, string.Create(
                CultureInfo.InvariantCulture,
                $"{open} of the {most} connections that {role} may have are in use: fewer processes, or a smaller DATABASE_POOL_SIZE."));
        }

        var (used, size) = database.ReadPool();
        if (FewestProcesses * size > most)
        {
            finding.Say(CheckState.Degraded, string.Create(
                CultureInfo.InvariantCulture,
                $"{FewestProcesses} processes of {size} connections (DATABASE_POOL_SIZE) need more than the {most} that {role} may have: a smaller pool, or a "
                    + $"larger server (infra/sizing.md)."));
        }

        finding.Details["pool_in_use"] = used;
        finding.Details["pool_size"] = size;
        if (used >= size)
        {
            finding.Say(CheckState.Degraded, string.Create(
                CultureInfo.InvariantCulture, $"All {size} connections of this process are in use (DATABASE_POOL_SIZE)."));
        }
    }
}
