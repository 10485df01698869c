using System.Buffers;
using System.Text;
using System.Text.Json;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;
using NpgsqlTypes;

namespace GptFunctions.Audit;

/// <summary>Appends audit events that belong to no other change. A change writes its own event in its own statement, so that both commit together.</summary>
internal sealed class AuditLog(Database database, OutboxSignal outbox, TimeProvider clock)
{
    private const string Append = """
        INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
        VALUES ($1, $2, $3, event_envelope($1, $2, $3, $4, $5 || jsonb_build_object('ip_address', $6)))
        """;

    /// <param name="writePayload">Writes the members of the payload; the address is added.</param>
    public async Task AppendAsync(string eventType, RequestOrigin origin, Action<Utf8JsonWriter> writePayload)
    {
        var now = clock.GetUtcNow();
        var command = database.Change(Append);
        command.Bind(Guid.CreateVersion7(now));
        command.Bind(eventType);
        command.Bind(now);
        command.Bind(origin.CorrelationId);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = ToJson(writePayload), NpgsqlDbType = NpgsqlDbType.Jsonb });
        command.Bind(origin.Address);
        await command.ExecuteAsync();
        outbox.Raise();
    }

    private static string ToJson(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
