using System.Collections.Concurrent;
using GptFunctions.Data;

namespace GptFunctions.Countdowns;

/// <summary>A countdown as operators see it, in a list and on a page.</summary>
public sealed record CountdownRow
{
    public required Guid Id { get; init; }

    public required string Kind { get; init; }

    public required string Subject { get; init; }

    public required string Status { get; init; }

    public required DateTimeOffset DueAt { get; init; }

    public required int Attempts { get; init; }

    public required DateTimeOffset NextAttemptAt { get; init; }

    public required DateTimeOffset? FinishedAt { get; init; }

    public required string? LastError { get; init; }
}

/// <summary>Which countdowns are asked for; null stands for all.</summary>
/// <param name="Status">Of <see cref="CountdownService.Statuses"/>.</param>
internal sealed record CountdownFilter(string? Status, string? Kind, string? Subject);

/// <summary>Where a list of countdowns goes on: behind this one.</summary>
/// <param name="Time">When it is tried next, or ended.</param>
internal sealed record CountdownPosition(DateTimeOffset Time, Guid Id)
{
    public static CountdownPosition Of(CountdownRow row) => new(row.FinishedAt ?? row.NextAttemptAt, row.Id);
}

/// <summary>The countdowns as operators look at them.</summary>
internal sealed class CountdownListStore(Database database)
{
    // One statement for each set of filters, so that each finds its index whatever plan the server keeps.
    private static readonly ConcurrentDictionary<string, Sql> Statements = new(StringComparer.Ordinal);

    /// <summary>Active ones by when they are tried next, the first first; others by when they ended, the last first.</summary>
    /// <param name="patience">How long one may be due before it is late.</param>
    public Task<List<CountdownRow>> ListAsync(CountdownFilter filter, TimeSpan patience, CountdownPosition? after, int count)
    {
        var isActive = filter.Status is "active" or "late";
        var time = isActive ? "next_attempt_at" : filter.Status is null ? "coalesce(finished_at, next_attempt_at)" : "finished_at";
        var conditions = ((string?[])[
            "true",
            filter.Status switch
            {
                null => null,
                "active" => "status = 'active'",
                "late" => "status = 'active' AND next_attempt_at < now() - @patience",
                "dead" => "status = 'dead'",
                _ => "status IN ('completed', 'cancelled') AND status = @status",
            },
            filter.Kind is null ? null : "kind = @kind",
            filter.Subject is null ? null : "subject = @subject",
            after is null ? null : $"({time}, id) {(isActive ? ">" : "<")} (@after_time, @after_id)",
        ]).Where(condition => condition is not null);
        var direction = isActive ? "" : " DESC";
        var sql = Statements.GetOrAdd($"""
            SELECT id, kind, subject, status, due_at, attempts, next_attempt_at, finished_at, last_error
            FROM countdowns
            WHERE {string.Join(" AND ", conditions)}
            ORDER BY {time}{direction}, id{direction}
            LIMIT @count
            """, static text => new Sql(text, "List"));
        var statement = database.Report(sql).Bind("count", count).BindIfUsed("status", filter.Status).BindIfUsed("kind", filter.Kind)
            .BindIfUsed("subject", filter.Subject).BindIfUsed("patience", patience);
        return (after is null ? statement : statement.Bind("after_time", after.Time).Bind("after_id", after.Id)).AllAsync(reader => new CountdownRow
        {
            Id = reader.GetGuid(0),
            Kind = reader.GetString(1),
            Subject = reader.GetString(2),
            Status = reader.GetString(3),
            DueAt = reader.GetFieldValue<DateTimeOffset>(4),
            Attempts = reader.GetInt32(5),
            NextAttemptAt = reader.GetFieldValue<DateTimeOffset>(6),
            FinishedAt = reader.Get<DateTimeOffset?>(7),
            LastError = reader.Get<string?>(8),
        });
    }
}
