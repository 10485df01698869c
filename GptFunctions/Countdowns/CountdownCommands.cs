using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Countdowns;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(CountdownRow))]
internal sealed partial class CountdownCommandsJson : JsonSerializerContext;

/// <summary><c>GptFunctions countdowns list|replay|cancel</c></summary>
internal static class CountdownCommands
{
    public static Command Create() =>
        new("countdowns", "Look at what will happen later, start what was given up anew, or call it off.") { CreateList(), CreateReplay(), CreateCancel() };

    private static Command CreateList()
    {
        var status = new Option<string?>("--status") { Description = "Only countdowns in this status." };
        status.AcceptOnlyFromAmong("active", "completed", "cancelled", "dead");
        var kind = new Option<string?>("--kind") { Description = "Only this kind, for example verification.expiry." };
        var subject = new Option<string?>("--subject") { Description = "Only of this subject, for example the id of an order." };
        var limit = new Option<int>("--limit") { Description = "How many.", DefaultValueFactory = _ => 50 };
        var json = new Option<bool>("--json") { Description = "One JSON object a line." };
        var command = new Command("list", "List countdowns, those that end last first.") { status, kind, subject, limit, json };
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, async services =>
        {
            if (parsed.GetValue(limit) < 1)
            {
                return await Commands.FailAsync("--limit must be 1 or more.");
            }

            var rows = await services.GetRequiredService<CountdownService>()
                .ListAsync(parsed.GetValue(status), parsed.GetValue(kind), parsed.GetValue(subject), parsed.GetValue(limit));
            foreach (var row in rows)
            {
                Console.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(row, CountdownCommandsJson.Default.CountdownRow) : ToText(row));
            }

            return 0;
        }));
        return command;
    }

    private static Command CreateReplay() => Change(
        "replay", "Start a dead countdown anew: it is worked off by the next run.", "is active again",
        (countdowns, id, occasion) => countdowns.ReplayAsync(id, occasion));

    private static Command CreateCancel() => Change(
        "cancel", "Call a countdown off: what it was for does not happen.", "is cancelled",
        (countdowns, id, occasion) => countdowns.CancelAsync(id, occasion));

    private static Command Change(string name, string description, string done, Func<CountdownService, Guid, Occasion, Task<string?>> change)
    {
        var id = new Argument<Guid>("id") { Description = "The countdown's id, as the list shows it." };
        var command = new Command(name, description + " The audit trail says so.") { id };
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, async services =>
        {
            var occasion = Occasion.OfCommand(services.GetRequiredService<TimeProvider>().GetUtcNow(), "command");
            if (await change(services.GetRequiredService<CountdownService>(), parsed.GetValue(id), occasion) is { } problem)
            {
                return await Commands.FailAsync(problem);
            }

            Console.WriteLine($"{parsed.GetValue(id)} {done}");
            return 0;
        }));
        return command;
    }

    private static string ToText(CountdownRow row) => string.Create(
        CultureInfo.InvariantCulture,
        $"{row.Id}  {row.Status,-9}  {row.Kind,-22}  due {row.DueAt:yyyy-MM-dd HH:mm:ss}Z  {row.Attempts}  {row.Subject}{ErrorOf(row)}");

    private static string ErrorOf(CountdownRow row) => row.LastError is null ? "" : "  " + row.LastError;
}
