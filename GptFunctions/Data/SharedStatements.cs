using System.Diagnostics;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Data;

/// <summary>What waits for a statement that it shares with others. Whoever waits for it goes on where its answer is set.</summary>
internal abstract class SharedItem<TAnswer> : TaskCompletionSource<TAnswer?>
{
    /// <summary>The span that waits; null where nobody records it.</summary>
    public Activity? Span { get; } = Traces.Described;

    /// <summary>Whether the statement said anything of it. One that fails later takes nothing back.</summary>
    public bool IsAnswered { get; private set; }

    /// <summary>What the statement said of it; the default when it said nothing.</summary>
    public TAnswer? Answer
    {
        get;
        set => (field, IsAnswered) = (value, true);
    }
}

/// <summary>
/// Statements that callers share: who comes while one is on its way waits for the next and shares it, so the busier, the cheaper each one gets. Who
/// comes alone waits for nobody.
/// </summary>
/// <param name="run">Runs the statement of some items and sets their answers. It must not wait long for anybody else's lock.</param>
/// <param name="alone">Runs the statement of one item, for which nobody else waits, and so as long as it takes.</param>
/// <param name="begin">
/// Begins a statement: tells of one item after the other, the oldest first, whether it may stand beside those that it took before. The first always may.
/// </param>
/// <param name="lanes">How many statements may be on their way at once: while those of one go on, the next is at work.</param>
internal sealed class SharedStatements<TItem, TAnswer>(
    Func<List<TItem>, Task> run, Func<TItem, Task> alone, Func<Predicate<TItem>> begin, int lanes = 1)
    where TItem : SharedItem<TAnswer>
{
    private const int ItemsPerStatement = 200;
    private const int Turns = 8;
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(0.5);
    private readonly Lock turn = new();
    private readonly List<TItem> waiting = [];
    private int running;

    public Task<TAnswer?> RunAsync(TItem item)
    {
        lock (turn)
        {
            waiting.Add(item);
            if (running == lanes)
            {
                return item.Task;
            }

            running++;
        }

        _ = WorkAsync();
        return item.Task;
    }

    /// <summary>
    /// One statement after the other, as long as somebody waits. Each takes what came while the one before was on its way, while those who had waited for
    /// it went on, and for a moment more.
    /// </summary>
    private async Task WorkAsync()
    {
        while (Next() is { } items)
        {
            if (Traces.Source.HasListeners())
            {
                // Or whoever came first would have the statements of all who come later in their trace.
                Activity.Current = items.Find(item => item.Span is not null)?.Span;
            }

            var failure = await TryAsync(() => run(items));
            if (failure is PostgresException error && MayBeOfOne(error))
            {
                items.ForEach(item => _ = TryAloneAsync(item)); // one caller's fault is not another's
                continue;
            }

            if (failure is not null)
            {
                items.AddRange(TakeWaiting()); // or they would wait for the same silence, one statement after the other
            }

            End(items, failure);
            if (items.Count > 1)
            {
                await LetOthersComeAsync();
            }
        }
    }

    /// <summary>
    /// After a statement that callers shared, what waits for a thread goes first: most of it are requests that share the next one, which costs the database
    /// hardly more for them. Only for a moment, because all other work of the process waits there, too; and where nothing waits, no time at all.
    /// </summary>
    private static async ValueTask LetOthersComeAsync()
    {
        var began = TimeProvider.System.GetTimestamp();
        var count = 0;
        do
        {
            await Task.Yield();
        }
        while (++count < Turns && TimeProvider.System.GetElapsedTime(began) < Moment);
    }

    /// <summary>Of values, constraints, locks, or raised by a function of ours; anything else would befall each of them by itself, too.</summary>
    private static bool MayBeOfOne(PostgresException error) => error.SqlState[..2] is "22" or "23" or "40" or "55" or "P0" or "GF";

    private async Task TryAloneAsync(TItem item) => End([item], item.IsAnswered ? null : await TryAsync(() => alone(item)));

    private static async Task<Exception?> TryAsync(Func<Task> statement)
    {
        try
        {
            await statement();
            return null;
        }
        catch (Exception error) when (error is not OutOfMemoryException) // whatever it is: somebody waits for it
        {
            return error;
        }
    }

    /// <summary>Those who waited go on here, one after the other, which costs far less than a thread for each.</summary>
    private static void End(List<TItem> items, Exception? failure)
    {
        foreach (var item in items)
        {
            if (failure is null || item.IsAnswered)
            {
                item.SetResult(item.Answer);
            }
            else
            {
                item.SetException(failure);
            }
        }
    }

    private List<TItem> TakeWaiting()
    {
        lock (turn)
        {
            var all = waiting.ToList();
            waiting.Clear();
            return all;
        }
    }

    /// <summary>What the next statement takes; null when nothing waits.</summary>
    private List<TItem>? Next()
    {
        lock (turn)
        {
            if (waiting.Count == 0)
            {
                running--;
                return null;
            }

            var items = new List<TItem>(Math.Min(waiting.Count, ItemsPerStatement));
            var isTaken = begin();
            waiting.RemoveAll(item =>
            {
                if (items.Count == ItemsPerStatement || !isTaken(item))
                {
                    return false;
                }

                items.Add(item);
                return true;
            });
            return items;
        }
    }
}

/// <summary>For keys that are hashes already.</summary>
internal sealed class HashComparer : IEqualityComparer<byte[]>
{
    public static HashComparer Instance { get; } = new();

    public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

    public int GetHashCode(byte[] obj) => BitConverter.ToInt32(obj);
}
