using System.CommandLine;
using System.Globalization;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Purge;

/// <summary><c>GptFunctions purge</c></summary>
internal static class PurgeCommands
{
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromSeconds(1);

    public static Command Create()
    {
        var dryRun = new Option<bool>("--dry-run") { Description = "Count what would go, and delete nothing." };
        var olderThan = new Option<string?>("--older-than")
        {
            Description = "How long rows stay after their end, in days, such as 30d; PURGE_RETENTION_DAYS when left out.",
        };
        var stop = new Option<bool>("--stop") { Description = "Stop the runs that were asked for on the page and are under way, after their batch." };
        var command = new Command(
            "purge",
            "Delete codes, tokens, sessions and other rows that nobody needs any more: what the timer does every six hours. "
            + "Audit events are never deleted.")
        {
            dryRun, olderThan, stop,
        };
        var act = new OperatorOptions(command);
        command.Validators.Add(result =>
        {
            if (result.GetValue(stop) && (result.GetValue(dryRun) || result.GetResult(olderThan) is not null))
            {
                result.AddError("--stop stands alone, with --by and --reason.");
            }
        });
        command.SetAction((parsed, cancellationToken) => Commands.WithServicesAsync(parsed, async services =>
        {
            var purge = services.GetRequiredService<PurgeService>();
            var days = parsed.GetValue(olderThan);
            var by = new By(act.Read(parsed), Occasion.OfCommand(services.GetRequiredService<TimeProvider>().GetUtcNow(), "command"));
            var retention = days is null ? purge.Retention : ParseDays(days);
            return retention switch
            {
                _ when parsed.GetValue(stop) => await StopAsync(services.GetRequiredService<PurgeRequests>(), by),
                null => await Commands.FailAsync($"--older-than must be a number of days between 1d and {PurgeSettings.LongestRetentionDays}d."),
                { } span when parsed.GetValue(dryRun) => await CountAsync(purge, span, by, cancellationToken),
                { } span => await RunAsync(purge, span, by, services.GetRequiredService<TimeProvider>(), cancellationToken),
            };
        }));
        return command;
    }

    internal static TimeSpan? ParseDays(string text) =>
        text.EndsWith('d') && int.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var days)
            && days is >= 1 and <= PurgeSettings.LongestRetentionDays
            ? TimeSpan.FromDays(days)
            : null;

    private static async Task<int> CountAsync(PurgeService purge, TimeSpan retention, By by, CancellationToken cancellationToken)
    {
        await purge.TellStartedAsync(isDryRun: true, retention, by.Act, by.Occasion);
        foreach (var (name, rows) in await purge.CountAsync(retention, cancellationToken))
        {
            Print(name, rows);
        }

        Console.WriteLine("Nothing was deleted (--dry-run).");
        return 0;
    }

    private static async Task<int> RunAsync(PurgeService purge, TimeSpan retention, By by, TimeProvider clock, CancellationToken cancellationToken)
    {
        var reported = clock.GetTimestamp();
        void Report(PurgeClass rows, long deleted)
        {
            if (clock.GetElapsedTime(reported) >= ProgressInterval)
            {
                reported = clock.GetTimestamp();
                Console.Error.WriteLine($"{rows.Name}: {deleted} deleted so far");
            }
        }

        try
        {
            if (await purge.RunAsync(retention, by.Act, by.Occasion, Report, cancellationToken) is not { } run)
            {
                Console.WriteLine("Another run holds the lock: it does the work.");
                return 0;
            }

            Print(run);
            return 0;
        }
        catch (PurgeFailedException error)
        {
            Print(error.Run);
            return await Commands.FailAsync($"{error.Message}{string.Concat(error.Run.Errors.Select(step => $"\n - {step.Key}: {step.Value.Message}"))}");
        }
    }

    private static async Task<int> StopAsync(PurgeRequests requests, By by)
    {
        var active = await requests.ListActiveAsync();
        foreach (var run in active)
        {
            if (await requests.StopAsync(run.Job, run.Id, by.Act, by.Occasion) is { } problem)
            {
                return await Commands.FailAsync(problem);
            }

            Console.WriteLine($"Run {run.Id} of {run.StartedBy} is stopped.");
        }

        return active.Count > 0 ? 0 : await Commands.FailAsync("No run that was asked for on the page is under way.");
    }

    private sealed record By(OperatorAct Act, Occasion Occasion);

    private static void Print(PurgeRun run)
    {
        foreach (var (name, rows) in run.Deleted)
        {
            Print(name, rows);
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{run.Deleted.Values.Sum()} rows deleted in {run.Duration.TotalSeconds:0.0} s ({run.Batches} batches)"));
        if (run.Outcome == "cut_short")
        {
            var reason = run.Unfinished.Count > 0 ? "The run was cut short" : "Some rows were locked by others";
            Console.WriteLine($"{reason}; {(run.Left is { } left ? $"{left} rows are" : "the rest is")} left for the next one.");
        }
    }

    private static void Print(string name, long rows) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-24} {rows,12}"));
}
