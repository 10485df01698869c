using System.CommandLine;
using System.Globalization;
using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Audit;

/// <summary><c>GptFunctions audit tail</c>, <c>audit stranded list</c> and <c>audit stranded requeue</c></summary>
internal static class AuditCommands
{
    private const int PageSize = 500;
    private static readonly TimeSpan FollowInterval = TimeSpan.FromMilliseconds(500);

    public static Command Create() =>
        new("audit", "Read the audit trail, take it out; look after events that do not get there.") { CreateTail(), CreateExport(), CreateStranded() };

    private static Command CreateTail()
    {
        var follow = new Option<bool>("--follow")
        {
            Description = "Go on with every event as it is recorded, in that order, also those that happened long before; Ctrl-C ends.",
        };
        var json = new Option<bool>("--json") { Description = "One JSON object a line." };
        var tail = new Command("tail", "Print events of the audit trail, oldest first.");
        var filters = new FilterOptions(tail, "24h");
        tail.Add(follow);
        tail.Add(json);
        tail.SetAction((parsed, cancellationToken) => Commands.WithServicesAsync(parsed, async services =>
        {
            var (filter, problem) = filters.Read(parsed, services.GetRequiredService<TimeProvider>().GetUtcNow());
            return filter is null
                ? await Commands.FailAsync(problem!)
                : await PrintAsync(
                    services.GetRequiredService<AuditTrailStore>(), filter, parsed.GetValue(follow), parsed.GetValue(json), cancellationToken);
        }));
        return tail;
    }

    private static Command CreateExport()
    {
        var until = new Option<string?>("--until") { Description = "Up to when, as --since; now when left out." };
        var format = new Option<string>("--format") { Description = "csv or jsonl (one JSON object a line).", DefaultValueFactory = _ => "csv" };
        format.AcceptOnlyFromAmong("csv", "jsonl");
        var output = new Option<FileInfo?>("--output") { Description = "The file to write, readable for you only; printed when left out." };
        var export = new Command("export", "Take events out of the audit trail, oldest first. The audit trail says so.");
        var filters = new FilterOptions(export, "30d");
        export.Add(until);
        export.Add(format);
        export.Add(output);
        var act = new OperatorOptions(export);
        export.SetAction((parsed, cancellationToken) => Commands.WithServicesAsync(parsed, async services =>
        {
            var occasion = Occasion.OfCommand(services.GetRequiredService<TimeProvider>().GetUtcNow(), "command");
            var (filter, problem) = filters.Read(parsed, occasion.Now);
            if (filter is null)
            {
                return await Commands.FailAsync(problem!);
            }

            if (parsed.GetValue(until) is { } end)
            {
                filter = filter with { Until = TimeText.Parse(end, occasion.Now) };
                if (filter.Until is null)
                {
                    return await Commands.FailAsync($"--until: {TimeText.Expected}.");
                }
            }

            await using var stream = parsed.GetValue(output) is { } file ? CreateForMe(file.FullName) : Console.OpenStandardOutput();
            var kind = parsed.GetValue(format) == "csv" ? AuditFormat.Csv : AuditFormat.Jsonl;
            var count = await services.GetRequiredService<AuditSearchService>()
                .ExportAsync(filter, kind, stream, act.Read(parsed), occasion, cancellationToken);
            await Console.Error.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{count} events"));
            return 0;
        }));
        return export;
    }

