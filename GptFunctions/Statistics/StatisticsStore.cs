using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;
using NpgsqlTypes;

namespace GptFunctions.Statistics;

/// <summary>This process, as <c>replicas</c> names it.</summary>
internal sealed record Replica(Guid Instance, string Name, string Role, string Version, bool IsSafeMode, DateTimeOffset StartedAt);

/// <summary>What is written at once, and once: under its number it takes effect no second time.</summary>
internal sealed record StatisticsBatch(long Number)
{
    public required Dictionary<HourlyCount, long> Counts { get; init; }
    public required Dictionary<RefusalKind, long> Refusals { get; init; }
    public required RefusedRequest[] Refused { get; init; }
    public required Dictionary<Usage, Calls> Usage { get; init; }
    public required SignInNews[] SignIns { get; init; }

    public bool IsEmpty => Counts.Count == 0 && Refusals.Count == 0 && Refused.Length == 0 && Usage.Count == 0 && SignIns.Length == 0;
}

internal sealed class StatisticsStore(Database database)
{
    /// <summary>How many refusals are kept one by one.</summary>
    public const int MostRefused = 10_000;

    /// <summary>How many sign-ins are kept of which nobody knows more than that they were asked for.</summary>
    public const int MostAsked = 10_000;

    // Rows come in the order of their keys, so that processes that add to the same ones wait for each other and never in a circle. An answer that was lost
    // leaves the batch's number in the replica's row: then nothing happens the second time.
    private static readonly Sql Write = new("""
        WITH fresh AS (
            INSERT INTO replicas (instance, name, role, version, safe_mode, started_at, seen_at, batch)
            VALUES (@instance, @name, @role, @version, @safe_mode, @started_at, @now, @batch)
            ON CONFLICT (instance) DO UPDATE SET seen_at = excluded.seen_at, safe_mode = excluded.safe_mode, batch = excluded.batch
            WHERE replicas.batch < excluded.batch
            RETURNING 1
        ), counts AS (
            INSERT INTO hourly_counts AS known (hour, kind, outcome, count)
            SELECT news.* FROM unnest(@count_hours, @kinds, @outcomes, @counts) AS news (hour, kind, outcome, count), fresh
            ORDER BY 1, 2, 3
            ON CONFLICT (hour, kind, outcome) DO UPDATE SET count = known.count + excluded.count
        ), refusals AS (
            INSERT INTO refusals AS known (hour, endpoint, reason, client_id, count)
            SELECT news.* FROM unnest(@refusal_hours, @endpoints, @reasons, @clients, @refusals) AS news (hour, endpoint, reason, client_id, count), fresh
            ORDER BY 1, 2, 3, 4
            ON CONFLICT (hour, endpoint, reason, client_id) DO UPDATE SET count = known.count + excluded.count
        ), usage AS (
            INSERT INTO client_usage AS known (client_id, user_id, day, calls, last_call_at)
            SELECT news.* FROM unnest(@usage_clients, @users, @days, @calls, @last_calls) AS news (client_id, user_id, day, calls, last_call_at), fresh
            ORDER BY 2, 1, 3
            ON CONFLICT (user_id, client_id, day) DO UPDATE SET
                calls = known.calls + excluded.calls, last_call_at = greatest(known.last_call_at, excluded.last_call_at)
        )
        SELECT count(*) FROM fresh
        """);

    private static readonly Sql WriteRefused = new("""
        WITH written AS (
            INSERT INTO refused_requests
                (id, at, method, endpoint, action, status, reason, client_id, session_id, correlation_id, user_agent, sent)
            SELECT * FROM unnest(@ids, @ats, @methods, @endpoints, @actions, @statuses, @reasons, @clients, @sessions, @correlation_ids, @agents, @sent)
            ON CONFLICT (id) DO NOTHING
            RETURNING number
        )
        DELETE FROM refused_requests
        WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM refused_requests
            WHERE number <= (SELECT max(number) FROM written) - @most
            LIMIT 1000
            FOR UPDATE SKIP LOCKED))
        """);

