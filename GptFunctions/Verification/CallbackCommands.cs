using System.CommandLine;
using System.Globalization;
using System.Text.Json.Serialization;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Verification;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(CallbackRow))]
internal sealed partial class CallbackCommandsJson : JsonSerializerContext;

/// <summary><c>GptFunctions callbacks list|replay|cancel</c></summary>
internal static class CallbackCommands
{
    public static Command Create() => new("callbacks", "Look at what your system is told of orders, send what was given up again, or call it off.")
    {
        CreateList(),
        ActOnId.Create(
            "replay", "Send a callback that was given up again, for up to 72 hours.", "is sent by the next run", isReasonRequired: false,
            (services, id, act, occasion) => services.GetRequiredService<CallbackService>().ReplayAsync(id, act, occasion)),
        ActOnId.Create(
            "cancel", "Call a callback off: nobody is told.", "is cancelled", isReasonRequired: true,
            (services, id, act, occasion) => services.GetRequiredService<CallbackService>().CancelAsync(id, act, occasion)),
    };

    private static Command CreateList()
    {
        var status = new Option<string>("--status") { Description = "In which status.", DefaultValueFactory = _ => "dead" };
        status.AcceptOnlyFromAmong([.. CallbackListStore.Statuses]);
        var command = new Command("list", "List callbacks: pending ones by when they are tried next, others by when they ended, the last first.") { status };
        var list = new ListOptions(command);
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, async services =>
        {
            var rows = await services.GetRequiredService<CallbackService>().ListAsync(parsed.GetValue(status)!, after: null, list.Limit(parsed));
            return list.Print(parsed, rows, CallbackCommandsJson.Default.CallbackRow, ToText);
        }));
        return command;
    }

    private static string ToText(CallbackRow row) => string.Create(
        CultureInfo.InvariantCulture,
        $"{row.Id}  {row.Status,-8} {row.Type,-26} {row.FinishedAt ?? row.NextAttemptAt:yyyy-MM-dd HH:mm:ss}Z  {row.Attempts}  {row.OrderId}")
        + (row.LastError is null ? "" : "  " + row.LastError);
}