    private static FileStream CreateForMe(string path)
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return new FileStream(path, options);
    }

    private static Command CreateStranded()
    {
        var list = new Command("list", "Say which events were set aside, because no queue takes them.");
        list.SetAction((parsed, cancellationToken) => Commands.WithServicesAsync(parsed, async services =>
        {
            var kinds = await services.GetRequiredService<OutboxStore>().ListStrandedAsync(cancellationToken);
            foreach (var kind in kinds)
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{kind.RoutingKey,-40} {kind.Count,8}  oldest {kind.Oldest.UtcDateTime:yyyy-MM-dd HH:mm:ss}Z  "
                    + $"set aside {kind.SetAsideAt.UtcDateTime:yyyy-MM-dd HH:mm:ss}Z"));
            }

            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{kinds.Sum(kind => kind.Count)} events are set aside."));
            return 0;
        }));
        var type = new Option<string?>("--type") { Description = "Only events of this type, such as gpt.oauth.authorize." };
        var requeue = new Command("requeue", "Put them back into the outbox, once exchange and bindings are as they should be (GptFunctions setup).") { type };
        var act = new OperatorOptions(requeue);
        requeue.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, async services =>
        {
            var occasion = Occasion.OfCommand(services.GetRequiredService<TimeProvider>().GetUtcNow(), "command");
            var count = await services.GetRequiredService<MessageService>().RequeueAsync(parsed.GetValue(type), act.Read(parsed), occasion);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{count} events are back in the outbox."));
            return 0;
        }));
        return new Command("stranded", "Events that no queue takes: list them, or put them back.") { list, requeue };
    }

    private static async Task<int> PrintAsync(AuditTrailStore store, AuditFilter filter, bool follow, bool json, CancellationToken cancellationToken)
    {
        // What this cannot see is recorded later, whenever it happened; what it sees is printed by the pages below.
        var seen = follow ? await store.LookAsync(cancellationToken) : null;
        var after = new AuditPlace(filter.Since!.Value, Guid.Empty);
        IReadOnlyList<AuditRow> rows;
        do
        {
            rows = await store.ListAsync(filter, after, seen, PageSize, cancellationToken);
            foreach (var row in rows)
            {
                Print(row);
                after = new AuditPlace(row.OccurredAt, row.Id);
            }
        }
        while (rows.Count == PageSize);

        var recorded = filter with { Since = null }; // however long before it happened
        while (seen is not null && !cancellationToken.IsCancellationRequested)
        {
            seen = await store.FollowAsync(seen, recorded, Print, cancellationToken);
            await Task.Delay(FollowInterval, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return 0;

        void Print(AuditRow row) => Console.WriteLine(json ? AuditLines.ToJson(row) : ToText(row));
    }

    private static string ToText(AuditRow row) => string.Create(
        CultureInfo.InvariantCulture,
        $"{row.OccurredAt:yyyy-MM-dd HH:mm:ss.fff}Z  {row.Type,-32} {row.Subject ?? "-",-20} {row.ClientId ?? "-"} {row.Metadata}");

    /// <summary>What a command reads of the trail.</summary>
    private sealed class FilterOptions
    {
        private readonly Option<string?> user = new("--user") { Description = "Only events of this user (Clerk user id)." };
        private readonly Option<string?> client = new("--client") { Description = "Only events of this client." };
        private readonly Option<string?> session = new("--session") { Description = "Only events of this session (the sid of its access tokens)." };
        private readonly Option<string?> correlation = new("--correlation")
        {
            Description = "Only events of the request with this correlation id, which error pages and answers show.",
        };

        private readonly Option<string?> type = new("--type")
        {
            Description = $"Only events of this type, such as gpt.oauth.authorize; {AuditFilter.OfOperators}: whatever operators did.",
        };

        private readonly Option<string> since;

        public FilterOptions(Command command, string span)
        {
            since = new Option<string>("--since")
            {
                Description = "How far back: 30m, 24h, 7d, or a time such as 2026-01-31T12:00Z.",
                DefaultValueFactory = _ => span,
            };
            foreach (var option in (Option[])[user, client, session, type, correlation, since])
            {
                command.Add(option);
            }
        }

        public (AuditFilter? Filter, string? Problem) Read(ParseResult parsed, DateTimeOffset now) =>
            TimeText.Parse(parsed.GetValue(since), now) is { } start
                ? (new AuditFilter
                {
                    Subject = parsed.GetValue(user),
                    ClientId = parsed.GetValue(client),
                    SessionId = parsed.GetValue(session),
                    Type = parsed.GetValue(type),
                    CorrelationId = parsed.GetValue(correlation),
                    Since = start,
                }, null)
                : (null, $"--since: {TimeText.Expected}.");
    }
}
