using System.Globalization;
using GptFunctions.Data;
using GptFunctions.Hosting;

namespace GptFunctions.Purge;

/// <summary>The purge runs every six hours and comes to its end; by its record, because it runs in another process.</summary>
internal sealed class PurgeCheck(Database database) : ICheck
{
    private static readonly TimeSpan Patience = TimeSpan.FromHours(13); // one run may be missed

    // Before the first run the schema's age says how long there has been something to run on.
    private static readonly Sql LastRun = new("""
        SELECT run.outcome, extract(epoch FROM now() - coalesce(run.finished_at, (SELECT min(applied_at) FROM schema_migrations)))::double precision
        FROM (VALUES (1)) always
        LEFT JOIN LATERAL (
            SELECT outcome, finished_at
            FROM maintenance_runs
            WHERE job = 'purge' AND finished_at IS NOT NULL
            ORDER BY started_at DESC
            LIMIT 1
        ) run ON true
        """);

    public string Name => "purge";

    public async Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        var (outcome, seconds) = await database.LookUp(LastRun).FirstAsync(reader => (reader.Get<string?>(0), reader.GetDouble(1)));
        var age = TimeSpan.FromSeconds(seconds);
        finding.Details["outcome"] = outcome;
        finding.Details["age_seconds"] = outcome is null ? null : (long)seconds;
        if (age > Patience)
        {
            finding.Say(CheckState.Degraded, string.Create(
                CultureInfo.InvariantCulture, $"No purge has ended for {age.TotalHours:0} hours: does a process run {PurgeFunctions.Name}?"));
        }

        if (outcome is not (null or "completed" or "stopped"))
        {
            finding.Say(CheckState.Degraded, $"The last purge ended as {outcome} (its figures: maintenance_runs, log 4001).");
        }
    }
}
