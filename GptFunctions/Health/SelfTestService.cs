using GptFunctions.Hosting;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Health;

/// <summary>What a check found of its part of the program.</summary>
internal sealed record Subsystem(string Name, CheckState State, TimeSpan Took, Finding? Finding, string? Error);

/// <summary>The parts of the program, by name, as they were at a moment.</summary>
internal sealed record SelfTest(DateTimeOffset At, bool IsSafeMode, IReadOnlyList<Subsystem> Subsystems)
{
    /// <summary>The worst of all; everything that is neither well nor a blocker is degraded.</summary>
    public CheckState State => Subsystems.Max(subsystem => subsystem.State) switch
    {
        CheckState.SafeMode => CheckState.Degraded,
        var worst => worst,
    };
}

/// <summary>
/// Runs all checks side by side. However many ask, there is one run at a time, kept for five seconds. A check has three seconds; one that does not
/// let go even then is not started again until it has, so at most one of each is ever left.
/// </summary>
internal sealed partial class SelfTestService
{
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(3);
    private readonly Probe[] probes;
    private readonly Kept<SelfTest> kept;
    private readonly SafeMode safeMode;
    private readonly TimeProvider clock;
    private readonly ILogger<SelfTestService> logger;

    public SelfTestService(IEnumerable<ICheck> checks, SafeMode safeMode, TimeProvider clock, ILogger<SelfTestService> logger)
    {
        (this.safeMode, this.clock, this.logger) = (safeMode, clock, logger);
        probes = [.. checks.OrderBy(check => check.Name, StringComparer.Ordinal).Select(check => new Probe(check))];
        kept = new Kept<SelfTest>(Freshness, FindAsync, clock);
    }

    private sealed record Probe(ICheck Check)
    {
        /// <summary>Of the run before, as long as it has not ended.</summary>
        public Task Running { get; set; } = Task.CompletedTask;
    }

    /// <summary>At most five seconds old; never throws.</summary>
    public Task<SelfTest> RunAsync() => kept.GetAsync();

    private async Task<SelfTest> FindAsync()
    {
        var subsystems = await Task.WhenAll(probes.Select(RunAsync));
        return new SelfTest(clock.GetUtcNow(), safeMode.IsOn, subsystems);
    }

    private async Task<Subsystem> RunAsync(Probe probe)
    {
        var (check, started) = (probe.Check, clock.GetTimestamp());
        Subsystem Failed(string error) => new(check.Name, check.WhenUnknown, clock.GetElapsedTime(started), null, error);
        if (!probe.Running.IsCompleted)
        {
            return Failed("The check of a run before this has not ended yet.");
        }

        var finding = new Finding();
        var limit = new CancellationTokenSource(Limit);
        var running = Task.Run(() => check.RunAsync(finding, limit.Token)); // a check that blocks its thread keeps no other waiting
        probe.Running = running; // itself: a continuation of it may still wait for a thread when the next run asks
        _ = running.ContinueWith(_ => limit.Dispose(), TaskScheduler.Default);
        try
        {
            await running.WaitAsync(Limit);
            return new Subsystem(check.Name, finding.State, clock.GetElapsedTime(started), finding, finding.Error);
        }
        catch (Exception error) when (error is TimeoutException or OperationCanceledException)
        {
            return Failed($"No answer within {Limit.TotalSeconds} s.");
        }
        catch (Exception error) when (ErrorMapper.IsOutage(error))
        {
            return Failed(error.Message);
        }
        catch (Exception error) when (error is not OutOfMemoryException) // whatever a check does: the others have found something
        {
            LogFailed(check.Name, error);
            return Failed($"The check failed, see the log: {error.GetType().Name}.");
        }
    }

    [LoggerMessage(1060, LogLevel.Error, "The check {Check} of the self-test failed unexpectedly")]
    private partial void LogFailed(string check, Exception error);
}
