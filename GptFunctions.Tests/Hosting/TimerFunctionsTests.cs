using System.Collections.Concurrent;
using System.Diagnostics;
using GptFunctions.Tests.Support;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Tests.Hosting;

/// <summary>hosting.md 8 and 9: timers.</summary>
public sealed class TimerFunctionsTests(TimerFunctionsFixture fixture) : IClassFixture<TimerFunctionsFixture>
{
    private readonly TestApp app = fixture.App;

    [Fact]
    public async Task Timer_fires_once_a_second_with_a_timer_info_and_an_instance_of_its_own()
    {
        await Wait.UntilAsync(() => TimerTestFunctions.EverySecond.Count >= 3);
        var runs = TimerTestFunctions.EverySecond.ToList();
        Assert.Equal(runs.Count, runs.Select(run => run.At.ToUnixTimeSeconds()).Distinct().Count());
        Assert.Equal(runs.Count, runs.Select(run => run.Instance).Distinct(ReferenceEqualityComparer.Instance).Count());
        Assert.All(runs, run => Assert.False(run.Timer.IsPastDue));
    }

    [Fact]
    public async Task Timer_with_RunOnStartup_runs_at_once_and_not_before_its_schedule_again()
    {
        await Wait.UntilAsync(() => TimerTestFunctions.StartupRuns > 0);
        await Wait.UntilAsync(() => TimerTestFunctions.EverySecond.Count >= 2);
        Assert.Equal(1, TimerTestFunctions.StartupRuns);
    }

    [Fact]
    public async Task Timer_that_takes_longer_than_its_interval_never_overlaps_itself()
    {
        await Wait.UntilAsync(() => TimerTestFunctions.SlowRuns >= 2);
        Assert.Equal(1, TimerTestFunctions.MostAtOnce);
    }

