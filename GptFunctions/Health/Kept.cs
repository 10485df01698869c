namespace GptFunctions.Health;

/// <summary>
/// Something that is found out once for all who ask meanwhile, and kept for a while: however many ask, no more is done than one of them would cause.
/// </summary>
internal sealed class Kept<T>(TimeSpan freshness, Func<Task<T>> find, TimeProvider clock)
{
    private readonly Lock turn = new();
    private Task<T>? last;
    private long foundAt;

    public Task<T> GetAsync()
    {
        lock (turn)
        {
            if (last is null || (last.IsCompleted && !(last.IsCompletedSuccessfully && clock.GetElapsedTime(Volatile.Read(ref foundAt)) < freshness)))
            {
                last = Task.Run(FindAsync);
            }

            return last;
        }
    }

    private async Task<T> FindAsync()
    {
        var found = await find();
        Volatile.Write(ref foundAt, clock.GetTimestamp());
        return found;
    }
}
