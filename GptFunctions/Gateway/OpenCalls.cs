using System.Runtime.InteropServices;
using Microsoft.Extensions.Options;

namespace GptFunctions.Gateway;

/// <summary>
/// The calls that are open in this process, in all and of each user. A stream can stay open for as long as its upstream likes, and each one
/// holds a connection here and there: rates alone do not bound that.
/// </summary>
internal sealed class OpenCalls(IOptions<GatewaySettings> settings)
{
    private readonly Lock turn = new();
    private readonly Dictionary<Guid, int> byUser = [];
    private int all;

    /// <summary>How many are open now.</summary>
    public int Count => Volatile.Read(ref all);

    /// <summary>Null when the call is counted from now on, else why it is not admitted.</summary>
    public GatewayRefusal? Enter(Guid userId)
    {
        lock (turn)
        {
            if (all >= settings.Value.OpenCalls)
            {
                return GatewayRefusal.Busy;
            }

            ref var open = ref CollectionsMarshal.GetValueRefOrAddDefault(byUser, userId, out _);
            if (open >= settings.Value.OpenCallsPerUser)
            {
                return GatewayRefusal.TooManyOpen(open);
            }

            open++;
            all++;
            return null;
        }
    }

    public void Leave(Guid userId)
    {
        lock (turn)
        {
            all--;
            if (--CollectionsMarshal.GetValueRefOrNullRef(byUser, userId) == 0)
            {
                byUser.Remove(userId);
            }
        }
    }
}

/// <summary>
/// One call's place among <see cref="OpenCalls"/>, taken once its user is known and given back when this is disposed of, however the call ends.
/// </summary>
internal sealed class OpenCall(OpenCalls calls) : IDisposable
{
    private Guid? user;

    public GatewayRefusal? Enter(Guid userId)
    {
        var refusal = calls.Enter(userId);
        user = refusal is null ? userId : null;
        return refusal;
    }

    public void Dispose()
    {
        if (user is { } entered)
        {
            user = null;
            calls.Leave(entered);
        }
    }
}
