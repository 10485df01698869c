using System.Globalization;
using System.Text;
using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Maintenance;
using GptFunctions.Webhooks;

namespace GptFunctions.Operations;

/// <summary>An event of the inbox, as a page shows it.</summary>
public sealed record WebhookLine
{
    public required string Source { get; init; }
    public required string EventId { get; init; }
    public required string Type { get; init; }
    public required string? Subject { get; init; }
    public required string Status { get; init; }
    public required int Attempts { get; init; }
    public required DateTimeOffset ReceivedAt { get; init; }
    public required DateTimeOffset ProcessedAt { get; init; }
    public required int? DurationMs { get; init; }
    public required string? Error { get; init; }

    internal static WebhookLine Of(RecordedEvent row) => new()
    {
        Source = row.Source,
        EventId = row.EventId,
        Type = row.Type,
        Subject = row.Subject,
        Status = row.Status,
        Attempts = row.Attempts,
        ReceivedAt = row.ReceivedAt,
        ProcessedAt = row.ProcessedAt,
        DurationMs = row.DurationMs,
        Error = row.Error,
    };
}

/// <summary>A run of maintenance, as a page shows it.</summary>
public sealed record RunLine
{
    public required long Id { get; init; }

    /// <summary>Of <c>maintenance_runs.job</c>.</summary>
    public required string Job { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>Null while it is active.</summary>
    public required DateTimeOffset? FinishedAt { get; init; }

    public required string Outcome { get; init; }

    /// <summary>Null: the timer.</summary>
    public required string? StartedBy { get; init; }

    /// <summary>Whether a process has it in its hands.</summary>
    public required bool IsAtWork { get; init; }

    /// <summary>Its figures that are not zero, by name.</summary>
    public required IReadOnlyList<(string Name, long Count)> Figures { get; init; }

    /// <summary>What was asked for, in words; empty when that was everything.</summary>
    public required string Asked { get; init; }

    /// <summary>How much of a known whole is done; null when nobody knows.</summary>
    public (long Done, long Of)? Progress { get; init; }

    public bool IsActive => FinishedAt is null;

    public string State => !IsActive ? Outcome : IsAtWork ? "at work" : "waiting for a process";

    internal static RunLine Of(MaintenanceRow run)
    {
        var counts = run.Job == WebhookReplayJob.JobName ? InboxService.CountsOf(run) : null;
        return new RunLine
        {
            Id = run.Id,
            Job = run.Job,
            StartedAt = run.StartedAt,
            FinishedAt = run.FinishedAt,
            Outcome = run.Outcome,
            StartedBy = run.StartedBy,
            IsAtWork = run.IsAtWork,
            Figures = [.. run.Counts.EnumerateObject()
                .Where(figure => figure.Value.ValueKind == JsonValueKind.Number && figure.Value.GetInt64() != 0)
                .Select(figure => (figure.Name.Replace('_', ' '), figure.Value.GetInt64()))],
            Asked = string.Join(", ", run.Asked.EnumerateObject().Where(member => member.Name is not "dry_run")
                .Select(member => $"{member.Name.Replace('_', ' ')} {member.Value}")),
            Progress = counts is null ? null : (counts.Tried, Math.Max(counts.Found, counts.Tried)),
        };
    }
}

/// <summary>A message that did not get into the trail, as a page shows it; or several of one kind.</summary>
/// <param name="Id">What an action takes: <c>quarantine/12</c>, <c>dead/4f2a9c0d1e5b7a86</c>, <c>stranded/gpt.oauth.authorize</c>.</param>
/// <param name="Content">As text, with what is no UTF-8 replaced; cut when it is long.</param>
public sealed record StrayMessage(string Id, DateTimeOffset? At, string Reason, string? What, string? Content, long Bytes)
{
    private const int MostShown = QuarantineStore.MostShown;

    internal static StrayMessage Of(QuarantinedMessage message) => new(
        string.Create(CultureInfo.InvariantCulture, $"quarantine/{message.Id}"), message.ReceivedAt, message.Reason,
        AuditEvent.Parse(message.Message, out _)?.Type, Encoding.UTF8.GetString(message.Message), message.Bytes);

    internal static StrayMessage Of(DeadLetter letter) => new(
        "dead/" + letter.Id, letter.DiedAt, letter.Reason, letter.Event?.Type,
        Encoding.UTF8.GetString(letter.Message.AsSpan(0, Math.Min(letter.Message.Length, MostShown))), letter.Message.Length);
}

/// <summary>Events of one type that no queue takes, as a page shows them.</summary>
public sealed record StrandedLine(string Type, long Count, DateTimeOffset Oldest, DateTimeOffset SetAsideAt);
