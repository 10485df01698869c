using System.CommandLine;
using System.Globalization;
using System.Text.Json.Serialization;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Maintenance;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Webhooks;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(RecordedEvent))]
internal sealed partial class WebhookCommandsJson : JsonSerializerContext;

/// <summary><c>GptFunctions webhooks list|replay</c></summary>
internal static class WebhookCommands
{
    public static Command Create() => new("webhooks", "Look at the events that senders delivered, and repeat failed ones.") { CreateList(), CreateReplay() };

    /// <summary>What both commands can be narrowed by.</summary>
    private sealed class Filters
    {
        private readonly Option<string?> source = new("--source") { Description = "Only events of this sender." };
        private readonly Option<string?> type = new("--type") { Description = "Only events of this type, such as user.updated." };
        private readonly Option<string?> subject = new("--subject") { Description = "Only events of this user, subscription or order." };
        private readonly Option<string?> since = new("--since") { Description = "Only events handled after this: 30m, 24h, 7d, or a time." };
        private readonly Option<string?> until = new("--until") { Description = "Only events handled before this." };

        public Filters(Command command)
        {
            foreach (var option in All)
            {
                command.Add(option);
            }
        }

        public IEnumerable<Option> All => [source, type, subject, since, until];

        public ReplayAsked Read(ParseResult parsed) => new()
        {
            Source = parsed.GetValue(source),
            Type = parsed.GetValue(type),
            Subject = parsed.GetValue(subject),
            Since = parsed.GetValue(since),
            Until = parsed.GetValue(until),
        };
    }

