using System.Globalization;
using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.RateLimits;
using GptFunctions.Tokens;
using Npgsql;

namespace GptFunctions.Health;

/// <summary>Says whether this process can serve requests; the answer is kept for two seconds, so that probes cost nothing.</summary>
internal sealed class ReadinessService(
    Database database, Migrator migrator, SigningKeys keys, RateLimiter limits, ConsumerCheck consumer, DatabaseClock databaseClock,
    TimeProvider clock) : IDisposable
{
    public const string Ok = "ok";
    private const string Degraded = "degraded: ";
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan LargestDifference = TimeSpan.FromSeconds(30);
    private readonly SemaphoreSlim turn = new(1, 1);
    private (IReadOnlyDictionary<string, string> Checks, DateTimeOffset At)? last;

    /// <summary>Whether requests can be served in this state, well or not so well.</summary>
    public static bool IsServing(string state) => state == Ok || state.StartsWith(Degraded, StringComparison.Ordinal);

    /// <summary>Name of each dependency -> <see cref="Ok"/> or a sentence.</summary>
    public async Task<IReadOnlyDictionary<string, string>> CheckAsync()
    {
        await turn.WaitAsync();
        try
        {
            if (last is not { } known || clock.GetUtcNow() - known.At >= Freshness)
            {
                last = known = (await LookAsync(), clock.GetUtcNow());
            }

            return known.Checks;
        }
        finally
        {
            turn.Release();
        }
    }

    public void Dispose() => turn.Dispose();

    private async Task<IReadOnlyDictionary<string, string>> LookAsync()
    {
        var checks = new SortedDictionary<string, string>(StringComparer.Ordinal) { ["signing_key"] = keys.All.Count > 0 ? Ok : "no signing key is loaded" };
        if (limits.IsLocal)
        {
            checks["rate_limits"] = Degraded + "they count in this process only, because the database does not take them";
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
        if (databaseClock.SystemIsAhead is var ahead && ahead.Duration() > LargestDifference)
        {
            checks["clock"] = string.Create(
                CultureInfo.InvariantCulture,
                $"{Degraded}the clock of this process is {ahead.Duration().TotalSeconds:0} s {(ahead > TimeSpan.Zero ? "ahead of" : "behind")} the database: "
                + $"set it by NTP");
        }

        if (consumer.IsOurs)
        {
            checks["audit_consumer"] = await consumerProblem is { } problem ? (consumer.IsAside ? Degraded : "") + problem : Ok;
        }

        return checks;
    }
}
