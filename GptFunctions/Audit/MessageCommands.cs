using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Audit;

/// <summary>A line of <c>messages list</c>.</summary>
/// <param name="Id">What <c>messages return</c> and <c>messages discard</c> take.</param>
/// <param name="At">When it got there.</param>
/// <param name="Content">The beginning of what it says; null of several.</param>
internal sealed record MessageLine(string Id, long Count, DateTimeOffset? At, string Reason, string? Content);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(MessageLine))]
internal sealed partial class MessageCommandsJson : JsonSerializerContext;

/// <summary><c>GptFunctions messages list|return|discard</c></summary>
internal static class MessageCommands
{
    private const int Shown = 200;

    public static Command Create() => new("messages", "Look at audit messages that did not get into the trail; put them back, or throw them away.")
    {
        CreateList(), CreateReturn(), CreateDiscard(),
    };

    private static Command CreateList()
    {
        var command = new Command(
            "list", "List the quarantine (no events), dead letters (given up) and stranded events (no queue takes them), each with its reason.");
        var list = new ListOptions(command);
        command.SetAction((parsed, cancellationToken) => Commands.WithServicesAsync(parsed, async services =>
        {
            var messages = services.GetRequiredService<MessageService>();
            var count = list.Limit(parsed);
            var dead = await messages.ListDeadAsync(count);
            MessageLine[] lines =
            [
                .. (await messages.ListQuarantineAsync(null, count)).Select(message => new MessageLine(
                    Id($"quarantine/{message.Id}"), 1, message.ReceivedAt, message.Reason, Encoding.UTF8.GetString(message.Message))),
                .. dead.First.Select(letter => new MessageLine("dead/" + letter.Id, 1, letter.DiedAt, letter.Reason, Encoding.UTF8.GetString(letter.Message))),
                .. (await messages.ListStrandedAsync(cancellationToken)).Select(kind => new MessageLine(
                    "stranded/" + kind.RoutingKey, kind.Count, kind.SetAsideAt, "no queue takes it", null)),
            ];
            list.Print(parsed, lines, MessageCommandsJson.Default.MessageLine, ToText);
            if (dead.Count > dead.First.Count)
            {
                await Console.Error.WriteLineAsync(Id($"{dead.Count - dead.First.Count} more dead letters are behind these."));
            }

            return dead.Problem is null ? 0 : await Commands.FailAsync(dead.Problem);
        }));
        return command;
    }

    private static Command CreateReturn()
    {
        var id = new Argument<string>("id") { Description = "The id, as the list shows it; or quarantine/all, dead/all, stranded/all." };
        var command = new Command("return", "Put a message back. Whatever is in the trail already is recognised.") { id };
        var act = new OperatorOptions(command);
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, async services =>
        {
            var (done, problem) = await services.GetRequiredService<MessageService>()
                .ReturnAsync(parsed.GetRequiredValue(id), act.Read(parsed), Now(services));
            Console.Write(done is null ? "" : done + "\n");
            return problem is null ? 0 : await Commands.FailAsync(problem);
        }));
        return command;
    }

    private static Command CreateDiscard()
    {
        var id = new Argument<string>("id") { Description = "The id, as the list shows it." };
        var command = new Command(
            "discard", "Throw a message of the quarantine or a dead letter away, for good. The audit trail says so, with its digest.") { id };
        var act = new OperatorOptions(command, isReasonRequired: true);
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, async services =>
        {
            var name = parsed.GetRequiredValue(id);
            if (await services.GetRequiredService<MessageService>().DiscardAsync(name, act.Read(parsed), Now(services)) is { } problem)
            {
                return await Commands.FailAsync(problem);
            }

            Console.WriteLine($"{name} is thrown away.");
            return 0;
        }));
        return command;
    }

    private static Occasion Now(IServiceProvider services) =>
        Occasion.OfCommand(services.GetRequiredService<TimeProvider>().GetUtcNow(), "command");

    private static string ToText(MessageLine line) => string.Create(CultureInfo.InvariantCulture,
        $"{line.Id,-30} {line.Count,6}  {line.At?.UtcDateTime:yyyy-MM-dd HH:mm:ss}Z  {line.Reason}  {line.Content?[..Math.Min(line.Content.Length, Shown)]}");

    private static string Id(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
