using GptFunctions.Tests.Support;
using Npgsql;

namespace GptFunctions.Tests.Connections;

/// <summary>Apps that people have connected, as rows: names and kinds that no registration of ours would let in are among them.</summary>
internal static class ConnectionRows
{
    /// <summary>Texts that a page must show as they are.</summary>
    public static IReadOnlyList<string> Hostile { get; } =
    [
        "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)", "</bdi></h2><h1>Checked by us</h1>", "javascript:alert(1)",
        "&lt;b&gt;&amp;amp;", "\u202Eevil\u202C abc", "\u05E9\u05DC\u05D5\u05DD "
            + "\u0645\u0631\u062D\u0628\u0627", "a\u0000b".Replace('\0', '\u0001'), "line\nend\ttab",
        "zero\u200Bwidth\uFEFF", "\uD83D\uDC69\u200D\uD83D\uDCBB e\u0301\u0301\u0301\u0301", new string('x', 10_000), "{{7*7}}${7*7}", "@(1+1) @code",
    ];

    /// <summary>An app of which a person has sessions, and to which they consented.</summary>
    public static async Task AddAsync(
        TestDatabase database, string user, string name, string? clientId = null, string kind = "public", int sessions = 1, string host = "chatgpt.com",
        string redirectUri = "https://chatgpt.com/aip/g-1/oauth/callback", string scopes = "{jobs:read,applications:write}", int usedDaysAgo = 0)
    {
        await using var command = database.Source.CreateCommand("""
            WITH person AS (
                INSERT INTO users (id, clerk_user_id, email, created_at) VALUES (gen_random_uuid(), $1, $1 || '@example.com', now())
                ON CONFLICT (clerk_user_id) DO UPDATE SET clerk_user_id = excluded.clerk_user_id
                RETURNING id
            ), client AS (
                INSERT INTO gpt_clients (client_id, name, kind, auth_methods, redirect_uris, scopes, require_pkce, created_at,
                                         document_read_at, document_expires_at)
                SELECT $2, $3, $4, '{none}', ARRAY[$7], '{jobs:read,applications:read,applications:write,resume:read}', true, now(), read_at, read_at
                FROM (SELECT CASE WHEN $4 = 'metadata_document' THEN now() END AS read_at) document
                ON CONFLICT (client_id) DO UPDATE SET name = excluded.name
                RETURNING client_id
            ), consent AS (
                INSERT INTO gpt_consents (user_id, client_id, redirect_host, scopes, granted_at)
                SELECT person.id, client_id, $6, $8::text[], now() - interval '40 days' FROM person, client
                ON CONFLICT DO NOTHING
            )
            INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at)
            SELECT gen_random_uuid(), client_id, person.id, $8::text[], $8::text[], 'r', now() - interval '40 days' + n * interval '1 hour',
                   now() - $9 * interval '1 day' - n * interval '1 minute', now() + interval '90 days'
            FROM person, client, generate_series(1, $5) n
            """);
        var id = clientId ?? $"client-{Guid.NewGuid():N}";
        foreach (var value in (object[])[user, id, name, kind, sessions, host, redirectUri, scopes, usedDaysAgo])
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        }

        await command.ExecuteNonQueryAsync();
    }
}
