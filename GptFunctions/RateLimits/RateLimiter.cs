using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using GptFunctions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace GptFunctions.RateLimits;

/// <summary>The answer of a bucket.</summary>
/// <param name="RetryAfterSeconds">Null when admitted; else whole seconds, rounded up, after which a try is admitted.</param>
/// <param name="Remaining">Tries that are left now.</param>
/// <param name="ResetSeconds">Whole seconds, rounded up, until all tries are back.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct RateLimitDecision(int? RetryAfterSeconds, int Remaining, int ResetSeconds);

/// <summary>
/// Rate limits shared by all replicas: GCRA on one table, by the database's clock. A bucket that is known to be empty is refused from memory
/// until its time comes. While the database does not take them, each process limits by itself, with the same numbers: never not at all.
/// </summary>
internal sealed partial class RateLimiter(RateLimitStore store, RateLimitMetrics metrics, TimeProvider clock, ILogger<RateLimiter> logger)
{
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);
    private readonly LocalBuckets buckets = new(clock);
    private long nextTry; // the timestamp before which an absent database is left alone

    /// <summary>Whether the limits of this process are its own for now, because the database does not take them.</summary>
    public bool IsLocal { get; private set; }

    /// <summary>Takes one try from the bucket of <paramref name="key"/>, which holds <paramref name="limit"/> per <paramref name="period"/>.</summary>
    public ValueTask<RateLimitDecision> TryTakeAsync(string key, int limit, TimeSpan period) => TryTakeAsync(new LimitKey(key), limit, period);

    /// <inheritdoc cref="TryTakeAsync(string, int, TimeSpan)"/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))] // nobody keeps the task, so its memory serves the next call
    public async ValueTask<RateLimitDecision> TryTakeAsync(LimitKey key, int limit, TimeSpan period)
    {
        var name = key.Short;
        var bucket = new Bucket(limit, period);
        if (buckets.Refuse(name, bucket) is { } refusal)
        {
            return Count(key, refusal);
        }

        if (IsLocal && !MayTry())
        {
            return Count(key, buckets.Take(name, bucket));
        }

        try
        {
            var started = clock.GetTimestamp();
            var answer = await store.TakeAsync(key.Hash, bucket);
            buckets.Note(name, started, answer.Left);
            Shared();
            return Count(key, bucket.Decide(answer.IsAdmitted, answer.Left));
        }
        catch (Exception error) when (ErrorMapper.IsOutage(error) || error is PostgresException) // also: no right to write, a read-only server, no table
        {
            Local(error.Message);
            return Count(key, buckets.Take(name, bucket));
        }
    }

    /// <summary>
    /// The same for a try that counts against a quota of the month too, in the same statement. What is bought is never counted in memory: without the
    /// database there is no answer.
    /// </summary>
    /// <returns>The bucket's answer and, when it admits the try, the quota's.</returns>
    /// <exception cref="NpgsqlException">The database is away. It may have counted the unit nevertheless.</exception>
    public async ValueTask<(RateLimitDecision Decision, UnitAnswer? Unit)> TryTakeAsync(LimitKey key, int limit, TimeSpan period, QuotaUnit unit)
    {
        var name = key.Short;
        var bucket = new Bucket(limit, period);
        if (buckets.Refuse(name, bucket) is { } refusal)
        {
            return (Count(key, refusal), null);
        }

        var started = clock.GetTimestamp();
        var answer = await store.TakeAsync(key.Hash, bucket, unit);
        buckets.Note(name, started, answer.Left);
        return (Count(key, bucket.Decide(answer.IsAdmitted, answer.Left)), answer.Unit);
    }

    private RateLimitDecision Count(LimitKey key, RateLimitDecision decision)
    {
        if (decision.RetryAfterSeconds is not null)
        {
            metrics.Refused(key.Name);
        }

        return decision;
    }

    /// <summary>One caller a second finds out whether the database is back; the others do not wait for it.</summary>
    private bool MayTry()
    {
        var (due, now) = (Volatile.Read(ref nextTry), clock.GetTimestamp());
        return now >= due && Interlocked.CompareExchange(ref nextTry, now + Ticks(RetryInterval), due) == due;
    }

    private void Local(string reason)
    {
        Volatile.Write(ref nextTry, clock.GetTimestamp() + Ticks(RetryInterval));
        if (!IsLocal)
        {
            IsLocal = true;
            LogLocal(reason);
        }
    }

    private void Shared()
    {
        if (IsLocal)
        {
            IsLocal = false;
            LogShared();
        }
    }

    private long Ticks(TimeSpan time) => (long)(time.TotalSeconds * clock.TimestampFrequency);

    [LoggerMessage(6003, LogLevel.Warning, "Rate limits count in this process only, because the database does not take them: {Reason}")]
    private partial void LogLocal(string reason);

    [LoggerMessage(6004, LogLevel.Information, "Rate limits are shared by all replicas again")]
    private partial void LogShared();
}

