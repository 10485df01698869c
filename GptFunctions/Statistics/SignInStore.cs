using GptFunctions.Data;
using GptFunctions.Hosting;

namespace GptFunctions.Statistics;

/// <summary>How far an authorization request came.</summary>
internal enum SignInReached
{
    /// <summary>It was refused at once, or came back to nothing: no request was begun.</summary>
    Refused,
    Asked,
    SignedIn,
    Consented,
    CodeDelivered,
    Exchanged,
    FirstCall,
}

/// <summary>One authorization request as operators see it; of one that was refused at once <see cref="Sent"/> says what came.</summary>
internal sealed record SignInEntry
{
    public required Guid Id { get; init; }
    public required DateTimeOffset At { get; init; }
    public required SignInReached Reached { get; init; }
    public string? ClientId { get; init; }
    public string? ClientName { get; init; }
    public string[] ClientRedirectUris { get; init; } = [];
    public string? RedirectUri { get; init; }
    public string? Subject { get; init; }
    public DateTimeOffset? SignedInAt { get; init; }
    public DateTimeOffset? ShownAt { get; init; }
    public DateTimeOffset? ConsentedAt { get; init; }
    public bool? WasAsked { get; init; }
    public DateTimeOffset? DeliveredAt { get; init; }
    public DateTimeOffset? ExchangedAt { get; init; }
    public Guid? SessionId { get; init; }
    public DateTimeOffset? CalledAt { get; init; }
    public DateTimeOffset? StoppedAt { get; init; }

    /// <summary>A reason of docs/refusals.md.</summary>
    public string? StoppedBy { get; init; }

    /// <summary>Of one that was refused at once: <c>/oauth/authorize</c>, ...</summary>
    public string? Endpoint { get; init; }
    public string? CorrelationId { get; init; }
    public string? UserAgent { get; init; }

    /// <summary>A JSON object, see <see cref="SentParameters"/>.</summary>
    public string? Sent { get; init; }

    /// <summary>Why the client's first token request after the code was refused before anybody looked at the code; null when none was.</summary>
    public string? TokenRefusal { get; init; }
}

/// <summary>Which authorization requests to list; null is any.</summary>
/// <param name="Subject">A Clerk user id.</param>
/// <param name="After">The last id of the page before: the list goes from new to old.</param>
internal sealed record SignInFilter(
    string? ClientId = null, string? Subject = null, SignInReached? Reached = null, DateTimeOffset? From = null, DateTimeOffset? To = null,
    Guid? After = null);

internal sealed class SignInStore(Database database)
{
    private static readonly Guid Highest = new("ffffffff-ffff-ffff-ffff-ffffffffffff");

    // A statement for each set of conditions: one with "or" in it would have a plan that is good for none of them. So would one with the step as a
    // parameter: the planner would go through all of them to find those of a step that is rare.
    private static readonly Dictionary<(bool HasClient, bool HasUser, SignInReached? Reached), Sql> Lists = new(
        from hasClient in (bool[])[false, true]
        from hasUser in (bool[])[false, true]
        from reached in (SignInReached?[])[null, .. Enum.GetValues<SignInReached>()]
        select KeyValuePair.Create((hasClient, hasUser, reached), List(hasClient, hasUser, reached)));

