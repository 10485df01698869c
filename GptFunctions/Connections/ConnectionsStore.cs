using GptFunctions.Data;
using GptFunctions.OAuth;

namespace GptFunctions.Connections;

/// <summary>An app that a person has connected.</summary>
internal sealed record Connection
{
    public required string ClientId { get; init; }
    public required string Name { get; init; }

    /// <summary>Its id is the URL of what it says of itself.</summary>
    public required bool IsOfDocument { get; init; }

    /// <summary>Nobody has checked what it says of itself.</summary>
    public required bool IsUnchecked { get; init; }

    /// <summary>An operator has disabled it.</summary>
    public required bool IsDisabled { get; init; }

    /// <summary>Live sessions; 0: it is not connected right now, and could connect again without asking.</summary>
    public required int Places { get; init; }
    public required DateTimeOffset Since { get; init; }
    public required DateTimeOffset? LastUsed { get; init; }

    /// <summary>Where it was allowed to lead, as a consent names it (<see cref="RedirectUri.Host"/>).</summary>
    public required string[] Hosts { get; init; }
    public required string[] RedirectUris { get; init; }
    public required string[] Scopes { get; init; }

    /// <summary>Calls in the last 30 days.</summary>
    public required long Calls { get; init; }

    /// <summary>How many apps there are in all.</summary>
    public required int Total { get; init; }
}

internal sealed class ConnectionsStore(Database database)
{
    // A consent of an app that nobody has checked is asked for each time, and a disabled one cannot connect: neither is of use without a session.
    private static readonly Sql List = new($"""
        WITH live AS (
            SELECT client_id, granted_scopes, created_at, last_active
            FROM gpt_sessions
            WHERE user_id = @user_id AND revoked_at IS NULL AND expires_at > @now AND (@client_id::text IS NULL OR client_id = @client_id)
        ), session AS (
            SELECT client_id, count(*)::integer AS places, min(created_at) AS since, max(last_active) AS last_used
            FROM live
            GROUP BY client_id
        ), consent AS (
            SELECT client_id, min(granted_at) AS since, array_agg(redirect_host ORDER BY granted_at DESC, redirect_host) AS hosts
            FROM gpt_consents
            WHERE user_id = @user_id AND revoked_at IS NULL AND (@client_id::text IS NULL OR client_id = @client_id)
            GROUP BY client_id
        ), usage AS (
            SELECT client_id, sum(calls)::bigint AS calls, max(last_call_at) AS last_call_at
            FROM client_usage
            WHERE user_id = @user_id AND day > (@now AT TIME ZONE 'UTC')::date - 30 AND (@client_id::text IS NULL OR client_id = @client_id)
            GROUP BY client_id
        )
        SELECT client_id, client.name, client.kind = 'metadata_document', {Client.IsUnchecked}, client.disabled_at IS NOT NULL,
               coalesce(session.places, 0), coalesce(session.since, consent.since),
               CASE WHEN session.places > 0 THEN greatest(session.last_used, usage.last_call_at) END,
               coalesce(consent.hosts, ARRAY[]::text[]), client.redirect_uris,
               ARRAY((SELECT unnest(live.granted_scopes) FROM live WHERE live.client_id = client.client_id
                      UNION
                      SELECT unnest(allowed.scopes)
                      FROM gpt_consents allowed
                      WHERE allowed.user_id = @user_id AND allowed.client_id = client.client_id AND allowed.revoked_at IS NULL
                        AND NOT {Client.IsUnchecked})
                     INTERSECT
                     SELECT unnest(client.scopes)),
               coalesce(usage.calls, 0), count(*) OVER ()::integer
        FROM session
        FULL JOIN consent USING (client_id)
        LEFT JOIN usage USING (client_id)
        JOIN gpt_clients client USING (client_id)
        WHERE session.places > 0 OR NOT ({Client.IsUnchecked} OR client.disabled_at IS NOT NULL)
        ORDER BY 8 DESC NULLS LAST, client_id
        LIMIT @count OFFSET @skipped
        """);

    /// <summary>A person's apps, or the one of this id: the most recently used first.</summary>
    public async Task<IReadOnlyList<Connection>> ListAsync(Guid userId, string? clientId, int skipped, int count, DateTimeOffset now)
    {
        var command = database.LookUp(List)
            .Bind("user_id", userId).Bind("client_id", clientId).Bind("skipped", skipped).Bind("count", count).Bind("now", now);
        return await command.AllAsync(reader => new Connection
        {
            ClientId = reader.GetString(0),
            Name = reader.GetString(1),
            IsOfDocument = reader.GetBoolean(2),
            IsUnchecked = reader.GetBoolean(3),
            IsDisabled = reader.GetBoolean(4),
            Places = reader.GetInt32(5),
            Since = reader.GetFieldValue<DateTimeOffset>(6),
            LastUsed = reader.Get<DateTimeOffset?>(7),
            Hosts = reader.GetFieldValue<string[]>(8),
            RedirectUris = reader.GetFieldValue<string[]>(9),
            Scopes = reader.GetFieldValue<string[]>(10),
            Calls = reader.GetInt64(11),
            Total = reader.GetInt32(12),
        });
    }
}
