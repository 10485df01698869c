using System.Text.Json;
using GptFunctions.Audit;

namespace GptFunctions.Operations;

/// <summary>An event of the audit trail as its table shows it.</summary>
/// <param name="More">What the event says beside that: <c>reason: left the company, sessions: 2</c>.</param>
public sealed record AuditLine(
    DateTimeOffset OccurredAt, Guid Id, string Type, string? Subject, string? ClientId, string? SessionId, string? CorrelationId, string More)
{
    private static readonly HashSet<string> Columns = new(["clerk_user_id", "client_id", "session_id"], StringComparer.Ordinal);

    internal string Place => new AuditPlace(OccurredAt, Id).ToString();

    internal static AuditLine Of(AuditRow row) =>
        new(row.OccurredAt, row.Id, row.Type, row.Subject, row.ClientId, row.SessionId, row.CorrelationId, Rest(row.Metadata));

    private static string Rest(string metadata) => string.Join(", ", JsonElement.Parse(metadata).EnumerateObject()
        .Where(member => !Columns.Contains(member.Name) && member.Value.ValueKind != JsonValueKind.Null)
        .Select(member => $"{member.Name}: {(member.Value.ValueKind == JsonValueKind.String ? member.Value.GetString() : member.Value.GetRawText())}"));
}
