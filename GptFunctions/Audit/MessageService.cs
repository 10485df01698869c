using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using GptFunctions.Hosting;
using Microsoft.Extensions.Options;
using RabbitMQ.Client.Exceptions;

namespace GptFunctions.Audit;

/// <summary>The dead letters that can be seen now.</summary>
/// <param name="Count">How many there are; <paramref name="First"/> has the oldest.</param>
/// <param name="Problem">Why nobody knows, as a sentence; null when they are known.</param>
internal sealed record DeadLetterList(long Count, IReadOnlyList<DeadLetter> First, string? Problem);

/// <summary>
/// Messages that did not get into the audit trail: those in quarantine are no events, dead letters were given up, stranded events are taken by no queue.
/// Operators put them back, or throw the first two away. A message is known by where it is and what it is called there: <c>quarantine/12</c>,
/// <c>dead/4f2a9c0d1e5b7a86</c>, <c>stranded/gpt.oauth.authorize</c>; <c>all</c> stands for all that are there.
/// </summary>
internal sealed class MessageService(
    QuarantineStore quarantine, DeadLetters dead, OutboxStore stranded, AuditLog log, OutboxSignal signal, IOptions<AuditSettings> settings)
{
    public const string Returned = "gpt.operator.message_returned";
    public const string Discarded = "gpt.operator.message_discarded";
    public const string All = "all";
    public const string Expected = "quarantine/NUMBER, dead/ID or stranded/TYPE, as 'messages list' shows it, or with 'all' behind the slash";

    /// <summary>Of one act on all.</summary>
    private const int MostAtOnce = 1000;

    /// <inheritdoc cref="QuarantineStore.ListAsync"/>
    public Task<List<QuarantinedMessage>> ListQuarantineAsync(long? before, int count) => quarantine.ListAsync(before ?? long.MaxValue, count);

    /// <inheritdoc cref="QuarantineStore.CountAsync"/>
    public Task<long> CountQuarantineAsync(int most) => quarantine.CountAsync(most);

    public Task<IReadOnlyList<StrandedEvents>> ListStrandedAsync(CancellationToken cancellationToken) => stranded.ListStrandedAsync(cancellationToken);

    /// <summary>The oldest dead letters; looking at them changes nothing.</summary>
    public async Task<DeadLetterList> ListDeadAsync(int count)
    {
        if (settings.Value.BrokerUrl is null)
        {
            return new DeadLetterList(0, [], null); // Development: events go to the trail inside the process
        }

        var (found, problem) = await TryAsync(() => dead.ListAsync(count));
        return problem is null ? new DeadLetterList(found.Count, found.First, null) : new DeadLetterList(0, [], problem);
    }

    /// <summary>Puts what was set aside back into the outbox; returns how many events.</summary>
    /// <param name="type">Only events of this type; null for all.</param>
    public async Task<long> RequeueAsync(string? type, OperatorAct act, Occasion occasion)
    {
        var count = await stranded.RequeueAsync(type, act, occasion, CancellationToken.None);
        signal.Raise();
        return count;
    }

    /// <summary>
    /// Puts back what an id names: a message of the quarantine into the trail, a dead letter into the audit queue, an event into the outbox.
    /// </summary>
    /// <returns>What was done, or why nothing was.</returns>
    public async Task<(string? Done, string? Problem)> ReturnAsync(string id, OperatorAct act, Occasion occasion) => Split(id) switch
    {
        ("quarantine", All) => await ReturnQuarantineAsync(act, occasion),
        ("quarantine", var name) when IsNumber(name, out var number) => await quarantine.ReturnAsync(number, act, occasion) is { } problem
            ? (null, problem)
            : (Say($"Message {number} is in the audit trail."), null),
        ("dead", var name) => await ReturnDeadAsync(name == All ? null : name, act, occasion),
        ("stranded", var name) => await RequeueAsync(name == All ? null : name, act, occasion) is > 0 and var count
            ? (Say($"{count} events are back in the outbox."), null)
            : (null, "No such event is set aside."),
        _ => (null, $"'{id}' names no message: {Expected}."),
    };

    /// <summary>Throws away one message of the quarantine, or one dead letter.</summary>
    /// <returns>Null when done, else why not.</returns>
    public async Task<string?> DiscardAsync(string id, OperatorAct act, Occasion occasion) => Split(id) switch
    {
        ("quarantine", var name) when IsNumber(name, out var number) =>
            await quarantine.DiscardAsync(number, act, occasion) ? null : Say($"There is no message {number} in the quarantine."),
        ("dead", not All and var name) => await DiscardDeadAsync(name, act, occasion),
        _ => $"'{id}' names no message that can be thrown away: give quarantine/NUMBER or dead/ID, as 'messages list' shows it.",
    };

    private async Task<(string? Done, string? Problem)> ReturnQuarantineAsync(OperatorAct act, Occasion occasion)
    {
        var (returned, left) = (0, 0);
        for (long? before = null; returned + left < MostAtOnce && await quarantine.ListAsync(before ?? long.MaxValue, 100) is { Count: > 0 } page;)
        {
            foreach (var message in page)
            {
                _ = await quarantine.ReturnAsync(message.Id, act, occasion) is null ? returned++ : left++;
            }

            before = page[^1].Id;
        }

        return (Say($"{returned} messages are in the audit trail; {left} are no events and stay."), null);
    }

    private async Task<(string? Done, string? Problem)> ReturnDeadAsync(string? name, OperatorAct act, Occasion occasion)
    {
        var (count, problem) = await TryAsync(() => dead.ReturnAsync(name, letters => TellAsync(Returned, letters, act, occasion)));
        return problem is not null ? (null, problem)
            : count == 0 ? (null, name is null ? "There are no dead letters." : $"There is no dead letter {name}.")
            : (Say($"{count} dead letters are back in {AuditSettings.Queue}."), null);
    }

    private async Task<string?> DiscardDeadAsync(string name, OperatorAct act, Occasion occasion)
    {
        var (isDone, problem) = await TryAsync(() => dead.DiscardAsync(name, letters => TellAsync(Discarded, letters, act, occasion)));
        return problem ?? (isDone ? null : $"There is no dead letter {name}.");
    }

    /// <summary>One event for what one act did; of a single message it says what that was.</summary>
    private Task TellAsync(string type, IReadOnlyList<DeadLetter> letters, OperatorAct act, Occasion occasion) => log.AppendAsync(type, occasion, json =>
    {
        json.WriteString("from", "dead");
        json.WriteNumber("count", letters.Count);
        if (letters is [var letter])
        {
            json.WriteString("message_id", letter.Id);
            json.WriteString("kept_because", letter.Reason);
            json.WriteNumber("bytes", letter.Message.Length);
            json.WriteString("sha256", Convert.ToHexStringLower(SHA256.HashData(letter.Message)));
            json.WriteString("event_id", letter.Event?.Id.ToString());
            json.WriteString("event_type", letter.Event?.Type);
        }

        json.WriteString("operator", act.By);
        json.WriteString("reason", act.Reason);
    });

    private async Task<(T? Result, string? Problem)> TryAsync<T>(Func<Task<T>> act)
    {
        if (settings.Value.BrokerUrl is null)
        {
            return (default, "There is no broker (RABBITMQ_URL is not set), so there are no dead letters.");
        }

        try
        {
            return (await act(), null);
        }
        catch (OperationInterruptedException error) when (error.ShutdownReason?.ReplyCode == RabbitMQ.Client.Constants.NotFound)
        {
            return (default, $"There is no queue {AuditSettings.DeadLetters} or {AuditSettings.Queue}: run 'GptFunctions setup'.");
        }
        catch (PublishException)
        {
            return (default, $"The broker did not take the message into its queue, so it stays: is there a {AuditSettings.Queue} (GptFunctions setup)?");
        }
        catch (DeadLettersBusyException error)
        {
            return (default, $"The dead letters cannot be read: {error.Message}.");
        }
        catch (Exception error) when (Broker.IsOutage(error) || error is OperationCanceledException)
        {
            return (default, $"The broker at RABBITMQ_URL does not answer, so nobody knows the dead letters: {error.GetBaseException().Message}");
        }
    }

    private static (string Place, string Name) Split(string id) => id.IndexOf('/', StringComparison.Ordinal) is > 0 and var slash
        ? (id[..slash], id[(slash + 1)..])
        : ("", id);

    private static bool IsNumber(string text, out long number) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);

    private static string Say(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
