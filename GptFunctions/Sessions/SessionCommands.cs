using System.CommandLine;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Sessions;

/// <summary><c>GptFunctions sessions ...</c></summary>
internal static class SessionCommands
{
    private const int LongestReason = 200;

    public static Command Create() => new("sessions", "End sessions: tokens stop to work at once, everywhere, and the audit trail says so.") { Revoke() };

    private static Command Revoke()
    {
        var user = new Option<string?>("--user")
        {
            Description = "Everything of this user (Clerk's id, user_...): sessions, consents, sign-ins in progress, unused codes.",
        };
        var session = new Option<Guid?>("--session") { Description = "One session (the sid of its access tokens)." };
        var all = new Option<bool>("--all") { Description = "Every session of everybody: all apps have to be connected again." };
        var reason = new Option<string?>("--reason") { Description = $"Why, in up to {LongestReason} characters: for the audit trail." };
        var command = new Command("revoke", "End the sessions of a user, one session, or all. May be repeated.") { user, session, all, reason };
        command.Validators.Add(result =>
        {
            if (new Option[] { user, session, all }.Count(option => result.GetResult(option) is not null) != 1)
            {
                result.AddError("Give one of --user, --session and --all.");
            }

            if (result.GetValue(reason) is { } text && (text.Length > LongestReason || text.Any(char.IsControl)))
            {
                result.AddError($"--reason must be one line of at most {LongestReason} characters.");
            }
        });
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, services =>
        {
            var sessions = services.GetRequiredService<SessionService>();
            var occasion = Occasion.OfCommand(services.GetRequiredService<TimeProvider>().GetUtcNow(), "command");
            var why = parsed.GetValue(reason) is { Length: > 0 } text ? "operator: " + text : "operator";
            return parsed.GetValue(user) is { } subject ? EndUserAsync(services, subject, why, occasion)
                : parsed.GetValue(session) is { } id ? EndOneAsync(sessions, id, why, occasion)
                : EndAllAsync(sessions, why, occasion);
        }));
        return command;
    }

    private static async Task<int> EndUserAsync(IServiceProvider services, string subject, string reason, Occasion occasion)
    {
        var ended = await services.GetRequiredService<SessionService>().EndAllAsync(subject, reason, occasion);
        return ended == 0 && await services.GetRequiredService<InternalUsers>().FindAsync(subject) is null
            ? await Commands.FailAsync($"There is no user {subject}.")
            : Report(ended);
    }

    private static async Task<int> EndOneAsync(SessionService sessions, Guid id, string reason, Occasion occasion) =>
        await sessions.EndAsync(id, reason, AuditEvents.SessionRevoked, occasion)
            ? Report(1)
            : await Commands.FailAsync($"There is no live session {id}: it was never there, or has been ended before.");

    private static async Task<int> EndAllAsync(SessionService sessions, string reason, Occasion occasion)
    {
        var total = 0;
        while (await sessions.EndSomeAsync(reason, occasion) is > 0 and var ended)
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
