using Microsoft.Extensions.ObjectPool;

namespace GptFunctions.Gateway;

/// <summary>
/// What ends a call: its route's time, or the caller who hangs up. One that ended nothing serves another call, so that calls do not leave theirs, with a
/// timer and what waits for it, to the garbage collector.
/// </summary>
internal sealed class CallLimits
{
    private const int MostUnused = 256;
    private readonly ObjectPool<CancellationTokenSource> unused = new DefaultObjectPoolProvider { MaximumRetained = MostUnused }.Create(new Policy());

    /// <summary>Nobody uses the limit when what this returns is disposed of.</summary>
    public OpenLimit Begin(CancellationToken hungUp)
    {
        var limit = unused.Get();
        return new OpenLimit(unused, limit, hungUp.UnsafeRegister(static limit => ((CancellationTokenSource)limit!).Cancel(), limit));
    }

    internal readonly struct OpenLimit(ObjectPool<CancellationTokenSource> unused, CancellationTokenSource limit, CancellationTokenRegistration hangUp)
        : IDisposable
    {
        public CancellationTokenSource Limit => limit;

        public void Dispose()
        {
            hangUp.Dispose(); // after which nobody cancels it
            unused.Return(limit);
        }
    }

    private sealed class Policy : PooledObjectPolicy<CancellationTokenSource>
    {
        public override CancellationTokenSource Create() => new();

        public override bool Return(CancellationTokenSource obj) => obj.TryReset();
    }
}