/// <summary>Which bucket: the limit's name, a bar, and whose bucket it is; hashed once, for whoever asks for it again and again.</summary>
internal sealed class LimitKey(string name)
{
    public string Name => name;

    public byte[] Hash { get; } = Sha256.Of(name);

    /// <summary>Half of the hash: what this process knows a bucket by.</summary>
    public UInt128 Short => MemoryMarshal.Read<UInt128>(Hash);
}

/// <summary>How much a bucket holds. What is left of it is told by the time until it is full again.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct Bucket(int Limit, TimeSpan Period)
{
    public TimeSpan Cost => Period / Limit;

    public RateLimitDecision Decide(bool isAdmitted, TimeSpan left)
    {
        var reset = Math.Max(0, (int)Math.Ceiling(left.TotalSeconds));
        return isAdmitted
            ? new RateLimitDecision(null, Math.Clamp((int)((Period - left) / Cost), 0, Limit), reset)
            : new RateLimitDecision(Math.Max(1, (int)Math.Ceiling((left + Cost - Period).TotalSeconds)), 0, reset);
    }
}

/// <summary>What this process knows of buckets: enough to refuse from memory what the database would refuse, and to go on without it.</summary>
internal sealed class LocalBuckets(TimeProvider clock)
{
    private const int Capacity = 100_000;
    private readonly ConcurrentDictionary<UInt128, FullAgain> buckets = new();
    private readonly Lock turn = new();
    private long nextSweep;

    /// <summary>When a bucket is full again: not before the first timestamp, not after the second. The truth came over a network.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct FullAgain(long Earliest, long Latest);

    /// <summary>The refusal, when the bucket is empty for certain.</summary>
    public RateLimitDecision? Refuse(UInt128 name, Bucket bucket)
    {
        if (!buckets.TryGetValue(name, out var known))
        {
            return null;
        }

        var now = clock.GetTimestamp();
        return Left(now, known.Earliest) + bucket.Cost > bucket.Period ? bucket.Decide(false, Left(now, known.Latest)) : null;
    }

    /// <param name="asked">When the database was asked.</param>
    /// <param name="left">Its answer.</param>
    public void Note(UInt128 name, long asked, TimeSpan left)
    {
        var ticks = Ticks(left);
        Set(name, new FullAgain(asked + ticks, clock.GetTimestamp() + ticks));
    }

    /// <summary>GCRA in memory.</summary>
    public RateLimitDecision Take(UInt128 name, Bucket bucket)
    {
        lock (turn)
        {
            var now = clock.GetTimestamp();
            var left = (buckets.TryGetValue(name, out var known) ? Left(now, known.Latest) : TimeSpan.Zero) + bucket.Cost;
            if (left > bucket.Period || !Set(name, new FullAgain(now + Ticks(left), now + Ticks(left))))
            {
                return bucket.Decide(false, left - bucket.Cost);
            }

            return bucket.Decide(true, left);
        }
    }

    /// <summary>False when there is no room.</summary>
    private bool Set(UInt128 name, FullAgain told)
    {
        if (!buckets.ContainsKey(name) && buckets.Count >= Capacity && !Sweep())
        {
            return false;
        }

        // Answers may overtake each other; a bucket in use only ever gets full later.
        buckets.AddOrUpdate(
            name, static (_, told) => told, static (_, known, told) => new(
                Math.Max(known.Earliest, told.Earliest), Math.Max(known.Latest, told.Latest)), told);
        return true;
    }

    /// <summary>Forgets buckets that are full again, at most once a second; false when that made no room.</summary>
    private bool Sweep()
    {
        var (due, now) = (Volatile.Read(ref nextSweep), clock.GetTimestamp());
        if (now < due || Interlocked.CompareExchange(ref nextSweep, now + clock.TimestampFrequency, due) != due)
        {
            return false;
        }

        foreach (var (name, _) in buckets.Where(bucket => bucket.Value.Latest < now))
        {
            buckets.TryRemove(name, out _);
        }

        return buckets.Count < Capacity;
    }

    /// <summary>Not below zero: a bucket that has been full for long holds no more than one that just filled up.</summary>
    private TimeSpan Left(long now, long fullAgain) => fullAgain > now ? clock.GetElapsedTime(now, fullAgain) : TimeSpan.Zero;

    private long Ticks(TimeSpan time) => (long)(time.TotalSeconds * clock.TimestampFrequency);
}
