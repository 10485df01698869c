using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Operations;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(PersonFile))]
[JsonSerializable(typeof(PersonProfile))]
[JsonSerializable(typeof(PersonOrder))]
internal sealed partial class UserCommandsJson : JsonSerializerContext;

/// <summary><c>GptFunctions users find|show|revoke</c></summary>
internal static class UserCommands
{
    private static readonly Option<bool> Json = new("--json") { Description = "Print JSON." };

    public static Command Create() => new("users", "Look people up; end everything that somebody has connected.") { Find(), Show(), Revoke() };

    private static Command Find()
    {
        var text = Who();
        var command = new Command("find", "Say who is meant by a user id, an e-mail address or the id of an order.") { text, Json };
        command.SetAction((parsed, _) => WithPeopleAsync(parsed, async (people, _) =>
        {
            var found = await people.FindAsync(parsed.GetRequiredValue(text));
            foreach (var person in found.People)
            {
                Console.WriteLine(parsed.GetValue(Json) ? JsonSerializer.Serialize(person, UserCommandsJson.Default.PersonProfile) : ToText(person));
            }

            foreach (var order in found.Orders)
            {
                Console.WriteLine(parsed.GetValue(Json) ? JsonSerializer.Serialize(order, UserCommandsJson.Default.PersonOrder) : ToText(order));
            }

            return found is { People.Count: 0, Orders.Count: 0 } ? await Commands.FailAsync(Nobody(parsed.GetRequiredValue(text))) : 0;
        }));
        return command;
    }

    private static Command Show()
    {
        var text = Who();
        var command = new Command(
            "show", "Print what is known of somebody: profile, plan, sessions, consents, orders, webhook events, audit; of each the newest.")
        {
            text, Json,
        };
        command.SetAction((parsed, _) => WithPeopleAsync(parsed, async (people, occasion) =>
        {
            var (person, problem) = await FindOneAsync(people, parsed.GetRequiredValue(text));
            if (person is null || await people.ReadAsync(person.Subject, null, occasion.Now) is not { } file)
            {
                return await Commands.FailAsync(problem ?? Nobody(parsed.GetRequiredValue(text)));
            }

            Console.WriteLine(parsed.GetValue(Json) ? JsonSerializer.Serialize(file, UserCommandsJson.Default.PersonFile) : ToText(file));
            return 0;
        }));
        return command;
    }

    private static Command Revoke()
    {
        var text = Who();
        var command = new Command(
            "revoke", "End everything of one person now, everywhere: sessions, sign-ins in progress, unused codes, consents. May be repeated.") { text };
        var act = new OperatorOptions(command, isReasonRequired: true);
        command.SetAction((parsed, _) => WithPeopleAsync(parsed, async (people, occasion) =>
        {
            var (person, problem) = await FindOneAsync(people, parsed.GetRequiredValue(text));
            if (person is null)
            {
                return await Commands.FailAsync(problem!);
            }

            var ended = await people.EndAllAsync(person.Subject, act.Read(parsed), occasion);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{person.Subject}: sessions ended: {ended}, consents taken back"));
            return 0;
        }));
        return command;
    }

    private static Argument<string> Who() => new("user") { Description = "A Clerk user id, an internal user id, an e-mail address, or the id of an order." };

    private static Task<int> WithPeopleAsync(ParseResult parsed, Func<PersonService, Occasion, Task<int>> run) => Commands.WithServicesAsync(
        parsed,
        services => run(
            services.GetRequiredService<PersonService>(), Occasion.OfCommand(services.GetRequiredService<TimeProvider>().GetUtcNow(), "command")));

    /// <summary>Whoever ends or shows something means one person.</summary>
    private static async Task<(PersonProfile? Person, string? Problem)> FindOneAsync(PersonService people, string text) =>
        (await people.FindAsync(text)).People switch
        {
            [] => (null, Nobody(text)),
            [var only] => (only, null),
            var several => (null, $"Several people are meant by {text}; name one: {string.Join(' ', several.Select(person => person.Subject))}"),
        };

    private static string Nobody(string text) => $"Nobody is known by {text}: give a user id (user_...), an e-mail address or the id of an order.";

    private static string ToText(PersonProfile person) => string.Create(
        CultureInfo.InvariantCulture,
        $"{person.Subject}  {person.State}  {Shown(person.Email)}  {Shown(person.Name)}  plan {Shown(person.Plan)} {person.PlanStatus}  "
        + $"since {person.CreatedAt:yyyy-MM-dd}");

    private static string ToText(PersonOrder order) => string.Create(
        CultureInfo.InvariantCulture, $"order {Shown(order.OrderId)}  {order.Status}  deadline {order.Deadline:yyyy-MM-dd HH:mm:ss}Z");

    private static string ToText(PersonFile file)
    {
        var lines = new List<string>
        {
            ToText(file.Profile),
            $"internal id {file.Profile.Id}, Stripe customer {Shown(file.Profile.StripeCustomerId)}",
        };
        Add("sessions", file.Sessions.Rows.Select(SessionOf));
        Add("consents", file.Consents.Select(consent => string.Create(
            CultureInfo.InvariantCulture,
            $"{Shown(consent.ClientName)} ({Shown(consent.ClientId)}) for {Shown(consent.RedirectHost)}: {string.Join(' ', consent.Scopes)}, given "
            + $"{consent.GrantedAt:yyyy-MM-dd HH:mm}Z{(consent.RevokedAt is { } end ? $", taken back {end:yyyy-MM-dd HH:mm}Z" : "")}")));
        Add("verification", file.Orders.Select(ToText));
        Add("webhook events", file.Webhooks.Select(webhook => string.Create(
            CultureInfo.InvariantCulture,
            $"{webhook.ProcessedAt:yyyy-MM-dd HH:mm:ss}Z  {webhook.Source}  {Shown(webhook.Type)}  {webhook.Status}  {Shown(webhook.EventId)}  "
                + $"{Shown(webhook.Error)}")));
        Add("audit", file.Audit.Select(row => string.Create(
            CultureInfo.InvariantCulture, $"{row.OccurredAt:yyyy-MM-dd HH:mm:ss}Z  {Shown(row.Type),-32} {Shown(row.ClientId)}  {Shown(row.More)}")));
        return string.Join('\n', lines);

        void Add(string title, IEnumerable<string> rows)
        {
            lines.Add(title);
            lines.AddRange(rows.DefaultIfEmpty("none").Select(row => "    " + row));
        }
    }

    private static string SessionOf(SessionLine session) => string.Create(
        CultureInfo.InvariantCulture,
        $"{session.Id}  {Shown(session.ClientName)} ({Shown(session.ClientId)})  {(session.IsOver ? "ran out" : "live")}  since "
            + $"{session.CreatedAt:yyyy-MM-dd HH:mm}Z"
        + $"  last used {session.LastActive:yyyy-MM-dd HH:mm}Z");

    /// <summary>A terminal obeys control characters, which names and errors of others may have.</summary>
    private static string Shown(string? text) => text is null ? "-" : OutsideText.Visible(text);
}
