using System.Security.Cryptography;
using System.Text;
using GptFunctions.Data;
using Npgsql;

namespace GptFunctions.Gateway;

/// <summary>The answer of a bucket.</summary>
/// <param name="RetryAfterSeconds">Null when admitted; else whole seconds, rounded up, after which a try is admitted.</param>
internal readonly record struct RateLimitDecision(int? RetryAfterSeconds);

/// <summary>Rate limits shared by all replicas: GCRA on one table, by the database's clock.</summary>
internal sealed class RateLimits(NpgsqlDataSource dataSource)
{
    // tat is the theoretical arrival time. A try costs period / limit and is admitted while tat stays within one period of now.
    private const string Take = """
        WITH taken AS (
            INSERT INTO rate_limits AS bucket (key, tat) VALUES ($1, clock_timestamp() + $2)
            ON CONFLICT (key) DO UPDATE SET tat = greatest(bucket.tat, clock_timestamp()) + $2
            WHERE greatest(bucket.tat, clock_timestamp()) + $2 <= clock_timestamp() + $3
            RETURNING 1
        )
        -- A row that was inserted while this statement waited for it cannot be read here: then the answer is the time of one try.
        SELECT CASE WHEN NOT EXISTS (SELECT FROM taken) THEN extract(epoch FROM
            coalesce((SELECT tat + $2 - $3 - clock_timestamp() FROM rate_limits WHERE key = $1), $2))::double precision END
        """;

    /// <summary>Takes one try from the bucket of <paramref name="key"/>, which holds <paramref name="limit"/> per <paramref name="period"/>.</summary>
    public async Task<RateLimitDecision> TryTakeAsync(string key, int limit, TimeSpan period, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(Take);
        command.Bind(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
        command.Bind(period / limit);
        command.Bind(period);
        return await command.ExecuteScalarAsync(cancellationToken) is double seconds
            ? new RateLimitDecision(Math.Max(1, (int)Math.Ceiling(seconds)))
            : new RateLimitDecision(null);
    }
}
