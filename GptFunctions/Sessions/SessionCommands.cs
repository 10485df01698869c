using System.CommandLine;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Sessions;

/// <summary><c>GptFunctions sessions ...</c></summary>
internal static class SessionCommands
{
    public static Command Create() => new("sessions", "End sessions: tokens stop to work at once, everywhere, and the audit trail says so.") { Revoke() };

    private static Command Revoke()
    {
        var user = new Option<string?>("--user")
        {
            Description = "Everything of this user (Clerk's id, user_...): sessions, consents, sign-ins in progress, unused codes.",
        };
        var session = new Option<Guid?>("--session") { Description = "One session (the sid of its access tokens)." };
        var all = new Option<bool>("--all") { Description = "Every session of everybody: all apps have to be connected again." };
        var command = new Command("revoke", "End the sessions of a user, one session, or all. May be repeated.") { user, session, all };
        var act = new OperatorOptions(command);
        command.Validators.Add(result =>
        {
            if (new Option[] { user, session, all }.Count(option => result.GetResult(option) is not null) != 1)
            {
                result.AddError("Give one of --user, --session and --all.");
            }
        });
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, services =>
        {
            var sessions = services.GetRequiredService<SessionService>();
            var occasion = Occasion.OfCommand(services.GetRequiredService<TimeProvider>().GetUtcNow(), "command");
            return parsed.GetValue(user) is { } subject ? EndUserAsync(services, subject, act.Read(parsed), occasion)
                : parsed.GetValue(session) is { } id ? EndOneAsync(sessions, id, act.Read(parsed), occasion)
                : EndAllAsync(sessions, act.Read(parsed), occasion);
        }));
        return command;
    }

    private static async Task<int> EndUserAsync(IServiceProvider services, string subject, OperatorAct act, Occasion occasion)
    {
        var ended = await services.GetRequiredService<SessionService>().EndAllAsync(new SessionOwner(subject, null), act, occasion);
        return ended == 0 && await services.GetRequiredService<InternalUsers>().FindAsync(subject) is null
            ? await Commands.FailAsync($"There is no user {subject}.")
            : Report(ended);
    }

    private static async Task<int> EndOneAsync(SessionService sessions, Guid id, OperatorAct act, Occasion occasion) =>
        await sessions.EndAsync(id, act, occasion)
            ? Report(1)
            : await Commands.FailAsync($"There is no live session {id}: it was never there, or has been ended before.");

    private static async Task<int> EndAllAsync(SessionService sessions, OperatorAct act, Occasion occasion)
    {
        var total = 0;
        while (await sessions.EndSomeAsync(act, occasion) is > 0 and var ended)
        {
            total += ended;
        }

        return Report(total);
    }

    private static int Report(int ended)
    {
        Console.WriteLine($"sessions ended: {ended}");
        return 0;
    }
}
