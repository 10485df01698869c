using GptFunctions.Tests.Connections;
using GptFunctions.Tests.Support;
using Npgsql;

namespace GptFunctions.Tests.Operations;

/// <summary>
/// Rows in which every field that operations show holds a text that tries to break out of its place, or is 10,000 characters long
/// (as far as there is room: ids are shorter).
/// </summary>
internal static class HostileRows
{
    public const string User = "user_hostile";
    public const string Mail = "twins@example.com";

    public static IReadOnlyList<string> Texts => ConnectionRows.Hostile;

    /// <summary>The id of the client that has the text of this place as its name.</summary>
    public static string ClientOf(int place) => $"hostile-{place + 1}";

    public static async Task AddAsync(TestDatabase database)
    {
        await using var connection = await database.Source.OpenConnectionAsync();
        await using var table = new NpgsqlCommand("CREATE TEMPORARY TABLE hostile (n serial, text text)", connection);
        await table.ExecuteNonQueryAsync();
        await using var texts = new NpgsqlCommand("INSERT INTO hostile (text) SELECT unnest($1::text[])", connection);
        texts.Parameters.Add(new NpgsqlParameter { Value = Texts.ToArray() });
        await texts.ExecuteNonQueryAsync();
        await using var rows = new NpgsqlCommand($$"""
            INSERT INTO users (id, clerk_user_id, email, name, plan, plan_status, stripe_customer_id, created_at)
            SELECT gen_random_uuid(), 'user_' || n || left(text, 1000), '{{Mail}}', text, text, text, NULL, now() FROM hostile
            UNION ALL
            SELECT gen_random_uuid(), '{{User}}', 'whose@example.com', repeat('W', 10000), string_agg(text, '') FILTER (WHERE length(text) < 100), 'active',
                   '<i>cus</i>', now()
            FROM hostile;
            INSERT INTO verification_sessions (order_id, customer_email, status, deadline, created_at)
            SELECT n || left(text, 500), '{{Mail}}', 'pending_verification', now(), now() FROM hostile
            UNION ALL
            SELECT 'whose ' || n || left(text, 500), 'whose@example.com', 'pending_verification', now(), now() FROM hostile;
            INSERT INTO gpt_clients (client_id, name, kind, auth_methods, redirect_uris, scopes, require_pkce, created_at)
            SELECT 'hostile-' || n, text, 'registered', '{none}', ARRAY['https://a.example/' || text], ARRAY[text], true,
                   now() + n * interval '1 s'
            FROM hostile;
            INSERT INTO gpt_consents (user_id, client_id, redirect_host, scopes, granted_at)
            SELECT users.id, 'hostile-' || n, text, ARRAY[text], now() FROM hostile, users WHERE clerk_user_id = '{{User}}';
            INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at)
            SELECT gen_random_uuid(), 'hostile-' || n, users.id, ARRAY[text], ARRAY[text], 'r', now(), now(), now() + interval '90 days'
            FROM hostile, users
            WHERE clerk_user_id = '{{User}}';
            INSERT INTO webhook_events (source, event_id, type, subject, status, attempts, received_at, processed_at, error, payload)
            SELECT 'clerk', n || left(text, 500), text, '{{User}}', 'failed', 3, now(), now(), text, '{}' FROM hostile;
            INSERT INTO gpt_oauth_events (event_id, event_type, clerk_user_id, client_id, session_id, correlation_id, metadata, source, occurred_at)
            SELECT gen_random_uuid(), text, '{{User}}', text, text, text, jsonb_build_object('reason', text), 'test', now() + n * interval '1 s' FROM hostile;
            """, connection);
        await rows.ExecuteNonQueryAsync();
    }
}