    private static Command CreateList()
    {
        var command = new Command("list", "List events, newest first. Their payloads are not shown.");
        var filters = new Filters(command);
        var status = new Option<string?>("--status") { Description = "Only events in this status." };
        status.AcceptOnlyFromAmong([.. InboxService.Statuses]);
        command.Add(status);
        var list = new ListOptions(command);
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, async services =>
        {
            var inbox = services.GetRequiredService<InboxService>();
            var asked = filters.Read(parsed);
            if (inbox.ProblemWith(asked) is { } problem)
            {
                return await Commands.FailAsync(problem);
            }

            var now = services.GetRequiredService<TimeProvider>().GetUtcNow();
            var filter = asked.ToFilter(now) with { Status = parsed.GetValue(status), Until = TimeText.Parse(asked.Until, now) };
            var rows = await inbox.ListAsync(filter, after: null, list.Limit(parsed));
            return list.Print(parsed, rows, WebhookCommandsJson.Default.RecordedEvent, ToText);
        }));
        return command;
    }

    private static Command CreateReplay()
    {
        var source = new Argument<string?>("source") { Description = "The event's sender.", Arity = ArgumentArity.ZeroOrOne };
        var id = new Argument<string?>("id")
        {
            Description = "The event's id, as the list shows it; in quotation marks when it has spaces.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var all = new Option<bool>("--all")
        {
            Description = "Every event that has failed and matches, one after the other. Ctrl-C stops it; the same command goes on where it stood.",
        };
        var yes = new Option<bool>("--yes") { Description = "With --all: do not ask." };
        var stop = new Option<bool>("--stop") { Description = "Stop the replay of all that is under way, whoever began it, here or on the page." };
        var command = new Command("replay", "Handle failed events again, from the payloads that were kept. Exits with 1 when one fails again.")
        {
            source, id, all, yes, stop,
        };
        var filters = new Filters(command);
        var act = new OperatorOptions(command);
        command.Validators.Add(result =>
        {
            var isAll = result.GetValue(all);
            if (result.GetValue(stop))
            {
                if (isAll || result.GetValue(source) is not null || result.GetResult(yes) is not null
                    || filters.All.Any(option => result.GetResult(option) is not null))
                {
                    result.AddError("--stop stands alone, with --by and --reason.");
                }
            }
            else if (isAll == (result.GetValue(id) is not null) || (isAll && result.GetValue(source) is not null))
            {
                result.AddError("Give the source and id of one event, or --all, or --stop.");
            }
            else if (!isAll && (result.GetResult(yes) is not null || filters.All.Any(option => result.GetResult(option) is not null)))
            {
                result.AddError("Filters and --yes belong to --all.");
            }
            else if (isAll && string.IsNullOrWhiteSpace(result.GetValue<string?>("--reason")))
            {
                result.AddError("--all needs a --reason: say why.");
            }
        });
        command.SetAction((parsed, cancellationToken) => Commands.WithServicesAsync(parsed, async services =>
        {
            var replay = new Replay(services, act.Read(parsed), cancellationToken);
            return parsed.GetValue(stop) ? await replay.StopAsync()
                : parsed.GetValue(all) ? await replay.AllAsync(filters.Read(parsed), parsed.GetValue(yes))
                : await replay.OneAsync(parsed.GetValue(source)!, parsed.GetValue(id)!);
        }));
        return command;
    }

    private static string ToText(RecordedEvent row) =>
        string.Create(CultureInfo.InvariantCulture, $"{row.ProcessedAt:yyyy-MM-dd HH:mm:ss}Z  {row.Source,-12} {row.Status,-13} {row.Attempts,3}")
        + $"  {row.Type,-30} {row.EventId}{(row.Subject is null ? "" : " of " + row.Subject)}{(row.Error is null ? "" : "  " + row.Error)}";

    private sealed class Replay(IServiceProvider services, OperatorAct act, CancellationToken stopping)
    {
        private const int StoppedByHand = 130; // as a shell says of Ctrl-C
        private readonly InboxService inbox = services.GetRequiredService<InboxService>();

        private Occasion Now => Occasion.OfCommand(services.GetRequiredService<TimeProvider>().GetUtcNow(), "replay");

        public async Task<int> OneAsync(string source, string id)
        {
            var (outcome, problem) = await inbox.ReplayAsync(source, id, act, Now);
            if (problem is not null)
            {
                return await Commands.FailAsync(problem);
            }

            Console.WriteLine(outcome);
            return 0;
        }

        public async Task<int> AllAsync(ReplayAsked asked, bool isSure)
        {
            if (inbox.ProblemWith(asked) is { } problem)
            {
                return await Commands.FailAsync(problem);
            }

            var count = await inbox.CountAsync(asked);
            if (!isSure && await AskAsync(count) is { } exitCode)
            {
                return exitCode;
            }

            var (run, obstacle) = await inbox.StartReplayAsync(asked, act, Now);
            if (run is null || (obstacle is not null && InboxService.AskedOf(run) != asked))
            {
                return await Commands.FailAsync(obstacle!);
            }

            await Console.Error.WriteLineAsync(obstacle is null
                ? string.Create(CultureInfo.InvariantCulture, $"Run {run.Id} (begun {run.StartedAt:u}); Ctrl-C stops it.")
                : $"{obstacle} This is it: Ctrl-C stops it.");
            return await FollowAsync(run);
        }

        public async Task<int> StopAsync()
        {
            if (await inbox.FindReplayAsync() is not { } run)
            {
                return await Commands.FailAsync("No replay is under way.");
            }

            if (await inbox.StopReplayAsync(run.Id, act, Now) is { } problem)
            {
                return await Commands.FailAsync(problem);
            }

            Console.WriteLine($"Run {run.Id} of {run.StartedBy} is stopped; asked for in the same words, it goes on where it stood.");
            return 0;
        }

        private async Task<int> FollowAsync(MaintenanceRow run)
        {
            var end = await services.GetRequiredService<MaintenanceService>().FollowAsync(run, Report, stopping);
            if (end.IsActive)
            {
                await inbox.StopReplayAsync(run.Id, act, Now);
                Console.WriteLine(ToText(InboxService.CountsOf(end)) + ". Stopped: the same command goes on.");
                return StoppedByHand;
            }

            var counts = InboxService.CountsOf(end);
            Console.WriteLine($"{ToText(counts)}. {(end.Outcome == "completed" ? "Done." : $"The run has ended as {end.Outcome}.")}");
            return end.Outcome == "completed" && counts.Failed == 0 ? 0 : 1;
        }

        /// <returns>Null: go on. Otherwise how the command ends.</returns>
        private static async Task<int?> AskAsync(long count)
        {
            if (Console.IsInputRedirected)
            {
                return await Commands.FailAsync(
                    string.Create(CultureInfo.InvariantCulture, $"{count} events would be handled again: add --yes, because nobody can be asked here."));
            }

            Console.Write(string.Create(CultureInfo.InvariantCulture, $"Handle {count} failed events again? [y/N] "));
            return Console.ReadLine()?.Trim() is "y" or "Y" or "yes" ? null : await Commands.FailAsync("Nothing was done.");
        }

        private static void Report(MaintenanceRow run)
        {
            if (run.IsActive)
            {
                Console.Error.WriteLine(ToText(InboxService.CountsOf(run)));
            }
        }

        private static string ToText(ReplayCounts counts) => string.Create(CultureInfo.InvariantCulture,
            $"{counts.Tried} of {counts.Found}: {counts.Completed} completed, {counts.Ignored} ignored, {counts.SkippedStale} stale, "
                + $"{counts.Failed} failed again, {counts.Elsewhere} handled by others");
    }
}
