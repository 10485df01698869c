using GptFunctions.Data;

namespace GptFunctions.RateLimits;

/// <summary>
/// The buckets in the database. Tries that come while a statement is on its way wait for the next one and share it: the busier, the cheaper
/// each one gets. Whoever comes alone waits for nobody.
/// </summary>
internal sealed class RateLimitStore(Database database)
{
    private const int TriesPerStatement = 200;

    // tat is the theoretical arrival time: when the bucket is full again. A try costs period / limit and is admitted while tat stays within
    // one period of now. In the order of the keys, so that statements which meet never wait for each other in a circle.
    private static readonly Sql Take = new("""
        INSERT INTO rate_limits AS bucket (key, tat)
        SELECT key, clock_timestamp() + @cost
        FROM unnest(@keys) AS key
        ORDER BY key
        ON CONFLICT (key) DO UPDATE SET tat = greatest(bucket.tat, clock_timestamp()) + @cost
        WHERE greatest(bucket.tat, clock_timestamp()) + @cost <= clock_timestamp() + @period
        RETURNING key, extract(epoch FROM tat - clock_timestamp())::double precision
        """);

    // A statement of its own, because the one above sees what others took since it began only where it writes, not where it reads.
    private static readonly Sql Look = new("""
        SELECT key, extract(epoch FROM tat - clock_timestamp())::double precision
        FROM rate_limits
        WHERE key = ANY (@keys)
        """);

    private readonly Lock turn = new();
    private readonly List<Try> waiting = [];
    private bool isRunning;

    /// <summary>Whoever waits for it goes on where its result is set.</summary>
    private sealed class Try(byte[] key, Bucket bucket) : TaskCompletionSource<(bool IsAdmitted, TimeSpan Left)>
    {
        public byte[] Key => key;

        public Bucket Bucket => bucket;

        /// <summary>Null until the database has said it.</summary>
        public (bool IsAdmitted, TimeSpan Left)? Answer { get; set; }
    }

    /// <summary>Takes one try.</summary>
    /// <returns>Whether it was admitted, and how long it takes until the bucket is full again.</returns>
    public Task<(bool IsAdmitted, TimeSpan Left)> TakeAsync(byte[] key, Bucket bucket)
    {
        var attempt = new Try(key, bucket);
        lock (turn)
        {
            waiting.Add(attempt);
            if (isRunning)
            {
                return attempt.Task;
            }

            isRunning = true;
        }

        _ = RunAsync();
        return attempt.Task;
    }

    /// <summary>
    /// One statement after the other, as long as somebody waits. Each takes what came while the one before was on its way and while those who
    /// had waited for it went on; it does not wait for a thread, behind all other work of the process.
    /// </summary>
    private async Task RunAsync()
    {
        while (Next() is { } tries)
        {
            Exception? failure = null;
            try
            {
                await TakeAsync(tries);
            }
            catch (Exception error) when (error is not OutOfMemoryException) // whatever it is: somebody waits for it
            {
                failure = error;
                tries.AddRange(TakeWaiting()); // or they would wait for the same silence, one statement after the other
            }

            // Those who waited go on here, one after the other, which costs far less than a thread for each.
            foreach (var attempt in tries)
            {
                if (attempt.Answer is { } answer)
                {
                    attempt.SetResult(answer);
                }
                else
                {
                    attempt.SetException(failure!);
                }
            }
        }
    }

    private List<Try> TakeWaiting()
    {
        lock (turn)
        {
            var all = waiting.ToList();
            waiting.Clear();
            return all;
        }
    }

    /// <summary>What the next statement takes: buckets of one size, each once. Null when nothing waits.</summary>
    private List<Try>? Next()
    {
        lock (turn)
        {
            if (waiting.Count == 0)
            {
                isRunning = false;
                return null;
            }

            var bucket = waiting[0].Bucket;
            var tries = new List<Try>(waiting.Count);
            var keys = new HashSet<byte[]>(KeyComparer.Instance);
            waiting.RemoveAll(attempt =>
            {
                if (attempt.Bucket != bucket || tries.Count == TriesPerStatement || !keys.Add(attempt.Key))
                {
                    return false;
                }

                tries.Add(attempt);
                return true;
            });
            return tries;
        }
    }

    // To write something in the same round trip (the attempt of an audited action, say): let Try carry it, bind it as further arrays beside the
    // keys, and add a part to Take that inserts the rows of the keys that were admitted, WITH taken AS (INSERT ... RETURNING ...).
    private async Task TakeAsync(List<Try> tries)
    {
        var bucket = tries[0].Bucket;
        var take = Statement(Take, tries).Bind("cost", bucket.Cost).Bind("period", bucket.Period);
        if (await AnswerAsync(take, tries, isAdmitted: true) is { Count: > 0 } refused)
        {
            var look = Statement(Look, refused);
            var vanished = await AnswerAsync(look, refused, isAdmitted: false);
            vanished.ForEach(attempt => attempt.Answer = (false, TimeSpan.Zero));
        }
    }

    private LimitedStatement Statement(Sql sql, List<Try> tries) => database.LookUp(sql).Bind("keys", tries.ConvertAll(attempt => attempt.Key));

    /// <summary>Tells those who are in the result; returns the others.</summary>
    private static async Task<List<Try>> AnswerAsync(LimitedStatement statement, List<Try> tries, bool isAdmitted)
    {
        var left = new Dictionary<byte[], Try>(tries.Count, KeyComparer.Instance);
        tries.ForEach(attempt => left.Add(attempt.Key, attempt));
        foreach (var (key, seconds) in await statement.AllAsync(static reader => (reader.GetFieldValue<byte[]>(0), reader.GetDouble(1))))
        {
            left.Remove(key, out var attempt);
            attempt!.Answer = (isAdmitted, TimeSpan.FromSeconds(seconds));
        }

        return [.. left.Values];
    }

    /// <summary>Keys are hashes already.</summary>
    private sealed class KeyComparer : IEqualityComparer<byte[]>
    {
        public static KeyComparer Instance { get; } = new();

        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(byte[] obj) => BitConverter.ToInt32(obj);
    }
}
