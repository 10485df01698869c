namespace GptFunctions.Audit;

/// <summary>Wakes this process's relay after a commit, so that an event leaves at once instead of at the next poll.</summary>
internal sealed class OutboxSignal : IDisposable
{
    private readonly SemaphoreSlim waiting = new(0, 1);

    public void Raise()
    {
        if (waiting.CurrentCount == 0)
        {
            try
            {
                waiting.Release();
            }
            catch (SemaphoreFullException)
            {
                // Somebody else raised it in the same moment.
            }
        }
    }

    /// <summary>Returns when raised or after the time.</summary>
    public Task<bool> WaitAsync(TimeSpan limit, CancellationToken cancellationToken) => waiting.WaitAsync(limit, cancellationToken);

    public void Dispose() => waiting.Dispose();
}
