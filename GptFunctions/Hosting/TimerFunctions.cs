using System.Diagnostics;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NCrontab;

namespace GptFunctions.Hosting;

/// <summary>A timer trigger, ready to run.</summary>
internal sealed record TimerFunction(string Name, CrontabSchedule Schedule, bool RunOnStartup, FunctionInvoker Invoker);

/// <summary>
/// Timer triggers as the Functions host runs them without a storage account: six-field schedules in local time, the next run
/// computed after the current one has ended, so that runs of one function never overlap.
/// </summary>
internal static class TimerFunctions
{
    public static void Add(IHostApplicationBuilder builder, IEnumerable<FunctionDescriptor> functions)
    {
        foreach (var timer in functions.Where(function => function.Trigger is TimerTriggerAttribute).Select(Read).ToList())
        {
            builder.Services.AddSingleton<IHostedService>(services => ActivatorUtilities.CreateInstance<TimerLoop>(services, timer));
        }

        TimerFunction Read(FunctionDescriptor function)
        {
            var trigger = (TimerTriggerAttribute)function.Trigger;
            if (trigger.UseMonitor)
            {
                throw function.Refusal("it must say UseMonitor = false: without a storage account the Functions host never starts a monitored timer");
            }

            if (function.TriggerParameter.ParameterType != typeof(TimerInfo))
            {
                throw function.Refusal("its timer parameter must be a TimerInfo");
            }

            var text = function.Resolve(trigger.Schedule, builder.Configuration);
            return CrontabSchedule.TryParse(text, new CrontabSchedule.ParseOptions { IncludingSeconds = true }) is { } schedule
                ? new TimerFunction(function.Name, schedule, trigger.RunOnStartup, new FunctionInvoker(function))
                : throw function.Refusal($"'{text}' is not a schedule of six fields: second, minute, hour, day, month, day of the week");
        }
    }
}

/// <summary>Runs one timer until the program stops; a run in progress is told through its token and waited for.</summary>
internal sealed partial class TimerLoop(TimerFunction timer, IServiceProvider services, TimeProvider clock, ILogger<TimerLoop> logger) : SteadyService(logger)
{
    // Also how long a clock that was set, or a machine that slept, can make a run late.
    private static readonly TimeSpan LongestNap = TimeSpan.FromSeconds(1);

    private bool hasStarted;

    protected override async Task<bool> StepAsync(CancellationToken stoppingToken)
    {
        var isStart = !hasStarted;
        hasStarted = true;
        if ((isStart && timer.RunOnStartup) || await WaitForNextAsync(stoppingToken))
        {
            await RunAsync(stoppingToken);
        }

        return !stoppingToken.IsCancellationRequested;
    }

    /// <summary>False when the program stops.</summary>
    private async Task<bool> WaitForNextAsync(CancellationToken stoppingToken)
    {
        var local = timer.Schedule.GetNextOccurrence(clock.GetLocalNow().DateTime);
        var next = new DateTimeOffset(local, clock.LocalTimeZone.GetUtcOffset(local));
        try
        {
            while (next - clock.GetUtcNow() is var left && left > TimeSpan.Zero)
            {
                await Task.Delay(left < LongestNap ? left : LongestNap, clock, stoppingToken);
            }

            return !stoppingToken.IsCancellationRequested;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task RunAsync(CancellationToken stoppingToken)
    {
        var error = await timer.Invoker.InvokeAsync(services, new TimerInfo(), default(ActivityContext), stoppingToken);
        if (error is not null && !(error is OperationCanceledException && stoppingToken.IsCancellationRequested))
        {
            LogFailure(timer.Name, error);
        }
    }

    [LoggerMessage(1010, LogLevel.Error, "The timer {Function} failed; it runs again on schedule")]
    private partial void LogFailure(string function, Exception error);
}
