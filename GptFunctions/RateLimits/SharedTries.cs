using System.Diagnostics;
using GptFunctions.Hosting;

namespace GptFunctions.RateLimits;

/// <summary>A try that waits for its statement. Whoever waits for it goes on where its result is set.</summary>
internal sealed class Try(byte[] key, Bucket bucket, QuotaUnit? unit) : TaskCompletionSource<TryAnswer>
{
    public byte[] Key => key;

    public Bucket Bucket => bucket;

    public QuotaUnit? Unit => unit;

    /// <summary>The span that waits; null where nobody records it.</summary>
    public Activity? Span { get; } = Traces.Described;

    /// <summary>Null until the database has said it.</summary>
    public TryAnswer? Answer { get; set; }
}

/// <summary>
/// Tries that come while a statement is on its way wait for the next one and share it: the busier, the cheaper each one gets. Whoever comes alone
/// waits for nobody.
/// </summary>
/// <param name="take">Runs the statement of several tries and sets their answers.</param>
internal sealed class SharedTries(Func<List<Try>, Task> take)
{
    private const int TriesPerStatement = 200;
    private readonly Lock turn = new();
    private readonly List<Try> waiting = [];
    private bool isRunning;

    public Task<TryAnswer> TakeAsync(Try attempt)
    {
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
            if (Traces.Source.HasListeners())
            {
                // Or whoever came first would have the statements of all who come later in their trace.
                Activity.Current = tries.Find(attempt => attempt.Span is not null)?.Span;
            }

            Exception? failure = null;
            try
            {
                await take(tries);
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

    /// <summary>What the next statement takes: buckets of one size, each once, as each user's quota. Null when nothing waits.</summary>
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
            var units = new HashSet<(Guid, string, DateOnly)>();
            waiting.RemoveAll(attempt =>
            {
                if (attempt.Bucket != bucket || tries.Count == TriesPerStatement || keys.Contains(attempt.Key)
                    || (attempt.Unit is { } unit && !units.Add((unit.UserId, unit.Quota, unit.Month))))
                {
                    return false;
                }

                keys.Add(attempt.Key);
                tries.Add(attempt);
                return true;
            });
            return tries;
        }
    }
}

/// <summary>Keys are hashes already.</summary>
internal sealed class KeyComparer : IEqualityComparer<byte[]>
{
    public static KeyComparer Instance { get; } = new();

    public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

    public int GetHashCode(byte[] obj) => BitConverter.ToInt32(obj);
}
