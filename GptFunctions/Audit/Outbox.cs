namespace GptFunctions.Audit;

/// <summary>
/// The one way to write audit events: a part of the statement that makes the change they tell of, so that both commit together. The relay
/// brings them to the broker.
/// </summary>
internal static class Outbox
{
    /// <summary>One event for each row of <paramref name="rows"/>. Binds an occasion: @now, @correlation_id, @address.</summary>
    /// <param name="type">Of <see cref="AuditEvents"/>, or a parameter that has it.</param>
    /// <param name="rows">A part of the statement, by its name.</param>
    /// <param name="members">Of the payload, as jsonb_build_object takes them, from the columns of the rows; the address is added.</param>
    public static string Tell(string type, string rows, string members) =>
        Write(type[0] == '@' ? type : $"'{type}'", rows, $"jsonb_build_object({members}, 'ip_address', @address)");

    /// <summary>The same for events that have nothing of an occasion; each argument is an expression on the columns of the rows.</summary>
    public static string Write(
        string type, string rows, string payload, string at = "@now", string correlationId = "@correlation_id", string? id = null) => $"""
        INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
        SELECT told_id, {type}, {at}, event_envelope(told_id, {type}, {at}, {correlationId}, {payload})
        FROM (SELECT {id ?? $"uuid_v7({at})"} AS told_id, source.* FROM {rows} source OFFSET 0) told
        """;
}