    // Steps come from several processes, in any order; the first time that is known of each one stays.
    private static readonly Sql WriteSignIns = new("""
        INSERT INTO sign_ins AS known
            (id, at, client_id, redirect_uri, clerk_user_id, signed_in_at, shown_at, consented_at, was_asked, delivered_at, exchanged_at, session_id,
             stopped_at, stopped_by)
        SELECT * FROM unnest(
            @ids, @ats, @clients, @redirect_uris, @subjects, @signed_in, @shown, @consented, @asked, @delivered, @exchanged, @sessions, @stopped, @reasons)
        ORDER BY 1
        ON CONFLICT (id) DO UPDATE SET
            redirect_uri = coalesce(nullif(known.redirect_uri, ''), excluded.redirect_uri),
            clerk_user_id = coalesce(known.clerk_user_id, excluded.clerk_user_id),
            signed_in_at = coalesce(known.signed_in_at, excluded.signed_in_at),
            shown_at = coalesce(known.shown_at, excluded.shown_at),
            consented_at = coalesce(known.consented_at, excluded.consented_at),
            was_asked = coalesce(known.was_asked, excluded.was_asked),
            delivered_at = coalesce(known.delivered_at, excluded.delivered_at),
            exchanged_at = coalesce(known.exchanged_at, excluded.exchanged_at),
            session_id = coalesce(known.session_id, excluded.session_id),
            stopped_at = coalesce(excluded.stopped_at, known.stopped_at),
            stopped_by = coalesce(excluded.stopped_by, known.stopped_by)
        """);

    // Of what anybody can cause, the newest.
    private static readonly Sql TrimSignIns = new("""
        DELETE FROM sign_ins
        WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM sign_ins WHERE step = 1 ORDER BY id DESC OFFSET @most LIMIT 10000 FOR UPDATE SKIP LOCKED))
        """);

    private static readonly Sql WriteFirstCalls = new("""
        WITH called AS (
            SELECT * FROM unnest(@sessions, @ats) AS call (session_id, at)
        ), noted AS (
            UPDATE sign_ins
            SET called_at = called.at
            FROM called
            WHERE sign_ins.session_id = called.session_id AND sign_ins.called_at IS NULL
        )
        SELECT called.session_id
        FROM called
        WHERE NOT EXISTS (SELECT FROM sign_ins WHERE sign_ins.session_id = called.session_id)
        """);

    private static readonly Sql Leave = new("DELETE FROM replicas WHERE instance = @instance");

    /// <summary>Says that this process lives, and writes what it has counted; all of it or nothing.</summary>
    public Task WriteAsync(Replica replica, StatisticsBatch batch, DateTimeOffset now) =>
        database.RunAsync(Database.ChangeLimit, async (connection, cancellationToken) =>
        {
            await using var statements = new NpgsqlBatch(connection);
            statements.Add(Counted(replica, batch, now));
            if (batch.Refused.Length > 0)
            {
                statements.Add(Refused(batch.Refused));
            }

            if (batch.SignIns.Length > 0)
            {
                statements.Add(SignIns(batch.SignIns));
            }

            return await statements.ExecuteNonQueryAsync(cancellationToken);
        });

    /// <summary>Notes when sessions were used first.</summary>
    /// <returns>Those of which no sign-in is known.</returns>
    public async Task<HashSet<Guid>> WriteFirstCallsAsync(IReadOnlyCollection<FirstCall> calls) =>
        [.. await database.Change(WriteFirstCalls)
            .Bind("sessions", calls.Select(call => call.SessionId).ToArray()).Bind("ats", calls.Select(call => call.At).ToArray())
            .AllAsync(static reader => reader.GetGuid(0))];

    /// <summary>Keeps <see cref="MostAsked"/> of the sign-ins that were only asked for.</summary>
    public Task TrimSignInsAsync() => database.Change(TrimSignIns).Bind("most", MostAsked).ExecuteAsync();

    /// <summary>This process ends as it should.</summary>
    public Task LeaveAsync(Replica replica) => database.Change(Leave).Bind("instance", replica.Instance).ExecuteAsync();