    /// <summary>The newest of those that match, at most so many.</summary>
    public Task<List<SignInEntry>> ReadAsync(SignInFilter filter, int limit)
    {
        var before = filter.To is { } to ? UuidTime.Lowest(to) : Highest;
        return database.LookUp(Lists[(filter.ClientId is not null, filter.Subject is not null, filter.Reached)])
            .BindIfUsed("client_id", filter.ClientId).BindIfUsed("subject", filter.Subject)
            .Bind("from", filter.From is { } from ? UuidTime.Lowest(from) : Guid.Empty)
            .Bind("before", filter.After is { } after && after.CompareTo(before) < 0 ? after : before).Bind("limit", limit)
            .AllAsync(static row => new SignInEntry
            {
                Id = row.GetGuid(0),
                At = row.GetFieldValue<DateTimeOffset>(1),
                Reached = (SignInReached)row.GetInt16(2),
                ClientId = row.Get<string?>(3),
                RedirectUri = row.Get<string?>(4),
                Subject = row.Get<string?>(5),
                SignedInAt = row.Get<DateTimeOffset?>(6),
                ShownAt = row.Get<DateTimeOffset?>(7),
                ConsentedAt = row.Get<DateTimeOffset?>(8),
                WasAsked = row.Get<bool?>(9),
                DeliveredAt = row.Get<DateTimeOffset?>(10),
                ExchangedAt = row.Get<DateTimeOffset?>(11),
                SessionId = row.Get<Guid?>(12),
                CalledAt = row.Get<DateTimeOffset?>(13),
                StoppedAt = row.Get<DateTimeOffset?>(14),
                StoppedBy = row.Get<string?>(15),
                Endpoint = row.Get<string?>(16),
                CorrelationId = row.Get<string?>(17),
                UserAgent = row.Get<string?>(18),
                Sent = row.Get<string?>(19),
                ClientName = row.Get<string?>(20),
                ClientRedirectUris = row.Get<string[]?>(21) ?? [],
                TokenRefusal = row.Get<string?>(22),
            });
    }

    // What was refused at once is among the newest refusals only; what was refused later has a row of its own, and its refusal is told there.
    private static Sql List(bool hasClient, bool hasUser, SignInReached? reached)
    {
        var started = $"""
            SELECT id, at, step, client_id, redirect_uri, clerk_user_id, signed_in_at, shown_at, consented_at, was_asked, delivered_at, exchanged_at,
                   session_id, called_at, stopped_at, stopped_by, NULL AS endpoint, NULL AS correlation_id, NULL AS user_agent, NULL AS sent
            FROM sign_ins
            WHERE id < @before AND id >= @from{(hasClient ? " AND client_id = @client_id" : "")}{(hasUser ? " AND clerk_user_id = @subject" : "")}
                {(reached is { } step ? $"AND step = {(int)step}" : "")}
            ORDER BY id DESC
            LIMIT @limit
            """;
        var refused = $"""
            SELECT id, at, 0::smallint AS step, client_id, sent ->> 'redirect_uri' AS redirect_uri, NULL AS clerk_user_id, NULL::timestamptz AS signed_in_at,
                   NULL::timestamptz AS shown_at, NULL::timestamptz AS consented_at, NULL::boolean AS was_asked, NULL::timestamptz AS delivered_at,
                   NULL::timestamptz AS exchanged_at, NULL::uuid AS session_id, NULL::timestamptz AS called_at, at AS stopped_at, reason AS stopped_by,
                   endpoint, correlation_id, user_agent, sent::text AS sent
            FROM refused_requests
            WHERE id < @before AND id >= @from{(hasClient ? " AND client_id = @client_id" : "")}
              AND endpoint IN ('/oauth/authorize', '/oauth/authorize/decision', '/oauth/callback', '/oauth/consent')
              AND reason NOT IN ('sign_in_denied', 'sign_in_failed', 'consent_denied', 'account_closed')
            ORDER BY id DESC
            LIMIT @limit
            """;
        var both = reached is SignInReached.Refused && !hasUser ? refused
            : hasUser || reached is not null ? started
            : $"({started}) UNION ALL ({refused}) ORDER BY id DESC LIMIT @limit";
        return new Sql($"""
            SELECT page.*, client.name, client.redirect_uris, token.reason
            FROM ({both}) page
            LEFT JOIN gpt_clients client ON client.client_id = page.client_id
            LEFT JOIN LATERAL (
                SELECT refused.reason
                FROM refused_requests refused
                WHERE page.step = {(int)SignInReached.CodeDelivered} AND refused.client_id = page.client_id AND refused.endpoint = '/oauth/token'
                  AND refused.at >= page.delivered_at AND refused.at < page.delivered_at + interval '2 minutes'
                  AND refused.sent ->> 'grant_type' = 'authorization_code'
                ORDER BY refused.at
                LIMIT 1) token ON true
            ORDER BY page.id DESC
            """);
    }
}
