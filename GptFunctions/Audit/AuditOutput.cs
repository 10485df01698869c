using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace GptFunctions.Audit;

/// <summary>A line of <c>audit tail --json</c> and of an export as JSON lines.</summary>
internal sealed record AuditOutput
{
    public required DateTimeOffset OccurredAt { get; init; }
    public required Guid EventId { get; init; }
    public required string EventType { get; init; }
    public string? ClerkUserId { get; init; }
    public string? ClientId { get; init; }
    public string? SessionId { get; init; }
    public string? CorrelationId { get; init; }
    public string? IpAddress { get; init; }
    public required JsonElement Metadata { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(AuditOutput))]
internal sealed partial class AuditJson : JsonSerializerContext;

/// <summary>How an export is written.</summary>
internal enum AuditFormat
{
    /// <summary>RFC 4180, UTF-8, with a header line.</summary>
    Csv,

    /// <summary>One JSON object a line.</summary>
    Jsonl,
}

/// <summary>Rows of the audit trail as lines of text.</summary>
internal static class AuditLines
{
    public const string CsvHeader = "occurred_at,event_id,event_type,clerk_user_id,client_id,session_id,correlation_id,ip_address,metadata\r\n";

    public static string ToJson(AuditRow row) => JsonSerializer.Serialize(
        new AuditOutput
        {
            OccurredAt = row.OccurredAt,
            EventId = row.Id,
            EventType = row.Type,
            ClerkUserId = row.Subject,
            ClientId = row.ClientId,
            SessionId = row.SessionId,
            CorrelationId = row.CorrelationId,
            IpAddress = row.Address,
            Metadata = JsonElement.Parse(row.Metadata),
        }, AuditJson.Default.AuditOutput);

    public static void AppendCsv(StringBuilder lines, AuditRow row)
    {
        lines.Append(row.OccurredAt.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture)).Append(',').Append(row.Id);
        foreach (var cell in (ReadOnlySpan<string?>)
            [row.Type, row.Subject, row.ClientId, row.SessionId, row.CorrelationId, row.Address, row.Metadata])
        {
            lines.Append(',');
            AppendCell(lines, cell);
        }

        lines.Append("\r\n");
    }

    /// <summary>
    /// A cell that a spreadsheet would take for a formula begins with an apostrophe, by which it takes it for text: whoever chooses a client's id
    /// or an address must not run something on the machine of whoever opens the export.
    /// </summary>
    private static void AppendCell(StringBuilder lines, string? cell)
    {
        if (string.IsNullOrEmpty(cell))
        {
            return;
        }

        var isFormula = cell[0] is '=' or '+' or '-' or '@' or '\t' or '\r';
        if (!isFormula && cell.AsSpan().IndexOfAny("\",\r\n") < 0)
        {
            lines.Append(cell);
            return;
        }

        lines.Append('"').Append(isFormula ? "'" : "").Append(cell.Replace("\"", "\"\"", StringComparison.Ordinal)).Append('"');
    }
}
