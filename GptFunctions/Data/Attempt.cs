namespace GptFunctions.Data;

/// <summary>
/// Cancels without blocking. While a connection is being opened, that is simple; a statement is cancelled by Npgsql over another
/// connection to the server, for which it blocks the calling thread: that is one of its own here, at most one for each connection.
/// </summary>
internal sealed class Attempt : CancellationTokenSource
{
    private int state;

    private enum State
    {
        Opening,
        Executing,
        GivenUp,
    }

    /// <summary>The connection is open.</summary>
    public void Begin()
    {
        if (Interlocked.CompareExchange(ref state, (int)State.Executing, (int)State.Opening) != (int)State.Opening)
        {
            throw new OperationCanceledException();
        }
    }

    public void GiveUp()
    {
        if (Interlocked.Exchange(ref state, (int)State.GivenUp) == (int)State.Opening)
        {
            Cancel();
        }
        else
        {
            new Thread(CancelStatement) { IsBackground = true, Name = "cancels a statement" }.Start();
        }
    }

    private void CancelStatement()
    {
        try
        {
            Cancel();
        }
        catch (AggregateException)
        {
            // Nobody waits for the statement any more, nor for this.
        }
    }
}
