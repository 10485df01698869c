using System.Runtime.InteropServices;

namespace GptFunctions.Statistics;

/// <summary>Whose calls are added up.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct Usage(string ClientId, Guid UserId, DateOnly Day);

/// <param name="LastAt">Of the newest of the calls.</param>
[StructLayout(LayoutKind.Auto)]
internal record struct Calls(long Count, DateTimeOffset LastAt);

/// <summary>Calls that the gateway let through, by client, person and day (UTC), until they are written down, once a minute.</summary>
internal sealed class ClientUsage
{
    private const int MostKinds = 100_000;
    private readonly Lock turn = new();
    private Dictionary<Usage, Calls> calls = [];
    private long lost;

    public void Add(string clientId, Guid userId, DateTimeOffset now)
    {
        var usage = new Usage(clientId, userId, DateOnly.FromDateTime(now.UtcDateTime));
        lock (turn)
        {
            if (calls.Count >= MostKinds && !calls.ContainsKey(usage))
            {
                lost++;
                return;
            }

            ref var known = ref CollectionsMarshal.GetValueRefOrAddDefault(calls, usage, out _);
            known = new Calls(known.Count + 1, known.LastAt > now ? known.LastAt : now);
        }
    }

    /// <summary>What was added since the last time, and how many calls more did not fit.</summary>
    public (Dictionary<Usage, Calls> Calls, long Lost) Take()
    {
        lock (turn)
        {
            var taken = (calls, lost);
            (calls, lost) = ([], 0); // a new one: what was taken must not change any more
            return taken;
        }
    }
}
