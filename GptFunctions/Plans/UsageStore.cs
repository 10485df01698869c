using GptFunctions.Data;
using GptFunctions.RateLimits;

namespace GptFunctions.Plans;

/// <summary>What was used of a month's quotas. It is counted with the rate limits, see <see cref="RateLimitStore"/>.</summary>
internal sealed class UsageStore(Database database)
{
    private static readonly Sql Read = new("SELECT quota, used FROM usage_counters WHERE month = @month AND user_id = @user_id");

    // Whoever deletes the unit gives it back; whoever comes again finds nothing.
    private static readonly Sql GiveBack = new("""
        WITH unit AS (
            DELETE FROM usage_units WHERE id = @id RETURNING month, user_id, quota
        )
        UPDATE usage_counters counter
        SET used = counter.used - 1
        FROM unit
        WHERE (counter.month, counter.user_id, counter.quota) = (unit.month, unit.user_id, unit.quota) AND counter.used > 0
        """);

    /// <summary>By quota; one that is missing has not been used.</summary>
    public async Task<Dictionary<string, long>> ReadAsync(Guid userId, DateOnly month)
    {
        var command = database.LookUp(Read).Bind("month", month).Bind("user_id", userId);
        return (await command.AllAsync(static reader => (reader.GetString(0), reader.GetInt64(1)))).ToDictionary(StringComparer.Ordinal);
    }

    /// <summary>Gives a unit back, unless that was done before or it was never counted.</summary>
    public Task GiveBackAsync(QuotaUnit unit) => database.LookUp(GiveBack).Bind("id", unit.Id).ExecuteAsync();
}
