namespace GptFunctions.Hosting;

/// <summary>A request as <see cref="RequestLog"/> has it: the route's template, never the path or the query.</summary>
/// <param name="Outcome">A reason of docs/refusals.md, or <c>ok</c>.</param>
internal sealed record RecentRequest(
    DateTimeOffset At, string Method, string? Route, string? Action, int Status, double Milliseconds, string Outcome, string CorrelationId);

/// <summary>The last requests of this process, for whoever tries it out. Registered in Development only; else nothing is kept.</summary>
internal sealed class RecentRequests
{
    private const int Kept = 20;
    private readonly Lock turn = new();
    private readonly Queue<RecentRequest> requests = new();

    /// <summary>The newest first.</summary>
    public IReadOnlyList<RecentRequest> All
    {
        get
        {
            lock (turn)
            {
                return [.. requests.Reverse()];
            }
        }
    }

    public void Add(RecentRequest request)
    {
        lock (turn)
        {
            requests.Enqueue(request);
            if (requests.Count > Kept)
            {
                requests.Dequeue();
            }
        }
    }
}
