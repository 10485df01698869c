using System.Diagnostics.Metrics;
using GptFunctions.Health;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tests.Health;

/// <summary>
/// Alerts need nobody who calls: the figures are kept as soon as somebody reads them. After all others, because exporters read those that other tests start.
/// </summary>
[Collection(nameof(AfterAllOthers))]
public sealed class SelfTestWatchTests : IDisposable
{
    private readonly SafeMode safeMode = new(Options.Create(new SafeModeSettings()), []);
    private readonly ApplicationLifetime lifetime = new(NullLogger<ApplicationLifetime>.Instance);
    private readonly CountedCheck check = new();
    private readonly HealthMetrics metrics;

    public SelfTestWatchTests()
    {
        metrics = new HealthMetrics(safeMode);
        lifetime.NotifyStarted();
    }

    public void Dispose() => metrics.Dispose();

    [Fact]
    public async Task Figures_cost_nothing_while_nobody_reads_them()
    {
        using var listener = Listen((instrument, _) => RunMeters.Leave(instrument));
        metrics.Last = new SelfTest(DateTimeOffset.UnixEpoch, false, []); // of before, which would be out of date
        await RunUntilAsync(() => metrics.Last is null);
        Assert.Equal(0, check.Runs);
    }

    [Fact]
    public async Task Figures_are_kept_while_somebody_reads_them()
    {
        var read = new List<(int Value, string? Subsystem)>();
        using var listener = Listen((instrument, listening) => listening.EnableMeasurementEvents(instrument));
        listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) =>
            read.Add((value, tags.Length > 0 ? tags[0].Value as string : instrument.Name)));
        await RunUntilAsync(() => metrics.Last is not null);
        listener.RecordObservableInstruments();
        Assert.Equal([(0, "gpt.safe_mode"), (2, "one")], read.Order());
    }

    private async Task RunUntilAsync(Func<bool> condition)
    {
        var service = new SelfTestService([check], safeMode, TimeProvider.System, NullLogger<SelfTestService>.Instance);
        using var watch = new SelfTestWatch(service, metrics, lifetime, NullLogger<SelfTestWatch>.Instance);
        await watch.StartAsync(CancellationToken.None);
        await Wait.UntilAsync(condition);
        await watch.StopAsync(CancellationToken.None);
    }

    private MeterListener Listen(Action<Instrument, MeterListener> heard)
    {
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listening) =>
            {
                if (ReferenceEquals(instrument.Meter, metrics.Meter))
                {
                    heard(instrument, listening);
                }
            },
        };
        listener.Start();
        return listener;
    }

    private sealed class CountedCheck : ICheck
    {
        public int Runs { get; private set; }

        public string Name => "one";

        public Task RunAsync(Finding finding, CancellationToken cancellationToken)
        {
            Runs++;
            finding.Say(CheckState.Degraded, "Said.");
            return Task.CompletedTask;
        }
    }
}
