using System.Text.Json.Nodes;
using GptFunctions.Statistics;

namespace GptFunctions.Operations.Pages;

/// <summary>An authorization request as its page shows it.</summary>
/// <param name="Reached">One of <see cref="Steps"/>.</param>
/// <param name="State"><c>good</c>, <c>bad</c>, or empty while it is under way: the class of its mark.</param>
/// <param name="Times">Each step that it reached, with its time.</param>
/// <param name="Sent">Of one that was refused at once: what it sent.</param>
public sealed record SignInLine(
    Guid Id, DateTimeOffset At, string Reached, string State, string Sentence, string? Cure, string? ClientId, string? ClientName, string? Subject,
    string? Destination, Guid? SessionId, string? CorrelationId, IReadOnlyList<(string Step, DateTimeOffset At)> Times,
    IReadOnlyList<(string Name, string Value)> Sent)
{
    /// <summary>In the order of <see cref="SignInReached"/>.</summary>
    public static readonly string[] Steps = ["refused at once", "asked", "signed in", "consented", "code delivered", "exchanged", "first call"];

    internal static SignInLine Of((SignInEntry Entry, SignInStory Story) one)
    {
        var (entry, story) = one;
        var stopped = entry.StoppedBy == SignIns.AnotherAccount ? "another account chosen" : "refused: " + entry.StoppedBy;
        var asked = entry.WasAsked == false ? "consent remembered" : Steps[3];
        (string, DateTimeOffset?)[] times = entry.Reached == SignInReached.Refused ? []
            :
            [
                (Steps[1], entry.At), (Steps[2], entry.SignedInAt), ("consent page shown", entry.ShownAt), (asked, entry.ConsentedAt),
                (Steps[4], entry.DeliveredAt), (Steps[5], entry.ExchangedAt), (Steps[6], entry.CalledAt), (stopped, entry.StoppedAt),
            ];
        return new(
            entry.Id, entry.At, Steps[(int)entry.Reached],
            story.State switch { SignInState.Works => "good", SignInState.Stopped => "bad", _ => "" }, story.Sentence, story.Cure,
            entry.ClientId, entry.ClientName, entry.Subject, entry.RedirectUri, entry.SessionId, entry.CorrelationId,
            [.. times.Where(time => time.Item2 is not null).Select(time => (time.Item1, time.Item2!.Value)).OrderBy(time => time.Value)], ReadSent(entry));
    }

    private static List<(string Name, string Value)> ReadSent(SignInEntry entry)
    {
        if (entry.Sent is null || JsonNode.Parse(entry.Sent) is not JsonObject sent)
        {
            return [];
        }

        var shown = sent.Where(one => one.Value is JsonValue).Select(one => (one.Key, one.Value!.ToString())).ToList();
        if (sent["with"] is JsonArray { Count: > 0 } with)
        {
            shown.Add(("also sent", string.Join(", ", with.Select(name => name!.ToString()))));
        }

        if (entry.UserAgent is { } agent)
        {
            shown.Add(("user agent", agent));
        }

        return shown;
    }
}
