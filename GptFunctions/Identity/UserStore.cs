using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Identity;

internal sealed class UserStore(Database database)
{
    // DO UPDATE instead of DO NOTHING, because only a touched row is returned.
    private static readonly Sql Ensure = new("""
        INSERT INTO users (id, clerk_user_id, created_at)
        VALUES (@id, @subject, @now)
        ON CONFLICT (clerk_user_id) DO UPDATE SET clerk_user_id = excluded.clerk_user_id
        RETURNING id, user_may_act(users, @now)
        """);

    /// <summary>
    /// A part of a statement, called person: the user who signed in, created when unknown. What Clerk's webhooks wrote is newer than a sign-in, so only
    /// gaps are filled; a deleted account stays deleted and empty. Binds @user_id (of a new user), @subject, @email, @name, @now.
    /// </summary>
    /// <param name="from">Where a FROM clause is needed: nobody is written when it yields no row.</param>
    public static string SignedIn(string from) => $"""
        person AS (
            INSERT INTO users (id, clerk_user_id, email, name, created_at)
            SELECT @user_id, @subject, @email, @name, @now
            {from}
            ON CONFLICT (clerk_user_id) DO UPDATE SET
                email = CASE WHEN users.deleted_at IS NULL THEN coalesce(users.email, excluded.email) END,
                name = CASE WHEN users.deleted_at IS NULL THEN coalesce(users.name, excluded.name) END
            RETURNING id, clerk_user_id, user_may_act(users, @now) AS may_act
        )
        """;

    // Several at once are locked in one order, so that statements never wait in a circle.
    private static readonly Sql Save = new($"""
        WITH item AS MATERIALIZED (
            SELECT unnest(@ids::uuid[]) AS id, unnest(@subjects::text[]) AS subject, unnest(@emails::text[]) AS email, unnest(@names::text[]) AS name,
                   unnest(@update_times::timestamptz[]) AS updated_at, unnest(@banned::boolean[]) AS is_banned, unnest(@locked::boolean[]) AS is_locked,
                   unnest(@lock_ends::timestamptz[]) AS locked_until, unnest(@times::timestamptz[]) AS at,
                   unnest(@correlation_ids::text[]) AS correlation_id, unnest(@addresses::text[]) AS address, unnest(@traceparents::text[]) AS traceparent
        ), saved AS (
            INSERT INTO users (id, clerk_user_id, email, name, source_updated_at, created_at, banned, locked_until, blocked_at)
            SELECT id, subject, email, name, updated_at, at, is_banned IS TRUE,
                   CASE WHEN is_locked THEN locked_until END,
                   CASE WHEN is_banned OR is_locked THEN at END
            FROM item
            ORDER BY subject
            ON CONFLICT (clerk_user_id) DO UPDATE SET
                email = excluded.email,
                name = excluded.name,
                source_updated_at = excluded.source_updated_at,
                (banned, locked_until, blocked_at) = (
                    SELECT coalesce(is_banned, users.banned),
                           CASE WHEN is_locked IS NULL THEN users.locked_until ELSE excluded.locked_until END,
                           CASE
                               WHEN coalesce(is_banned, users.banned) OR coalesce(is_locked, users.locked_until IS NOT NULL)
                                   THEN coalesce(users.blocked_at, at)
                           END
                    FROM item
                    WHERE subject = excluded.clerk_user_id)
            WHERE users.deleted_at IS NULL
            RETURNING clerk_user_id
        ), person AS (
            SELECT item.*
            FROM saved
            JOIN item ON item.subject = saved.clerk_user_id
        )
        {Outbox.Write($"'{AuditEvents.UserUpdated}'", "person", "jsonb_build_object('clerk_user_id', subject, 'ip_address', address)",
            at: "at", correlationId: "correlation_id", traceParent: "traceparent")}
        """);

