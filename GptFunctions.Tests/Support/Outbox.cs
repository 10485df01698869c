using System.Text.Json;

namespace GptFunctions.Tests.Support;

/// <summary>Reads the audit events that wait in the outbox.</summary>
internal static class Outbox
{
    /// <summary>The envelopes of one type whose payload has this value in this member, oldest first.</summary>
    public static async Task<IReadOnlyList<JsonElement>> EventsAsync(this TestDatabase database, string type, string member, string value)
    {
        await using var command = database.Source.CreateCommand(
            "SELECT envelope::text FROM outbox_messages WHERE routing_key = $1 AND envelope -> 'payload' ->> $2 = $3 ORDER BY event_id");
        foreach (var text in (string[])[type, member, value])
        {
            command.Parameters.Add(new Npgsql.NpgsqlParameter<string> { TypedValue = text });
        }

        await using var reader = await command.ExecuteReaderAsync();
        var events = new List<JsonElement>();
        while (await reader.ReadAsync())
        {
            events.Add(JsonElement.Parse(reader.GetString(0)));
        }

        return events;
    }

    /// <summary>
    /// The statuses of a user's audited calls, in the order in which they ended. Results are written behind the caller's back: this waits for so
    /// many.
    /// </summary>
    public static async Task<List<int>> ActionStatusesAsync(this TestDatabase database, string subject, int count)
    {
        int[] statuses = [];
        await Wait.UntilAsync(async () => (statuses = (await database.ScalarAsync<int[]>("""
            SELECT coalesce(array_agg((envelope #>> '{payload,status}')::int ORDER BY position), '{}') FROM outbox_messages
            WHERE routing_key LIKE 'gpt.action.%.result' AND envelope #>> '{payload,clerk_user_id}' = $1
            """, subject))!).Length >= count);
        return [.. statuses];
    }

    /// <summary>How many events of one type name this session.</summary>
    public static async Task<int> CountOfSessionAsync(this TestDatabase database, string type, Guid sessionId) =>
        (await database.EventsAsync(type, "session_id", sessionId.ToString())).Count;
}
