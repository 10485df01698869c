using GptFunctions.Data;

namespace GptFunctions.Sessions;

/// <summary>A session that nobody ended, as operators see it; it may have run out.</summary>
internal sealed record OpenSession(
    Guid Id, string Subject, string ClientId, string ClientName, string[] Scopes, DateTimeOffset CreatedAt, DateTimeOffset LastActive,
    DateTimeOffset ExpiresAt);

/// <summary>Looks sessions up for those on call.</summary>
internal sealed class SessionSearchStore(Database database)
{
    // Names are looked up for the rows of one page only.
    private static readonly FilteredSql Search = new(
        """
        SELECT session.id, users.clerk_user_id, session.client_id, client.name, session.granted_scopes, session.created_at, session.last_active,
               session.expires_at
        FROM (SELECT *
              FROM gpt_sessions session
              WHERE session.revoked_at IS NULL {filters}
              ORDER BY session.id DESC
              LIMIT @count) session
        JOIN users ON users.id = session.user_id
        JOIN gpt_clients client ON client.client_id = session.client_id
        ORDER BY session.id DESC
        """,
        ["session.user_id = (SELECT id FROM users WHERE clerk_user_id = @subject)", "session.client_id = @client_id", "session.id < @after"]);

    /// <summary>Sessions of anybody that nobody ended, newest first; of one person or one client where these are named.</summary>
    public async Task<IReadOnlyList<OpenSession>> SearchAsync(string? subject, string? clientId, Guid? after, int count)
    {
        var search = database.Report(Search.With(subject is not null, clientId is not null, after is not null))
            .BindIfUsed("subject", subject).BindIfUsed("client_id", clientId).BindIfUsed("after", after ?? default).Bind("count", count);
        return await search.AllAsync(reader => new OpenSession(
            reader.GetGuid(0), reader.GetString(1), reader.GetString(2), reader.GetString(3), reader.GetFieldValue<string[]>(4),
            reader.GetFieldValue<DateTimeOffset>(5), reader.GetFieldValue<DateTimeOffset>(6), reader.GetFieldValue<DateTimeOffset>(7)));
    }
}
