using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Sessions;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(OpenSession))]
internal sealed partial class SessionCommandsJson : JsonSerializerContext;

/// <summary><c>GptFunctions sessions ...</c></summary>
internal static class SessionCommands
{
    public static Command Create() =>
        new("sessions", "Look at sessions, or end them: tokens stop to work at once, everywhere, and the audit trail says so.") { List(), Revoke() };

    private static Command List()
    {
        var user = new Option<string?>("--user") { Description = "Only sessions of this user (Clerk's id, user_...)." };
        var client = new Option<string?>("--client") { Description = "Only sessions in this client." };
        var after = new Option<Guid?>("--after") { Description = "Only sessions that come after this one, the last of the page before." };
        var limit = new Option<int>("--limit") { Description = "How many.", DefaultValueFactory = _ => 50 };
        var json = new Option<bool>("--json") { Description = "One JSON object a line." };
        var command = new Command("list", "List sessions that nobody ended, newest first.") { user, client, after, limit, json };
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, async services =>
        {
            var count = parsed.GetValue(limit);
            if (count is < 1 or > 10_000)
            {
                return await Commands.FailAsync("--limit must be a number from 1 to 10000.");
            }

            var rows = await services.GetRequiredService<SessionService>()
                .SearchAsync(parsed.GetValue(user), parsed.GetValue(client), parsed.GetValue(after), count + 1);
            var now = services.GetRequiredService<TimeProvider>().GetUtcNow();
            foreach (var row in rows.Take(count))
            {
                Console.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(row, SessionCommandsJson.Default.OpenSession) : ToText(row, now));
            }

            if (rows.Count > count)
            {
                await Console.Error.WriteLineAsync($"There are more: --after {rows[count - 1].Id}");
            }

            return 0;
        }));
        return command;
    }

    private static string ToText(OpenSession session, DateTimeOffset now) => string.Create(
        CultureInfo.InvariantCulture,
        $"{session.Id}  {session.Subject}  {session.ClientId}  {(session.ExpiresAt <= now ? "ran out" : "live")}  since "
        + $"{session.CreatedAt:yyyy-MM-dd HH:mm}Z  "
        + $"last used {session.LastActive:yyyy-MM-dd HH:mm}Z  ends {session.ExpiresAt:yyyy-MM-dd HH:mm}Z  {string.Join(' ', session.Scopes)}");

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