    private static Statement Counted(Replica replica, StatisticsBatch batch, DateTimeOffset now)
    {
        var (counts, refusals, usage) = (batch.Counts.Keys, batch.Refusals.Keys, batch.Usage.Keys);
        return new Statement(Write)
            .Bind("instance", replica.Instance).Bind("name", replica.Name).Bind("role", replica.Role).Bind("version", replica.Version)
            .Bind("safe_mode", replica.IsSafeMode).Bind("started_at", replica.StartedAt).Bind("now", now).Bind("batch", batch.Number)
            .Bind("count_hours", counts.Select(count => count.Hour).ToArray()).Bind("kinds", counts.Select(count => count.Kind).ToArray())
            .Bind("outcomes", counts.Select(count => count.Outcome).ToArray()).Bind("counts", batch.Counts.Values.ToArray())
            .Bind("refusal_hours", refusals.Select(kind => kind.Hour).ToArray()).Bind("endpoints", refusals.Select(kind => kind.Endpoint).ToArray())
            .Bind("reasons", refusals.Select(kind => kind.Reason.Text()).ToArray()).Bind("clients", refusals.Select(kind => kind.ClientId).ToArray())
            .Bind("refusals", batch.Refusals.Values.ToArray())
            .Bind("usage_clients", usage.Select(one => one.ClientId).ToArray()).Bind("users", usage.Select(one => one.UserId).ToArray())
            .Bind("days", usage.Select(one => one.Day).ToArray()).Bind("calls", batch.Usage.Values.Select(calls => calls.Count).ToArray())
            .Bind("last_calls", batch.Usage.Values.Select(calls => calls.LastAt).ToArray());
    }

    private static Statement Refused(RefusedRequest[] requests)
    {
        var statement = new Statement(WriteRefused)
            .Bind("ids", requests.Select(one => one.Id).ToArray()).Bind("ats", requests.Select(one => one.At).ToArray())
            .Bind("methods", requests.Select(one => one.Method).ToArray()).Bind("endpoints", requests.Select(one => one.Endpoint).ToArray())
            .Bind("actions", requests.Select(one => one.Action).ToArray()).Bind("statuses", requests.Select(one => one.Status).ToArray())
            .Bind("reasons", requests.Select(one => one.Why.Reason.Text()).ToArray()).Bind("clients", requests.Select(one => one.Why.ClientId).ToArray())
            .Bind("sessions", requests.Select(one => one.Why.SessionId).ToArray())
            .Bind("correlation_ids", requests.Select(one => one.CorrelationId).ToArray()).Bind("agents", requests.Select(one => one.UserAgent).ToArray())
            .Bind("most", (long)MostRefused);
        statement.Set("sent", new NpgsqlParameter<string[]>
        {
            TypedValue = [.. requests.Select(one => one.Sent)],
            NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Jsonb,
        });
        return statement;
    }

    private static Statement SignIns(SignInNews[] news) => new Statement(WriteSignIns)
        .Bind("ids", news.Select(one => one.Id).ToArray()).Bind("ats", news.Select(one => one.At).ToArray())
        .Bind("clients", news.Select(one => one.ClientId).ToArray()).Bind("redirect_uris", news.Select(one => one.RedirectUri ?? "").ToArray())
        .Bind("subjects", news.Select(one => one.Subject).ToArray()).Bind("signed_in", news.Select(one => one.SignedInAt).ToArray())
        .Bind("shown", news.Select(one => one.ShownAt).ToArray()).Bind("consented", news.Select(one => one.ConsentedAt).ToArray())
        .Bind("asked", news.Select(one => one.WasAsked).ToArray()).Bind("delivered", news.Select(one => one.DeliveredAt).ToArray())
        .Bind("exchanged", news.Select(one => one.ExchangedAt).ToArray()).Bind("sessions", news.Select(one => one.SessionId).ToArray())
        .Bind("stopped", news.Select(one => one.StoppedAt).ToArray()).Bind("reasons", news.Select(one => one.StoppedBy).ToArray());
}
