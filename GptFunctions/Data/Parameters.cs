using Npgsql;

namespace GptFunctions.Data;

internal static class Parameters
{
    /// <summary>Adds a typed positional parameter ($1, $2, ... in the order of the calls): no boxing, no guessing of types.</summary>
    public static void Bind<T>(this NpgsqlCommand command, T value) => command.Parameters.Bind(value);

    /// <inheritdoc cref="Bind{T}(NpgsqlCommand, T)"/>
    public static void Bind<T>(this NpgsqlParameterCollection parameters, T value) => parameters.Add(new NpgsqlParameter<T> { TypedValue = value });

    /// <summary>Adds a statement to a batch; its parameters are bound to what this returns.</summary>
    public static NpgsqlParameterCollection Add(this NpgsqlBatch batch, string sql)
    {
        var command = new NpgsqlBatchCommand(sql);
        batch.BatchCommands.Add(command);
        return command.Parameters;
    }
}

internal static class Columns
{
    /// <summary>A column that may be NULL.</summary>
    public static T? Get<T>(this NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? default : reader.GetFieldValue<T>(ordinal);
}
