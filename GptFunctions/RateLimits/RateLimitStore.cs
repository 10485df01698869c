using GptFunctions.Data;
using Npgsql;

namespace GptFunctions.RateLimits;

/// <summary>A try that waits for its statement.</summary>
internal sealed class Try(byte[] key, Bucket bucket, QuotaUnit? unit) : SharedItem<TryAnswer>
{
    public byte[] Key => key;

    public Bucket Bucket => bucket;

    public QuotaUnit? Unit => unit;
}

/// <summary>The buckets in the database, and the quotas of a month that are counted with them.</summary>
internal sealed class RateLimitStore
{
    // tat is the theoretical arrival time: when the bucket is full again. A try costs period / limit and is admitted while tat stays within
    // one period of now. In the order of the keys, so that statements which meet never wait for each other in a circle.
    private const string Admit = """
        ORDER BY key
            ON CONFLICT (key) DO UPDATE SET tat = greatest(bucket.tat, clock_timestamp()) + @cost
            WHERE greatest(bucket.tat, clock_timestamp()) + @cost <= clock_timestamp() + @period
            RETURNING key, extract(epoch FROM tat - clock_timestamp())::double precision AS seconds
        """;

    private static readonly Sql Take = new($"""
            INSERT INTO rate_limits AS bucket (key, tat)
            SELECT key, clock_timestamp() + @cost
            FROM unnest(@keys) AS key
            {Admit}
        """);

    // Who is admitted is counted, as long as the month's amount is not used up. Counters are locked after all buckets, in their own order.
    private static readonly Sql TakeUnits = new($"""
        WITH tries AS MATERIALIZED (
            SELECT *
            FROM unnest(@keys, @ids, @users, @quotas, @months, @amounts) AS try (key, id, user_id, quota, month, amount)
        ), admitted AS (
            INSERT INTO rate_limits AS bucket (key, tat)
            SELECT key, clock_timestamp() + @cost
            FROM tries
            {Admit}
        ), counted AS (
            INSERT INTO usage_counters AS counter (month, user_id, quota, used)
            SELECT month, user_id, quota, 1
            FROM tries
            JOIN admitted USING (key)
            ORDER BY month, user_id, quota
            ON CONFLICT (month, user_id, quota) DO UPDATE SET used = counter.used + 1
            WHERE (SELECT amount < 0 OR counter.used < amount
                   FROM tries
                   WHERE (tries.month, tries.user_id, tries.quota) = (counter.month, counter.user_id, counter.quota))
            RETURNING month, user_id, quota, used
        ), noted AS (
            INSERT INTO usage_units (id, month, user_id, quota, taken_at)
            SELECT id, month, user_id, quota, now()
            FROM tries
            JOIN counted USING (month, user_id, quota)
        )
        SELECT key, seconds, counted.used IS NOT NULL, coalesce(counted.used, greatest(known.used, amount::bigint))
        FROM admitted
        JOIN tries USING (key)
        LEFT JOIN counted USING (month, user_id, quota)
        LEFT JOIN usage_counters known USING (month, user_id, quota)
        """);

    // A statement of its own, because the one above sees what others took since it began only where it writes, not where it reads.
    private static readonly Sql Look = new("""
        SELECT key, extract(epoch FROM tat - clock_timestamp())::double precision
        FROM rate_limits
        WHERE key = ANY (@keys)
        """);

    private readonly Database database;
    private readonly SharedStatements<Try, TryAnswer> plain;
    private readonly SharedStatements<Try, TryAnswer> counting; // waits for the disk, which the others need not

    public RateLimitStore(Database database)
    {
        this.database = database;
        plain = new SharedStatements<Try, TryAnswer>(TakeAsync, attempt => TakeAsync([attempt]), BesideEachOther);
        counting = new SharedStatements<Try, TryAnswer>(TakeUnitsAsync, attempt => TakeUnitsAsync([attempt]), BesideEachOther);
    }

