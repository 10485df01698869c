using GptFunctions.Data;
using Npgsql;

namespace GptFunctions.Operations;

/// <summary>A person as those on call see them.</summary>
/// <param name="State"><c>active</c>, <c>banned</c>, <c>locked</c> or <c>deleted</c>, as Clerk tells.</param>
public sealed record PersonProfile(
    string Subject, Guid Id, string? Email, string? Name, string State, string? Plan, string? PlanStatus, string? StripeCustomerId,
    DateTimeOffset CreatedAt);

/// <summary>What a person agreed to, and may have taken back.</summary>
public sealed record PersonConsent(
    string ClientId, string ClientName, string RedirectHost, string[] Scopes, DateTimeOffset GrantedAt, DateTimeOffset? RevokedAt);

/// <summary>An order that is or was to be verified.</summary>
public sealed record PersonOrder(
    string OrderId, string? Email, string Status, DateTimeOffset? Deadline, DateTimeOffset CreatedAt, DateTimeOffset? DecidedAt);

/// <summary>An event of the inbox that was about a person, a subscription or an order of theirs.</summary>
public sealed record PersonWebhook(
    string Source, string EventId, string Type, string? Subject, string Status, int Attempts, DateTimeOffset ProcessedAt, string? Error);

/// <summary>Reads what is known of a person, in whatever room it stands: a report, which changes nothing.</summary>
internal sealed class PersonStore(Database database)
{
    private const string Columns = """
        users.clerk_user_id, users.id, users.email, users.name,
        CASE WHEN deleted_at IS NOT NULL THEN 'deleted' WHEN user_may_act(users, now()) THEN 'active' WHEN banned THEN 'banned' ELSE 'locked' END,
        users.plan, users.plan_status, users.stripe_customer_id, users.created_at
        """;

    // By what a mail to support may name: each part is one look into an index, and says how little it finds, also while the server has no statistics of
    // lower(email).
    private static readonly Sql Find = new($"""
        WITH found AS (
            SELECT id FROM users WHERE clerk_user_id = @text
            UNION
            SELECT id FROM users WHERE id = @id
            UNION
            (SELECT id FROM users WHERE lower(email) = lower(@text) LIMIT @count)
            UNION
            SELECT buyer.id
            FROM verification_sessions ordered
            CROSS JOIN LATERAL (SELECT id FROM users WHERE lower(email) = lower(ordered.customer_email) LIMIT @count) buyer
            WHERE ordered.order_id = @text
        )
        SELECT {Columns}
        FROM found
        JOIN users USING (id)
        ORDER BY users.clerk_user_id
        LIMIT @count
        """);

    private static readonly Sql Consents = new("""
        SELECT consent.client_id, client.name, consent.redirect_host, consent.scopes, consent.granted_at, consent.revoked_at
        FROM gpt_consents consent
        JOIN gpt_clients client ON client.client_id = consent.client_id
        WHERE consent.user_id = @id
        ORDER BY consent.revoked_at IS NOT NULL, consent.granted_at DESC, consent.client_id
        LIMIT @count
        """);

    private static readonly Sql Orders = new("""
        SELECT order_id, customer_email, status, deadline, created_at, decided_at
        FROM (SELECT * FROM verification_sessions WHERE order_id = @text
              UNION
              SELECT * FROM verification_sessions WHERE lower(customer_email) = lower(@email)) found
        ORDER BY created_at DESC, order_id
        LIMIT @count
        """);

    // Payments of a subscription are told in an order of their own, under a subject of their own.
    private static readonly Sql Webhooks = new("""
        WITH mine AS (
            SELECT subscription_id FROM stripe_subscriptions WHERE clerk_user_id = @subject
        ), subjects AS (
            SELECT @subject AS subject
            UNION
            SELECT subscription_id FROM mine
            UNION
            SELECT subscription_id || ' payments' FROM mine
            UNION
            SELECT unnest(@orders)
        )
        SELECT event.source, event.event_id, event.type, event.subject, event.status, event.attempts, event.processed_at, event.error
        FROM subjects
        CROSS JOIN LATERAL (
            SELECT *
            FROM webhook_events
            WHERE webhook_events.subject = subjects.subject
            ORDER BY processed_at DESC
            LIMIT @count
        ) event
        ORDER BY event.processed_at DESC, event.event_id
        LIMIT @count
        """);

    private static readonly Sql HasSession = new("""
        SELECT EXISTS (
            SELECT FROM gpt_sessions session
            JOIN users ON users.id = session.user_id
            WHERE session.id = @session_id AND users.clerk_user_id = @subject)
        """);

    /// <summary>Whether a session is, or was, one of a person; that never changes.</summary>
    public Task<bool> HasSessionAsync(string subject, Guid sessionId) =>
        database.LookUp(HasSession).Bind("subject", subject).Bind("session_id", sessionId).FirstAsync(static reader => reader.GetBoolean(0));

    /// <summary>Those whom a Clerk user id, an internal id, an e-mail address or the id of an order names.</summary>
    public async Task<IReadOnlyList<PersonProfile>> FindAsync(string text, int count)
    {
        Guid? id = Guid.TryParse(text, out var parsed) ? parsed : null;
        var find = database.Report(Find).Bind("text", text).Bind("id", id).Bind("count", count);
        return await find.AllAsync(reader => new PersonProfile(
            reader.GetString(0), reader.GetGuid(1), reader.Get<string?>(2), reader.Get<string?>(3), reader.GetString(4), reader.Get<string?>(5),
            reader.Get<string?>(6), reader.Get<string?>(7), reader.GetFieldValue<DateTimeOffset>(8)));
    }

    public async Task<IReadOnlyList<PersonConsent>> ListConsentsAsync(Guid userId, int count)
    {
        var list = database.Report(Consents).Bind("id", userId).Bind("count", count);
        return await list.AllAsync(reader => new PersonConsent(
            reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetFieldValue<string[]>(3), reader.GetFieldValue<DateTimeOffset>(4),
            reader.Get<DateTimeOffset?>(5)));
    }

    /// <summary>By its id, or by the address of whoever ordered, newest first.</summary>
    public async Task<IReadOnlyList<PersonOrder>> ListOrdersAsync(string? orderId, string? email, int count)
    {
        var list = database.Report(Orders).Bind("text", orderId).Bind("email", email).Bind("count", count);
        return await list.AllAsync(reader => new PersonOrder(
            reader.GetString(0), reader.Get<string?>(1), reader.GetString(2), reader.Get<DateTimeOffset?>(3), reader.GetFieldValue<DateTimeOffset>(4),
            reader.Get<DateTimeOffset?>(5)));
    }

    /// <summary>Of a person and of these orders, newest first.</summary>
    public async Task<IReadOnlyList<PersonWebhook>> ListWebhooksAsync(string subject, string[] orders, int count)
    {
        var list = database.Report(Webhooks).Bind("subject", subject).Bind("orders", orders).Bind("count", count);
        return await list.AllAsync(ReadWebhook);
    }

    private static PersonWebhook ReadWebhook(NpgsqlDataReader reader) => new(
        reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.Get<string?>(3), reader.GetString(4), reader.GetInt32(5),
        reader.GetFieldValue<DateTimeOffset>(6), reader.Get<string?>(7));
}
