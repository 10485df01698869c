using Npgsql;

namespace GptFunctions.Data;

internal static class Columns
{
    /// <summary>A column that may be NULL.</summary>
    public static T? Get<T>(this NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? default : reader.GetFieldValue<T>(ordinal);
}
