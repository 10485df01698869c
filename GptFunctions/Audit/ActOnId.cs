using System.CommandLine;
using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Audit;

/// <summary>A command that does one thing to one row, known by its id.</summary>
internal static class ActOnId
{
    /// <param name="done">Printed behind the id.</param>
    /// <param name="act">Null when done, else why not.</param>
    public static Command Create(
        string name, string description, string done, bool isReasonRequired, Func<IServiceProvider, Guid, OperatorAct, Occasion, Task<string?>> act)
    {
        var id = new Argument<Guid>("id") { Description = "Its id, as the list shows it." };
        var command = new Command(name, description + " The audit trail says so.") { id };
        var options = new OperatorOptions(command, isReasonRequired);
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, async services =>
        {
            var occasion = Occasion.OfCommand(services.GetRequiredService<TimeProvider>().GetUtcNow(), "command");
            if (await act(services, parsed.GetValue(id), options.Read(parsed), occasion) is { } problem)
            {
                return await Commands.FailAsync(problem);
            }

            Console.WriteLine($"{parsed.GetValue(id)} {done}");
            return 0;
        }));
        return command;
    }
}
