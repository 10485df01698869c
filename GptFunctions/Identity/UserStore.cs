using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Identity;

internal sealed class UserStore(Database database)
{
    // DO UPDATE instead of DO NOTHING, because only a touched row is returned.
    private const string Ensure = """
        INSERT INTO users (id, clerk_user_id, created_at) VALUES ($1, $2, $3)
        ON CONFLICT (clerk_user_id) DO UPDATE SET clerk_user_id = excluded.clerk_user_id
        RETURNING id, user_may_act(users, $3)
        """;

    private const string Save = $"""
        WITH person AS (
            INSERT INTO users (id, clerk_user_id, email, name, source_updated_at, created_at, banned, locked_until, blocked_at)
            VALUES ($1, $2, $3, $4, $5, $6, $10 IS TRUE, CASE WHEN $11 THEN $12 END, CASE WHEN $10 OR $11 THEN $6 END)
            ON CONFLICT (clerk_user_id) DO UPDATE SET
                email = excluded.email, name = excluded.name, source_updated_at = excluded.source_updated_at,
                banned = coalesce($10, users.banned),
                locked_until = CASE WHEN $11 IS NULL THEN users.locked_until ELSE excluded.locked_until END,
                blocked_at = CASE WHEN coalesce($10, users.banned) OR coalesce($11, users.locked_until IS NOT NULL) THEN coalesce(users.blocked_at, $6) END
            WHERE users.deleted_at IS NULL
            RETURNING clerk_user_id
        )
        INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
        SELECT $7, '{AuditEvents.UserUpdated}', $6, event_envelope($7, '{AuditEvents.UserUpdated}', $6, $8, jsonb_build_object('clerk_user_id', clerk_user_id, 'ip_address', $9)) FROM person
        """;

    private const string Delete = $"""
        WITH person AS (
            INSERT INTO users (id, clerk_user_id, created_at, deleted_at) VALUES ($1, $2, $3, $3)
            ON CONFLICT (clerk_user_id) DO UPDATE SET
                email = NULL, name = NULL, plan = NULL, plan_status = NULL, stripe_customer_id = NULL, deleted_at = coalesce(users.deleted_at, excluded.deleted_at)
            RETURNING clerk_user_id
        )
        INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
        SELECT $4, '{AuditEvents.UserDeleted}', $3, event_envelope($4, '{AuditEvents.UserDeleted}', $3, $5, jsonb_build_object('clerk_user_id', clerk_user_id, 'ip_address', $6)) FROM person
        """;

    private const string Find = "SELECT id, plan, plan_status, NOT user_may_act(users, $2) FROM users WHERE clerk_user_id = $1 AND deleted_at IS NULL";

    /// <summary>Null when the user is unknown or was deleted.</summary>
    public async Task<InternalUser?> FindAsync(string subject, DateTimeOffset now)
    {
        var command = database.LookUp(Find);
        command.Bind(subject);
        command.Bind(now);
        return await command.FirstAsync(
            static reader => new InternalUser(reader.GetGuid(0), reader.Get<string?>(1), reader.Get<string?>(2), reader.GetBoolean(3)));
    }

    /// <summary>The internal id of a Clerk user, who is created when unknown; null when the account was deleted or is blocked.</summary>
    public async Task<Guid?> EnsureAsync(string subject, DateTimeOffset now)
    {
        var command = database.Change(Ensure);
        command.Bind(Guid.CreateVersion7(now));
        command.Bind(subject);
        command.Bind(now);
        return await command.FirstAsync<Guid?>(reader => reader.GetBoolean(1) ? reader.GetGuid(0) : null);
    }

    /// <summary>
    /// Adds the statement that takes over what Clerk says of a person, who is created when unknown. A deleted account stays deleted and empty.
    /// </summary>
    /// <param name="updatedAt">When Clerk's record changed, by its own clock.</param>
    public static void AddSave(NpgsqlBatch batch, Person person, Block block, DateTimeOffset updatedAt, RequestOrigin origin, DateTimeOffset now)
    {
        var parameters = batch.Add(Save);
        parameters.Bind(Guid.CreateVersion7(now));
        parameters.Bind(person.Subject);
        parameters.Bind(person.Email);
        parameters.Bind(person.Name);
        parameters.Bind(updatedAt);
        parameters.Bind(now);
        parameters.Bind(Guid.CreateVersion7(now));
        parameters.Bind(origin.CorrelationId);
        parameters.Bind(origin.Address);
        parameters.Bind(block.IsBanned);
        parameters.Bind(block.IsLocked);
        parameters.Bind(block.LockedUntil ?? DateTimeOffset.MaxValue);
    }

    /// <summary>
    /// Adds the statement that makes a user's row a tombstone, also when the user was never seen: nobody may sign in with what is left of the account.
    /// </summary>
    public static void AddDelete(NpgsqlBatch batch, string subject, RequestOrigin origin, DateTimeOffset now)
    {
        var parameters = batch.Add(Delete);
        parameters.Bind(Guid.CreateVersion7(now));
        parameters.Bind(subject);
        parameters.Bind(now);
        parameters.Bind(Guid.CreateVersion7(now));
        parameters.Bind(origin.CorrelationId);
        parameters.Bind(origin.Address);
    }
}
