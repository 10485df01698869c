using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Webhooks;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(RecordedEvent))]
internal sealed partial class WebhookCommandsJson : JsonSerializerContext;

/// <summary><c>GptFunctions webhooks list|replay</c></summary>
internal static class WebhookCommands
{
    public static Command Create() => new("webhooks", "Look at the events that senders delivered, and repeat failed ones.") { CreateList(), CreateReplay() };

    private static Command CreateList()
    {
        var source = new Option<string?>("--source") { Description = "Only events of this sender." };
        var status = new Option<string?>("--status") { Description = "Only events in this status." };
        status.AcceptOnlyFromAmong("completed", "ignored", "skipped_stale", "failed");
        var limit = new Option<int>("--limit") { Description = "How many.", DefaultValueFactory = _ => 50 };
        var json = new Option<bool>("--json") { Description = "One JSON object a line." };
        var command = new Command("list", "List events, newest first. Their payloads are not shown.") { source, status, limit, json };
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, async services =>
        {
            if (parsed.GetValue(limit) < 1)
            {
                return await Commands.FailAsync("--limit must be 1 or more.");
            }

            var name = parsed.GetValue(source);
            if (name is not null && services.GetRequiredService<WebhookService>().Find(name) is null)
            {
                return await FailAsync(services, name);
            }

            var rows = await services.GetRequiredService<WebhookStore>().ListAsync(name, parsed.GetValue(status), parsed.GetValue(limit));
            foreach (var row in rows)
            {
                Console.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(row, WebhookCommandsJson.Default.RecordedEvent) : ToText(row));
            }

            return 0;
        }));
        return command;
    }

    private static Command CreateReplay()
    {
        var source = new Argument<string>("source") { Description = "The event's sender." };
        var id = new Argument<string>("id") { Description = "The event's id, as the list shows it; in quotation marks when it has spaces." };
        var command = new Command("replay", "Handle a failed event again, from the payload that was kept. Exits with 1 when it fails again.") { source, id };
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, async services =>
        {
            var service = services.GetRequiredService<WebhookService>();
            if (service.Find(parsed.GetValue(source)!) is not { } sender)
            {
                return await FailAsync(services, parsed.GetValue(source)!);
            }

            var occasion = Occasion.OfCommand(services.GetRequiredService<TimeProvider>().GetUtcNow(), "replay");
            return await service.ReplayAsync(sender, parsed.GetValue(id)!, occasion) switch
            {
                null => await Commands.FailAsync($"{sender.Name} has no failed event with this id: see webhooks list --status failed."),
                { Status: < 300 } result => Report(result),
                var result => await Commands.FailAsync($"{result.Outcome}: {result.Answer.Error}"),
            };
        }));
        return command;
    }

    private static Task<int> FailAsync(IServiceProvider services, string name) =>
        Commands.FailAsync($"'{name}' sends no webhooks: {string.Join(", ", services.GetServices<IWebhookSource>().Select(source => source.Name))} do.");

    private static int Report(WebhookResult result)
    {
        Console.WriteLine(result.Outcome);
        return 0;
    }

    private static string ToText(RecordedEvent row) =>
        string.Create(CultureInfo.InvariantCulture, $"{row.ProcessedAt:yyyy-MM-dd HH:mm:ss}Z  {row.Source,-12} {row.Status,-13} {row.Attempts,3}")
        + $"  {row.Type,-30} {row.EventId}{(row.Subject is null ? "" : " of " + row.Subject)}{(row.Error is null ? "" : "  " + row.Error)}";
}
