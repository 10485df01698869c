namespace Microsoft.Azure.Functions.Worker;

/// <summary>Stand-in for the worker's type: null on every timer with <c>UseMonitor = false</c>.</summary>
public class ScheduleStatus
{
    public DateTime Last { get; set; }

    public DateTime Next { get; set; }

    public DateTime LastUpdated { get; set; }
}
