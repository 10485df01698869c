using System.Diagnostics;
using System.Diagnostics.Metrics;
using GptFunctions.Health;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tests.Health;

/// <summary>health.md 10: whatever a check does, the others are answered in time, and at most one run of it is left.</summary>
public sealed class SelfTestServiceTests
{
    private readonly TestClock clock = new();
    private readonly TestLog log = new();

    [Fact]
    public async Task Check_that_does_not_let_go_is_cut_at_three_seconds_and_not_started_again_until_it_has_ended()
    {
        using var gate = new ManualResetEventSlim();
        var (stubborn, obedient) = (
            new FakeCheck("stubborn", _ => Task.Run(gate.Wait, CancellationToken.None)), new FakeCheck("obedient", _ => Task.CompletedTask));
        var blocking = new FakeCheck("blocking", _ =>
        {
            gate.Wait(CancellationToken.None); // on the caller's thread
            return Task.CompletedTask;
        });
        var service = Service(stubborn, obedient, blocking);

        var watch = Stopwatch.StartNew();
        var first = await service.RunAsync();
        Assert.InRange(watch.Elapsed, TimeSpan.FromSeconds(2.9), TimeSpan.FromSeconds(5));
        Assert.Equal(["blocking Degraded", "obedient Ok", "stubborn Degraded"], first.Subsystems.Select(part => $"{part.Name} {part.State}"));
        Assert.Equal("No answer within 3 s.", first.Subsystems[0].Error);

        clock.Advance(TimeSpan.FromSeconds(5));
        watch.Restart();
        var second = await service.RunAsync();
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(2));
        Assert.Equal("The check of a run before this has not ended yet.", second.Subsystems[2].Error);
        Assert.Equal((1, 2, 1), (stubborn.Runs, obedient.Runs, blocking.Runs));

        gate.Set();
        await Wait.UntilAsync(async () =>
        {
            clock.Advance(TimeSpan.FromSeconds(5));
            return (await service.RunAsync()).State == CheckState.Ok;
        });
    }

    /// <summary>Ended is ended, however busy the process is with what comes after it.</summary>
    [Fact]
    public async Task Check_that_has_ended_is_started_again_at_once()
    {
        var service = Service(new FakeCheck("quick", async _ => await Task.Yield()));
        for (var run = 0; run < 20_000; run++)
        {
            Assert.Equal(CheckState.Ok, (await service.RunAsync()).State);
            clock.Advance(TimeSpan.FromSeconds(5));
        }
    }

    [Fact]
    public async Task Check_that_hangs_is_told_that_its_time_is_over()
    {
        var ended = new TaskCompletionSource();
        var service = Service(new FakeCheck("hanging", async cancellationToken =>
        {
            try
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }
            finally
            {
                ended.SetResult();
            }
        }));
        Assert.Equal("No answer within 3 s.", (await service.RunAsync()).Subsystems.Single().Error);
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Check_that_throws_has_the_state_that_it_says_and_is_logged_without_a_word_to_the_caller()
    {
        var service = Service(new FakeCheck("broken", _ => throw new InvalidOperationException("secret")) { WhenUnknown = CheckState.Blocker });
        var found = await service.RunAsync();
        Assert.Equal((CheckState.Blocker, "The check failed, see the log: InvalidOperationException."), (found.State, found.Subsystems.Single().Error));
        Assert.Single(log.Lines, line => line.StartsWith("Error 1060 ", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(nameof(CheckState.Ok), nameof(CheckState.Ok))]
    [InlineData(nameof(CheckState.SafeMode), nameof(CheckState.Degraded))]
    [InlineData(nameof(CheckState.Degraded), nameof(CheckState.Degraded))]
    [InlineData(nameof(CheckState.Blocker), nameof(CheckState.Blocker))]
    public async Task Worst_of_all_counts_and_safe_mode_is_to_be_seen(string one, string all)
    {
        var service = Service(
            new FakeCheck("ok", _ => Task.CompletedTask), new FakeCheck("one", _ => Task.CompletedTask) { Says = Enum.Parse<CheckState>(one) });
        Assert.Equal(all, (await service.RunAsync()).State.ToString());
    }

    private SelfTestService Service(params ICheck[] checks) => new(checks, Off(), clock, new LoggerFactory([log]).CreateLogger<SelfTestService>());

    private static SafeMode Off() => new(Options.Create(new SafeModeSettings()), []);

    private sealed class FakeCheck(string name, Func<CancellationToken, Task> run) : ICheck
    {
        private int runs;

        public int Runs => runs;

        public CheckState Says { get; init; }

        public string Name => name;

        public CheckState WhenUnknown { get; init; } = CheckState.Degraded;

        public Task RunAsync(Finding finding, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref runs);
            finding.Say(Says, "Said.");
            return run(cancellationToken);
        }
    }
}
