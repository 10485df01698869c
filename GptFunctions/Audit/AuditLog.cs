using System.Buffers;
using System.Text;
using System.Text.Json;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;
using NpgsqlTypes;

namespace GptFunctions.Audit;

/// <summary>Appends audit events that belong to no other change. A change writes its own event in its own statement, so that both commit together.</summary>
internal sealed class AuditLog(Database database, OutboxSignal outbox)
{
    private static readonly Sql Append = new(
        Outbox.Write("@event_type", "(VALUES (1))", "@payload || jsonb_build_object('ip_address', @address)"));

    /// <param name="writePayload">Writes the members of the payload; the address is added.</param>
    public async Task AppendAsync(string eventType, Occasion occasion, Action<Utf8JsonWriter> writePayload)
    {
        await database.Change(Append)
            .Bind("event_type", eventType).BindJson("payload", ToJson(writePayload)).Bind(occasion).ExecuteAsync();
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