    [Fact]
    public async Task Timer_that_fails_is_logged_and_runs_again()
    {
        await Wait.UntilAsync(() => TimerTestFunctions.FailingRuns >= 2);
        await Wait.UntilAsync(
            () => app.Log.Lines.Any(
                line => line.StartsWith("Error 1010", StringComparison.Ordinal) && line.Contains("TestTimerFails", StringComparison.Ordinal)
                    && line.Contains("the timer broke", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Timer_with_a_schedule_from_a_setting_follows_the_apps_clock()
    {
        Assert.Equal(0, TimerTestFunctions.SixHourRuns);
        app.Clock.Advance(TimeSpan.FromHours(6));
        await Wait.UntilAsync(() => TimerTestFunctions.SixHourRuns == 1);
    }

    [Fact]
    public async Task Stop_tells_the_running_timer_and_waits_for_its_end()
    {
        var stopping = await TestFunctions.StartAsync(nameof(TimerFunctionsTests) + "_stop", nameof(TimerTestFunctions.TestTimerStops));
        await Wait.UntilAsync(() => TimerTestFunctions.StopState == "running");
        await stopping.DisposeAsync();
        Assert.Equal("told and done", TimerTestFunctions.StopState);
        Assert.DoesNotContain(stopping.Log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(nameof(TimerTestFunctions.TestTimerFiveFields), null, "'*/5 * * * *' is not a schedule of six fields")]
    [InlineData(nameof(TimerTestFunctions.TestTimerEverySixHours), null, "TEST_SCHEDULE is not set")]
    [InlineData(nameof(TimerTestFunctions.TestTimerEverySixHours), "often", "'often' is not a schedule of six fields")]
    [InlineData(nameof(TimerTestFunctions.TestTimerMonitored), null, "UseMonitor = false")]
    [InlineData(nameof(TimerTestFunctions.TestTimerWithMore), null, "nothing is known to pass as 'clock'")]
    [InlineData(nameof(TimerTestFunctions.TestTimerReturnsNumber), null, "must return Task or void")]
    public void Start_with_a_timer_that_cannot_run_is_refused_with_a_sentence(string function, string? schedule, string reason)
    {
        var sentence = TestFunctions.Refusal(function, ("TEST_SCHEDULE", schedule));
        Assert.StartsWith($"The function {function} cannot run: ", sentence, StringComparison.Ordinal);
        Assert.Contains(reason, sentence, StringComparison.Ordinal);
    }
}

public sealed class TimerFunctionsFixture : TestFunctionsFixture
{
    protected override IReadOnlyList<string> Functions =>
    [
        nameof(TimerTestFunctions.TestTimerEverySecond), nameof(TimerTestFunctions.TestTimerOnStartup), nameof(TimerTestFunctions.TestTimerSlow),
        nameof(TimerTestFunctions.TestTimerFails), nameof(TimerTestFunctions.TestTimerEverySixHours),
    ];

    protected override Task<IReadOnlyDictionary<string, string?>> SettingsAsync() =>
        Task.FromResult<IReadOnlyDictionary<string, string?>>(new Dictionary<string, string?>(StringComparer.Ordinal) { ["TEST_SCHEDULE"] = "0 0 */6 * * *" });
}

public sealed class TimerTestFunctions(TimeProvider clock)
{
    private static int slowNow;
    private static int slowMost;
    private static int slowRuns;
    private static int failingRuns;
    private static int startupRuns;
    private static int sixHourRuns;

    public static ConcurrentQueue<(DateTimeOffset At, TimerInfo Timer, object Instance)> EverySecond { get; } = new();

    public static int StartupRuns => startupRuns;

    public static int SlowRuns => slowRuns;

    public static int MostAtOnce => slowMost;

    public static int FailingRuns => failingRuns;

    public static int SixHourRuns => sixHourRuns;

    public static string StopState { get; private set; } = "";

    [Function(nameof(TestTimerEverySecond))]
    public void TestTimerEverySecond([TimerTrigger("* * * * * *", UseMonitor = false)] TimerInfo timer) =>
        EverySecond.Enqueue((clock.GetUtcNow(), timer, this));

    [Function(nameof(TestTimerOnStartup))]
    public static void TestTimerOnStartup([TimerTrigger("0 0 0 1 1 *", UseMonitor = false, RunOnStartup = true)] TimerInfo timer) =>
        Interlocked.Increment(ref startupRuns);

    [Function(nameof(TestTimerSlow))]
    public static async Task TestTimerSlow(
        [TimerTrigger("* * * * * *", UseMonitor = false, RunOnStartup = true)] TimerInfo timer, CancellationToken cancellationToken)
    {
        slowMost = Math.Max(slowMost, Interlocked.Increment(ref slowNow));
        var watch = Stopwatch.StartNew();
        await Wait.UntilAsync(() => watch.ElapsedMilliseconds > 1200, cancellationToken);
        Interlocked.Decrement(ref slowNow);
        Interlocked.Increment(ref slowRuns);
    }

    [Function(nameof(TestTimerFails))]
    public static void TestTimerFails([TimerTrigger("* * * * * *", UseMonitor = false)] TimerInfo timer)
    {
        Interlocked.Increment(ref failingRuns);
        throw new InvalidOperationException("the timer broke");
    }

    [Function(nameof(TestTimerEverySixHours))]
    public static Task TestTimerEverySixHours([TimerTrigger("%TEST_SCHEDULE%", UseMonitor = false)] TimerInfo timer)
    {
        Interlocked.Increment(ref sixHourRuns);
        return Task.CompletedTask;
    }

    [Function(nameof(TestTimerStops))]
    public static async Task TestTimerStops(
        [TimerTrigger("0 0 0 1 1 *", UseMonitor = false, RunOnStartup = true)] TimerInfo timer, CancellationToken cancellationToken)
    {
        StopState = "running";
        await Wait.UntilAsync(() => cancellationToken.IsCancellationRequested, CancellationToken.None);
        await Task.Delay(200, CancellationToken.None);
        StopState = "told and done";
        cancellationToken.ThrowIfCancellationRequested();
    }

    [Function(nameof(TestTimerFiveFields))]
    public static void TestTimerFiveFields([TimerTrigger("*/5 * * * *", UseMonitor = false)] TimerInfo timer) => Assert.NotNull(timer);

    [Function(nameof(TestTimerMonitored))]
    public static void TestTimerMonitored([TimerTrigger("0 */5 * * * *")] TimerInfo timer) => Assert.NotNull(timer);

    [Function(nameof(TestTimerWithMore))]
    public static void TestTimerWithMore([TimerTrigger("0 */5 * * * *", UseMonitor = false)] TimerInfo timer, TimeProvider clock) =>
        Assert.NotSame(timer, clock);

    [Function(nameof(TestTimerReturnsNumber))]
    public static int TestTimerReturnsNumber([TimerTrigger("0 */5 * * * *", UseMonitor = false)] TimerInfo timer) => 1;
}
