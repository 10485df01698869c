using System.Runtime.InteropServices;

namespace GptFunctions.Hosting;

/// <summary>Adds up in memory what somebody writes down later. Of more kinds than fit, the number is all that is kept.</summary>
/// <param name="capacity">How many kinds are told apart until they are taken.</param>
internal sealed class Tally<TKey>(int capacity)
    where TKey : notnull
{
    private readonly Lock turn = new();
    private Dictionary<TKey, long> counts = [];
    private long lost;

    public void Add(TKey key, long count = 1)
    {
        lock (turn)
        {
            if (counts.Count >= capacity && !counts.ContainsKey(key))
            {
                lost += count;
                return;
            }

            CollectionsMarshal.GetValueRefOrAddDefault(counts, key, out _) += count;
        }
    }

    /// <summary>What was added since the last time, and how much of it was of more kinds than fit.</summary>
    public (Dictionary<TKey, long> Counts, long Lost) Take()
    {
        lock (turn)
        {
            var taken = (counts, lost);
            (counts, lost) = ([], 0); // a new one: what was taken must not change any more
            return taken;
        }
    }
}