    private static readonly Sql Delete = new($"""
        WITH person AS (
            INSERT INTO users (id, clerk_user_id, created_at, deleted_at)
            VALUES (@id, @subject, @now, @now)
            ON CONFLICT (clerk_user_id) DO UPDATE SET
                email = NULL,
                name = NULL,
                plan = NULL,
                plan_status = NULL,
                past_due_since = NULL,
                stripe_customer_id = NULL,
                deleted_at = coalesce(users.deleted_at, excluded.deleted_at)
            RETURNING clerk_user_id
        )
        {Outbox.Tell(AuditEvents.UserDeleted, "person", "'clerk_user_id', clerk_user_id")}
        """);

    private static readonly Sql Find = new("""
        SELECT id, plan, plan_status, past_due_since, NOT user_may_act(users, @now)
        FROM users
        WHERE clerk_user_id = @subject AND deleted_at IS NULL
        """);

    private static readonly Sql FindProfile = new("SELECT name, email FROM users WHERE id = @id AND deleted_at IS NULL");

    /// <summary>What the identity provider said of a person; null is what it did not say.</summary>
    public async Task<(string? Name, string? Email)> FindProfileAsync(Guid id) =>
        await database.LookUp(FindProfile).Bind("id", id).FirstAsync(static reader => (reader.Get<string?>(0), reader.Get<string?>(1)));

    /// <summary>Null when the user is unknown or was deleted.</summary>
    public async Task<InternalUser?> FindAsync(string subject, DateTimeOffset now)
    {
        var command = database.LookUp(Find).Bind("subject", subject).Bind("now", now);
        return await command.FirstAsync(
            static reader => new InternalUser(
                reader.GetGuid(0), reader.Get<string?>(1), reader.Get<string?>(2), reader.Get<DateTimeOffset?>(3), reader.GetBoolean(4)));
    }

    /// <summary>The internal id of a Clerk user, who is created when unknown; null when the account was deleted or is blocked.</summary>
    public async Task<Guid?> EnsureAsync(string subject, DateTimeOffset now)
    {
        var command = database.Change(Ensure).Bind("id", Guid.CreateVersion7(now)).Bind("subject", subject).Bind("now", now);
        return await command.FirstAsync<Guid?>(reader => reader.GetBoolean(1) ? reader.GetGuid(0) : null);
    }

    /// <summary>
    /// Adds the statement that takes over what Clerk says of people, each another one, who are created when unknown. A deleted account stays deleted and
    /// empty.
    /// </summary>
    public static void AddSave(NpgsqlBatch batch, List<(ProfileChange Change, Occasion Occasion)> people)
    {
        batch.Add(new Statement(Save)
            .Bind("ids", people.ConvertAll(person => Guid.CreateVersion7(person.Occasion.Now)))
            .Bind("subjects", people.ConvertAll(person => person.Change.Person.Subject))
            .Bind("emails", people.ConvertAll(person => person.Change.Person.Email))
            .Bind("names", people.ConvertAll(person => person.Change.Person.Name))
            .Bind("update_times", people.ConvertAll(person => person.Change.UpdatedAt))
            .Bind("banned", people.ConvertAll(person => person.Change.Block.IsBanned))
            .Bind("locked", people.ConvertAll(person => person.Change.Block.IsLocked))
            .Bind("lock_ends", people.ConvertAll(person => person.Change.Block.LockedUntil ?? DateTimeOffset.MaxValue))
            .Bind("times", people.ConvertAll(person => person.Occasion.Now))
            .Bind("correlation_ids", people.ConvertAll(person => person.Occasion.CorrelationId))
            .Bind("addresses", people.ConvertAll(person => person.Occasion.Address))
            .Bind("traceparents", people.ConvertAll(person => person.Occasion.TraceParent)));
    }

    /// <summary>
    /// Adds the statement that makes a user's row a tombstone, also when the user was never seen: nobody may sign in with what is left of the account.
    /// </summary>
    public static void AddDelete(NpgsqlBatch batch, string subject, Occasion occasion)
    {
        batch.Add(new Statement(Delete).Bind("id", Guid.CreateVersion7(occasion.Now)).Bind("subject", subject).Bind(occasion));
    }
}
