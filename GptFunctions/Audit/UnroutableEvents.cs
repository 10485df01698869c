namespace GptFunctions.Audit;

/// <summary>
/// Remembers which events no queue took, and for how long: a binding that is missing while something is deployed comes back in a moment; one
/// that stays away must not make everybody else's events walk around a growing heap for ever.
/// </summary>
internal sealed class UnroutableEvents(TimeProvider clock)
{
    private const int Tries = 5;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);
    private Dictionary<long, (int Tries, long FirstAt)> before = [];
    private Dictionary<long, (int Tries, long FirstAt)> now = [];

    public void BeginRound() => now = [];

    public void Note(long[] positions)
    {
        foreach (var position in positions)
        {
            now[position] = before.TryGetValue(position, out var known) ? (known.Tries + 1, known.FirstAt) : (1, clock.GetTimestamp());
        }
    }

    /// <summary>The positions for which the patience is over.</summary>
    public long[] EndRound()
    {
        before = now;
        return [.. before.Where(known => known.Value.Tries >= Tries && clock.GetElapsedTime(known.Value.FirstAt) >= Patience).Select(known => known.Key)];
    }
}