    /// <summary>Takes one try, and with it the unit if there is one and any are left.</summary>
    /// <exception cref="NpgsqlException">The database is away. It may have counted the unit nevertheless.</exception>
    public Task<TryAnswer> TakeAsync(byte[] key, Bucket bucket, QuotaUnit? unit = null) =>
        (unit is null ? plain : counting).RunAsync(new Try(key, bucket, unit));

    /// <summary>Buckets of one size, each once, as each user's quota.</summary>
    private static Predicate<Try> BesideEachOther()
    {
        Bucket? bucket = null;
        var keys = new HashSet<byte[]>(HashComparer.Instance);
        var units = new HashSet<(Guid, string, DateOnly)>();
        return attempt =>
        {
            bucket ??= attempt.Bucket;
            return attempt.Bucket == bucket && !keys.Contains(attempt.Key)
                && (attempt.Unit is not { } unit || units.Add((unit.UserId, unit.Quota, unit.Month)))
                && keys.Add(attempt.Key);
        };
    }

    private async Task TakeAsync(List<Try> tries)
    {
        var admitted = await Statement(Take, tries).AllAsync(
            static reader => (reader.GetFieldValue<byte[]>(0), new TryAnswer(true, TimeSpan.FromSeconds(reader.GetDouble(1)))));
        await AnswerAsync(tries, admitted);
    }

    private async Task TakeUnitsAsync(List<Try> tries)
    {
        var statement = Statement(TakeUnits, tries)
            .Bind("ids", tries.ConvertAll(attempt => attempt.Unit!.Id)).Bind("users", tries.ConvertAll(attempt => attempt.Unit!.UserId))
            .Bind("quotas", tries.ConvertAll(attempt => attempt.Unit!.Quota)).Bind("months", tries.ConvertAll(attempt => attempt.Unit!.Month))
            .Bind("amounts", tries.ConvertAll(attempt => attempt.Unit!.Amount));
        var admitted = await statement.AllAsync(static reader => (
            reader.GetFieldValue<byte[]>(0),
            new TryAnswer(true, TimeSpan.FromSeconds(reader.GetDouble(1)), new UnitAnswer(reader.GetBoolean(2), reader.GetInt64(3)))));
        await AnswerAsync(tries, admitted);
    }

    private LimitedStatement Statement(Sql sql, List<Try> tries) => database.LookUp(sql)
        .Bind("keys", tries.ConvertAll(attempt => attempt.Key)).Bind("cost", tries[0].Bucket.Cost).Bind("period", tries[0].Bucket.Period);

    /// <summary>Tells those who were admitted, and asks how long the others have to wait.</summary>
    private async Task AnswerAsync(List<Try> tries, List<(byte[] Key, TryAnswer Answer)> admitted)
    {
        if (Tell(tries, admitted) is not { Count: > 0 } refused)
        {
            return;
        }

        var look = database.LookUp(Look).Bind("keys", refused.ConvertAll(attempt => attempt.Key));
        var vanished = Tell(
            refused, await look.AllAsync(
                static reader => (reader.GetFieldValue<byte[]>(0), new TryAnswer(false, TimeSpan.FromSeconds(reader.GetDouble(1))))));
        vanished.ForEach(attempt => attempt.Answer = new TryAnswer(false, TimeSpan.Zero));
    }

    /// <summary>Sets the answers; returns those for whom there is none.</summary>
    private static List<Try> Tell(List<Try> tries, List<(byte[] Key, TryAnswer Answer)> answers)
    {
        var left = new Dictionary<byte[], Try>(tries.Count, HashComparer.Instance);
        tries.ForEach(attempt => left.Add(attempt.Key, attempt));
        foreach (var (key, answer) in answers)
        {
            left.Remove(key, out var attempt);
            attempt!.Answer = answer;
        }

        return [.. left.Values];
    }
}
