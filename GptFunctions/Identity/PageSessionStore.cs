using System.Runtime.InteropServices;
using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;

namespace GptFunctions.Identity;

internal sealed class PageSessionStore(Database database, OutboxSignal outbox)
{
    // The session that the browser had ends. When it was the same person's, its forms, open in another tab, go on to count.
    private static readonly Sql SignIn = new($"""
        WITH {UserStore.SignedIn("")}, former AS (
            DELETE FROM page_sessions
            USING person
            WHERE token_hash = @former_hash
            RETURNING user_id, form_key, expires_at > @now AND last_seen > @now - @idle::interval AS is_live
        ), session AS (
            INSERT INTO page_sessions (token_hash, user_id, form_key, id_token, created_at, last_seen, expires_at)
            SELECT
                @token_hash, person.id,
                coalesce((SELECT former.form_key FROM former WHERE former.user_id = person.id AND former.is_live), @form_key),
                @id_token, @now, @now, @now + @lifetime::interval
            FROM person
            WHERE person.may_act
            RETURNING user_id
        ), event AS (
            {Outbox.Tell(AuditEvents.SignedIn, "(SELECT clerk_user_id FROM person, session)", "'clerk_user_id', clerk_user_id, 'page', @page")}
        )
        SELECT may_act FROM person
        """);

    private static readonly Sql Find = new("""
        UPDATE page_sessions session
        SET last_seen = @now
        FROM users
        WHERE session.token_hash = @token_hash AND session.expires_at > @now AND session.last_seen > @now - @idle::interval
          AND users.id = session.user_id AND user_may_act(users, @now)
        RETURNING users.id, users.clerk_user_id, users.email, users.name, session.form_key
        """);

    private static readonly Sql SignOut = new($"""
        WITH session AS (
            DELETE FROM page_sessions WHERE token_hash = @token_hash RETURNING user_id, id_token
        ), person AS (
            SELECT users.clerk_user_id FROM session JOIN users ON users.id = session.user_id
        ), event AS (
            {Outbox.Tell(AuditEvents.SignedOut, "person", "'clerk_user_id', clerk_user_id")}
        )
        SELECT id_token FROM session
        """);

    /// <summary>A part of a statement that signs people out of our pages, in every browser.</summary>
    /// <param name="condition">On user_id: whom.</param>
    public static string End(string condition) => $"DELETE FROM page_sessions WHERE {condition}";

    /// <summary>Begins a session; false when the account was deleted or is blocked.</summary>
    /// <param name="tokenHash">Of the cookie that the browser gets now.</param>
    /// <param name="formerHash">Of the one that it had; null when it had none.</param>
    /// <param name="page">The path that it is for, for the audit trail.</param>
    /// <param name="idToken">Encrypted; null when there is none.</param>
    public async Task<bool> SignInAsync(
        Person person, byte[] tokenHash, byte[]? formerHash, byte[] formKey, byte[]? idToken, string page, PageLifetimes lifetimes, Occasion occasion)
    {
        var command = database.Change(SignIn)
            .Bind("user_id", Guid.CreateVersion7(occasion.Now)).Bind("subject", person.Subject).Bind("email", person.Email).Bind("name", person.Name)
            .Bind("token_hash", tokenHash).Bind("former_hash", formerHash).Bind("form_key", formKey).Bind("id_token", idToken).Bind("page", page)
            .Bind("idle", lifetimes.Idle).Bind("lifetime", lifetimes.Absolute).Bind(occasion);
        var mayAct = await command.FirstAsync(reader => reader.GetBoolean(0));
        outbox.Raise();
        return mayAct;
    }

    /// <summary>The live session of a cookie, which is used by that: its idle time begins anew. Null when there is none.</summary>
    public async Task<PageSession?> FindAsync(byte[] tokenHash, PageLifetimes lifetimes, DateTimeOffset now)
    {
        var command = database.Change(Find).Bind("token_hash", tokenHash).Bind("idle", lifetimes.Idle).Bind("now", now);
        return await command.FirstAsync(reader => new PageSession(
            reader.GetGuid(0), new Person(reader.GetString(1), reader.Get<string?>(2), reader.Get<string?>(3)), reader.GetFieldValue<byte[]>(4)));
    }

    /// <summary>Ends the session of a cookie, if there is one.</summary>
    /// <returns>Its ID token, encrypted; null when there is none.</returns>
    public async Task<byte[]?> SignOutAsync(byte[] tokenHash, Occasion occasion)
    {
        var idToken = await database.Change(SignOut).Bind("token_hash", tokenHash).Bind(occasion).FirstAsync(reader => reader.Get<byte[]?>(0));
        outbox.Raise();
        return idToken;
    }
}

/// <summary>How long a session on our pages lives: without a page, and at most.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct PageLifetimes(TimeSpan Idle, TimeSpan Absolute);
