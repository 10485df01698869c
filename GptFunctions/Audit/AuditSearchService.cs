using System.Text;
using GptFunctions.Hosting;

namespace GptFunctions.Audit;

/// <summary>The audit trail for those on call: looked up, and taken out.</summary>
internal sealed class AuditSearchService(AuditSearchStore store, AuditLog log)
{
    private const int ExportedAtOnce = 1000;

    /// <summary>Newest first, at most <paramref name="count"/> before a place.</summary>
    public Task<IReadOnlyList<AuditRow>> SearchAsync(AuditFilter filter, AuditPlace? before, int count) => store.NewestAsync(filter, before, count);

    /// <summary>
    /// Writes what matches to a stream, oldest first, a thousand rows at a time: as fast as somebody reads, and without holding anything of the
    /// database meanwhile. That it was asked for is written down before the first row leaves.
    /// </summary>
    /// <param name="filter">Without <see cref="AuditFilter.Until"/>: until now, or it might never end.</param>
    /// <returns>How many rows.</returns>
    public async Task<long> ExportAsync(
        AuditFilter filter, AuditFormat format, Stream output, OperatorAct act, Occasion occasion, CancellationToken cancellationToken)
    {
        filter = filter with { Until = filter.Until ?? occasion.Now };
        await TellAsync(filter, format, act, occasion);
        await output.WriteAsync(Encoding.UTF8.GetBytes(format == AuditFormat.Csv ? AuditLines.CsvHeader : ""), cancellationToken);
        var (total, after) = (0L, new AuditPlace(filter.Since ?? DateTimeOffset.MinValue, Guid.Empty));
        IReadOnlyList<AuditRow> rows;
        do
        {
            cancellationToken.ThrowIfCancellationRequested();
            rows = await store.OldestAsync(filter, after, ExportedAtOnce);
            await output.WriteAsync(Encoding.UTF8.GetBytes(ToText(rows, format)), cancellationToken);
            await output.FlushAsync(cancellationToken);
            total += rows.Count;
            after = rows is [.., var last] ? new AuditPlace(last.OccurredAt, last.Id) : after;
        }
        while (rows.Count == ExportedAtOnce);

        return total;
    }

    private static string ToText(IReadOnlyList<AuditRow> rows, AuditFormat format)
    {
        var lines = new StringBuilder();
        foreach (var row in rows)
        {
            if (format == AuditFormat.Csv)
            {
                AuditLines.AppendCsv(lines, row);
            }
            else
            {
                lines.Append(AuditLines.ToJson(row)).Append('\n');
            }
        }

        return lines.ToString();
    }

    private Task TellAsync(AuditFilter filter, AuditFormat format, OperatorAct act, Occasion occasion) =>
        log.AppendAsync(AuditEvents.AuditExported, occasion, payload =>
        {
            payload.WriteString("operator", act.By);
            payload.WriteString("reason", act.Reason);
            payload.WriteString("format", format == AuditFormat.Csv ? "csv" : "jsonl");
            payload.WriteString("clerk_user_id", filter.Subject);
            payload.WriteString("client_id", filter.ClientId);
            payload.WriteString("session_id", filter.SessionId);
            payload.WriteString("of_type", filter.Type);
            payload.WriteString("of_correlation_id", filter.CorrelationId);
            if (filter.Since is { } since)
            {
                payload.WriteString("since", since);
            }

            payload.WriteString("until", filter.Until!.Value);
        });
}
