namespace Microsoft.Azure.Functions.Worker;

/// <summary>Stand-in for the worker's type: what a timer function is told about its run.</summary>
public class TimerInfo
{
    public ScheduleStatus? ScheduleStatus { get; set; }

    public bool IsPastDue { get; set; }
}
