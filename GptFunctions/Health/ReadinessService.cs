using System.Globalization;
using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.RateLimits;
using GptFunctions.Tokens;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace GptFunctions.Health;

/// <summary>Says whether this process can serve requests; the answer is kept for two seconds, so that probes cost nothing.</summary>
internal sealed partial class ReadinessService
{
    public const string Ok = "ok";
    private const string Degraded = "degraded";
    private const string DegradedBecause = Degraded + ": ";
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);
    private readonly Database database;
    private readonly Migrator migrator;
    private readonly SigningKeys keys;
    private readonly RateLimiter limits;
    private readonly ConsumerCheck consumer;
    private readonly OutboxSignal outbox;
    private readonly DatabaseClock databaseClock;
    private readonly ILogger<ReadinessService> logger;
    private readonly Kept<IReadOnlyDictionary<string, string>> kept;
    private readonly Kept<bool> connected;
    private string problems = "";

    public ReadinessService(
        Database database, Migrator migrator, SigningKeys keys, RateLimiter limits, ConsumerCheck consumer, OutboxSignal outbox,
        DatabaseClock databaseClock, TimeProvider clock, ILogger<ReadinessService> logger)
    {
        (this.database, this.migrator, this.keys, this.limits, this.consumer, this.outbox) = (database, migrator, keys, limits, consumer, outbox);
        (this.databaseClock, this.logger) = (databaseClock, logger);
        kept = new(Freshness, LookAsync, clock);
        connected = new(Freshness, LookForDatabaseAsync, clock);
    }

    /// <summary>Whether requests can be served in this state, well or not so well.</summary>
    public static bool IsServing(string state) => state == Ok || state.StartsWith(Degraded, StringComparison.Ordinal);

    /// <summary>What everybody may know of a state: <c>ok</c>, <c>degraded</c> or <c>failed</c>.</summary>
    public static string WithoutReason(string state) => state == Ok ? Ok : IsServing(state) ? Degraded : "failed";

    /// <summary>Name of each dependency -> <see cref="Ok"/> or a sentence.</summary>
    public Task<IReadOnlyDictionary<string, string>> CheckAsync() => kept.GetAsync();

    /// <summary>Whether the database answers, whatever it says.</summary>
    public Task<bool> IsDatabaseConnectedAsync() => connected.GetAsync();

    private async Task<bool> LookForDatabaseAsync()
    {
        try
        {
            await database.ReadStateAsync();
            return true;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    private async Task<IReadOnlyDictionary<string, string>> LookAsync()
    {
        var checks = new SortedDictionary<string, string>(StringComparer.Ordinal) { ["signing_key"] = keys.All.Count > 0 ? Ok : "no signing key is loaded" };
        if (limits.IsLocal)
        {
            checks["rate_limits"] = DegradedBecause + RateLimitCheck.Local;
        }

        if (outbox.Obstacle is { } obstacle)
        {
            checks["relay"] = $"{DegradedBecause}audit events wait in the outbox: {obstacle}";
        }

        using var limit = new CancellationTokenSource(Patience);
        var consumerProblem = consumer.IsOurs ? consumer.FindProblemAsync(limit.Token) : Task.FromResult<string?>(null);
        try
        {
            var (version, takesWrites) = await database.ReadStateAsync();
            checks["database"] = takesWrites ? Ok : "the database takes no writes: it is a replica, or default_transaction_read_only is on";
            // A newer schema is fine: while a release rolls out, the replicas of the one before keep serving.
            checks["schema"] = version >= migrator.LatestVersion
                ? Ok
                : $"the database has version {version}, this program needs {migrator.LatestVersion}: run 'GptFunctions setup'";
        }
        catch (NpgsqlException error)
        {
            checks["database"] = error is PostgresException refusal ? $"the database refuses: SQLSTATE {refusal.SqlState}" : "the database does not answer";
            checks["schema"] = "unknown";
        }

        // Nothing here goes by this clock, because the database's counts; but logs do, and certificates.
        if (databaseClock.SystemIsAhead is var ahead && ahead.Duration() > DatabaseCheck.LargestDifference)
        {
            checks["clock"] = string.Create(
                CultureInfo.InvariantCulture,
                $"{DegradedBecause}the clock of this process is {ahead.Duration().TotalSeconds:0} s {(ahead > TimeSpan.Zero ? "ahead of" : "behind")} the "
                + $"database: set it by NTP");
        }

        if (consumer.IsOurs)
        {
            checks["audit_consumer"] = await consumerProblem is { } problem ? (consumer.IsAside ? DegradedBecause : "") + problem : Ok;
        }

        LogChange(checks);
        return checks;
    }

    /// <summary>What is wrong is told to whoever shows the service key; and once in the log, because not everybody has one.</summary>
    private void LogChange(SortedDictionary<string, string> checks)
    {
        var now = string.Join("; ", checks.Where(check => !IsServing(check.Value)).Select(check => $"{check.Key}: {check.Value}"));
        if (now != problems)
        {
            problems = now;
            if (now.Length > 0)
            {
                LogNotReady(now);
            }
            else
            {
                LogReady();
            }
        }
    }

    [LoggerMessage(1062, LogLevel.Warning, "Not ready: {Problems}")]
    private partial void LogNotReady(string problems);

    [LoggerMessage(1063, LogLevel.Information, "Ready again")]
    private partial void LogReady();
}
