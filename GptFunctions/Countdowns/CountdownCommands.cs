using System.CommandLine;
using System.Globalization;
using System.Text.Json.Serialization;
using GptFunctions.Audit;
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
        var status = new Option<string?>("--status") { Description = "Only countdowns in this status; late: active, and due for longer than 15 s." };
        status.AcceptOnlyFromAmong([.. CountdownService.Statuses]);
        var kind = new Option<string?>("--kind") { Description = "Only this kind, for example verification.expiry." };
        var subject = new Option<string?>("--subject") { Description = "Only of this subject, for example the id of an order." };
        var command = new Command("list", "List countdowns: active ones by when they are due, others by when they ended, the last first.")
        {
            status, kind, subject,
        };
        var list = new ListOptions(command);
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, async services =>
        {
            var rows = await services.GetRequiredService<CountdownService>().ListAsync(
                new CountdownFilter(parsed.GetValue(status), parsed.GetValue(kind), parsed.GetValue(subject)), after: null, list.Limit(parsed));
            return list.Print(parsed, rows, CountdownCommandsJson.Default.CountdownRow, ToText);
        }));
        return command;
    }

    private static Command CreateReplay() => ActOnId.Create(
        "replay", "Start a dead countdown anew: it is worked off by the next run.", "is active again", isReasonRequired: false,
        (services, id, act, occasion) => services.GetRequiredService<CountdownService>().ReplayAsync(id, act, occasion));

    private static Command CreateCancel() => ActOnId.Create(
        "cancel", "Call a countdown off: what it was for does not happen.", "is cancelled", isReasonRequired: true,
        (services, id, act, occasion) => services.GetRequiredService<CountdownService>().CancelAsync(id, act, occasion));

    private static string ToText(CountdownRow row) => string.Create(
        CultureInfo.InvariantCulture,
        $"{row.Id}  {row.Status,-9}  {row.Kind,-22}  due {row.DueAt:yyyy-MM-dd HH:mm:ss}Z  {row.Attempts}  {row.Subject}{ErrorOf(row)}");

    private static string ErrorOf(CountdownRow row) => row.LastError is null ? "" : "  " + row.LastError;
}
