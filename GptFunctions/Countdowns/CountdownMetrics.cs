using System.Diagnostics.Metrics;

namespace GptFunctions.Countdowns;

/// <summary>Figures of the countdowns, under the meter <c>GptFunctions.Countdowns</c>.</summary>
internal sealed class CountdownMetrics : IDisposable
{
    private readonly Meter meter = new("GptFunctions.Countdowns");
    private readonly Counter<long> handled;
    private readonly Histogram<double> lateness;

    public CountdownMetrics()
    {
        handled = meter.CreateCounter<long>("gpt.countdowns.handled", "{countdown}", "Attempts by kind and outcome");
        lateness = meter.CreateHistogram<double>("gpt.countdowns.lateness", "s", "From the time that a countdown was due to its effect");
        meter.CreateObservableGauge("gpt.countdowns.late", () => State.Late, "{countdown}", "Due for longer than a run may take to come");
        meter.CreateObservableGauge("gpt.countdowns.dead", () => State.Dead, "{countdown}", "Given up; an operator replays or cancels them");
    }

    /// <summary>As read at the end of the last run.</summary>
    public CountdownState State { get; set; } = new(0, 0, 0);

    public void Completed(string kind, TimeSpan late)
    {
        handled.Add(1, new("kind", kind), new("outcome", "completed"));
        lateness.Record(late.TotalSeconds, new KeyValuePair<string, object?>("kind", kind));
    }

    public void Failed(string kind) => handled.Add(1, new("kind", kind), new("outcome", "failed"));

    public void Dispose() => meter.Dispose();
}
