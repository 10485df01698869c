using System.Diagnostics.Metrics;
using GptFunctions.Hosting;

namespace GptFunctions.Health;

/// <summary>How the program does, under the meter <c>GptFunctions.Health</c>.</summary>
internal sealed class HealthMetrics : IDisposable
{
    private readonly ObservableGauge<int> states;

    public HealthMetrics(SafeMode safeMode)
    {
        Meter.CreateObservableGauge("gpt.safe_mode", () => safeMode.IsOn ? 1 : 0, null, "1 while anything is skipped that would be done outside, else 0");
        states = Meter.CreateObservableGauge(
            "gpt.selftest.state", () => Last?.Subsystems.Select(Measure) ?? [], null, "0 ok, 1 safe_mode, 2 degraded, 3 blocker, by subsystem");
    }

    public Meter Meter { get; } = new("GptFunctions.Health");

    /// <summary>Whether anybody reads the states.</summary>
    public bool IsRead => states.Enabled;

    /// <summary>The last self-test that was run for these figures.</summary>
    public SelfTest? Last { get; set; }

    public void Dispose() => Meter.Dispose();

    private static Measurement<int> Measure(Subsystem subsystem) => new((int)subsystem.State, new KeyValuePair<string, object?>("subsystem", subsystem.Name));
}
