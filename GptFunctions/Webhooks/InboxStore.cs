using System.Collections.Concurrent;
using GptFunctions.Data;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>The inbox as operators look at it: by source, type, status, subject and time.</summary>
internal sealed class InboxStore(Database database)
{
    private const string Columns =
        "source, event_id, type, subject, status, attempts, event_at, received_at, processed_at, duration_ms, error";

    // One statement for each set of filters, so that each finds its index whatever plan the server keeps.
    private static readonly ConcurrentDictionary<string, Sql> Statements = new(StringComparer.Ordinal);

    private static readonly Sql NextFailed = new("""
        SELECT source, event_id, processed_at
        FROM webhook_events
        WHERE status = 'failed' AND processed_at < @until AND processed_at >= @since AND (processed_at, source, event_id) > (@since, @source, @event_id)
          AND source = ANY (@sources)
          AND (@of_source::text IS NULL OR source = @of_source)
          AND (@of_type::text IS NULL OR type = @of_type)
          AND (@of_subject::text IS NULL OR subject = @of_subject)
        ORDER BY processed_at, source, event_id
        LIMIT @count
        """);

    /// <summary>The newest events that a filter lets through, from behind a position.</summary>
    public Task<List<RecordedEvent>> ListAsync(WebhookFilter filter, WebhookPosition? after, int count)
    {
        var statement = database.Report(ToList(filter, after)).Bind("count", count);
        return Bind(statement, filter, after).AllAsync(Read);
    }

    /// <summary>How many events a filter lets through.</summary>
    /// <param name="most">No more are counted.</param>
    public Task<long> CountAsync(WebhookFilter filter, int most)
    {
        var sql = Of($"""
            SELECT count(*)
            FROM (
                SELECT FROM webhook_events
                WHERE {Where(filter, null, StatusOf(filter))}
                LIMIT @most) counted
            """);
        return Bind(database.Report(sql).Bind("most", most), filter, null).FirstAsync(reader => reader.GetInt64(0));
    }

    /// <summary>Failed events in the order in which they failed, from behind a position.</summary>
    /// <param name="filter">Its times have to be set; its status is not looked at.</param>
    /// <param name="sources">Those that this program knows.</param>
    public Task<List<FailedEvent>> ListFailedAsync(WebhookFilter filter, WebhookPosition after, string[] sources, int count) =>
        database.Report(NextFailed)
            .Bind("since", after.ProcessedAt).Bind("source", after.Source).Bind("event_id", after.EventId).Bind("until", filter.Until!.Value)
            .Bind("sources", sources).Bind("of_source", filter.Source).Bind("of_type", filter.Type).Bind("of_subject", filter.Subject).Bind("count", count)
            .AllAsync(reader => new FailedEvent(reader.GetString(0), reader.GetString(1), reader.GetFieldValue<DateTimeOffset>(2)));

    // By time alone no index has all events, on purpose: the purge's two, of the failed and of the others, are merged.
    private static Sql ToList(WebhookFilter filter, WebhookPosition? after)
    {
        var isByTimeAlone = filter is { Source: null, Type: null, Subject: null, Status: null };
        string Page(string? status) => $"""
            SELECT {Columns}
            FROM webhook_events
            WHERE {Where(filter, after, status)}
            ORDER BY processed_at DESC, source DESC, event_id DESC
            LIMIT @count
            """;
        return Of(!isByTimeAlone ? Page(StatusOf(filter)) : $"""
            SELECT {Columns}
            FROM (({Page("status = 'failed'")}) UNION ALL ({Page("status <> 'failed'")})) pages
            ORDER BY processed_at DESC, source DESC, event_id DESC
            LIMIT @count
            """);
    }

    private static string? StatusOf(WebhookFilter filter) => filter.Status switch
    {
        null => null,
        "failed" => "status = 'failed'",
        _ => "status <> 'failed' AND status = @status",
    };

    private static string Where(WebhookFilter filter, WebhookPosition? after, string? status) => string.Join(" AND ", ((string?[])[
        "true",
        status,
        filter.Source is null ? null : "source = @source",
        filter.Type is null ? null : "type = @type",
        filter.Subject is null ? null : "subject = @subject",
        filter.Since is null ? null : "processed_at >= @since",
        filter.Until is null ? null : "processed_at < @until",
        after is null ? null : "processed_at <= @after_time AND (processed_at, source, event_id) < (@after_time, @after_source, @after_id)",
    ]).Where(condition => condition is not null));

    private static LimitedStatement Bind(LimitedStatement statement, WebhookFilter filter, WebhookPosition? after)
    {
        statement = statement.BindIfUsed("status", filter.Status).BindIfUsed("source", filter.Source).BindIfUsed("type", filter.Type)
            .BindIfUsed("subject", filter.Subject).BindIfUsed("since", filter.Since).BindIfUsed("until", filter.Until);
        return after is null ? statement
            : statement.Bind("after_time", after.ProcessedAt).Bind("after_source", after.Source).Bind("after_id", after.EventId);
    }

    private static Sql Of(string text) => Statements.GetOrAdd(text, static text => new Sql(text, "List"));

    private static RecordedEvent Read(NpgsqlDataReader reader) => new()
    {
        Source = reader.GetString(0),
        EventId = reader.GetString(1),
        Type = reader.GetString(2),
        Subject = reader.Get<string?>(3),
        Status = reader.GetString(4),
        Attempts = reader.GetInt32(5),
        EventAt = reader.Get<DateTimeOffset?>(6),
        ReceivedAt = reader.GetFieldValue<DateTimeOffset>(7),
        ProcessedAt = reader.GetFieldValue<DateTimeOffset>(8),
        DurationMs = reader.Get<int?>(9),
        Error = reader.Get<string?>(10),
    };
}
