using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Audit;

/// <summary>A line of <c>audit tail --json</c>.</summary>
internal sealed record AuditOutput
{
    public required DateTimeOffset OccurredAt { get; init; }
    public required Guid EventId { get; init; }
    public required string EventType { get; init; }
    public string? ClerkUserId { get; init; }
    public string? ClientId { get; init; }
    public string? SessionId { get; init; }
    public string? CorrelationId { get; init; }
    public string? IpAddress { get; init; }
    public required JsonElement Metadata { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(AuditOutput))]
internal sealed partial class AuditJson : JsonSerializerContext;

/// <summary><c>GptFunctions audit tail</c>, <c>audit stranded list</c> and <c>audit stranded requeue</c></summary>
internal static class AuditCommands
{
    private const int PageSize = 500;
    private static readonly TimeSpan FollowInterval = TimeSpan.FromMilliseconds(500);

    public static Command Create()
    {
        var user = new Option<string?>("--user") { Description = "Only events of this user (Clerk user id)." };
        var since = new Option<string>("--since")
        {
            Description = "How far back: 30m, 24h, 7d, or a time such as 2026-01-31T12:00Z.",
            DefaultValueFactory = _ => "24h",
        };
        var follow = new Option<bool>("--follow")
        {
            Description = "Go on with every event as it is recorded, in that order, also those that happened long before; Ctrl-C ends.",
        };
        var json = new Option<bool>("--json") { Description = "One JSON object a line." };
        var tail = new Command("tail", "Print events of the audit trail, oldest first.") { user, since, follow, json };
        tail.SetAction((parsed, cancellationToken) => Commands.WithServicesAsync(parsed, async services =>
        {
            var now = services.GetRequiredService<TimeProvider>().GetUtcNow();
            return TimeText.Parse(parsed.GetValue(since), now) is { } start
                ? await PrintAsync(
                    services.GetRequiredService<AuditTrailStore>(), start, parsed.GetValue(user), parsed.GetValue(follow), parsed.GetValue(json),
                    cancellationToken)
                : await Commands.FailAsync($"--since: {TimeText.Expected}.");
        }));
        return new Command("audit", "Read the audit trail; look after events that do not get there.") { tail, CreateStranded() };
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

    private static async Task<int> PrintAsync(
        AuditTrailStore store, DateTimeOffset since, string? user, bool follow, bool json, CancellationToken cancellationToken)
    {
        // What this cannot see is recorded later, whenever it happened; what it sees is printed by the pages below.
        var seen = follow ? await store.LookAsync(cancellationToken) : null;
        var after = Guid.Empty;
        IReadOnlyList<AuditRow> rows;
        do
        {
            rows = await store.ListAsync(since, after, user, seen, PageSize, cancellationToken);
            foreach (var row in rows)
            {
                Print(row);
                (since, after) = (row.OccurredAt, row.Id);
            }
        }
        while (rows.Count == PageSize);

        while (seen is not null && !cancellationToken.IsCancellationRequested)
        {
            seen = await store.FollowAsync(seen, user, Print, cancellationToken);
            await Task.Delay(FollowInterval, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return 0;

        void Print(AuditRow row) => Console.WriteLine(json ? ToJson(row) : ToText(row));
    }

    private static string ToText(AuditRow row) => string.Create(
        CultureInfo.InvariantCulture,
        $"{row.OccurredAt:yyyy-MM-dd HH:mm:ss.fff}Z  {row.Type,-32} {row.Subject ?? "-",-20} {row.ClientId ?? "-"} {row.Metadata}");

    private static string ToJson(AuditRow row) => JsonSerializer.Serialize(
        new AuditOutput
        {
            OccurredAt = row.OccurredAt,
            EventId = row.Id,
            EventType = row.Type,
            ClerkUserId = row.Subject,
            ClientId = row.ClientId,
            SessionId = row.SessionId,
            CorrelationId = row.CorrelationId,
            IpAddress = row.Address,
            Metadata = JsonElement.Parse(row.Metadata),
        }, AuditJson.Default.AuditOutput);
}
