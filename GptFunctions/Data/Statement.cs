using Npgsql;

namespace GptFunctions.Data;

/// <summary>One statement on the way of a request, made by <see cref="Database"/>: bound, run once, within its limit.</summary>
internal sealed class Statement(Database database, string sql, TimeSpan limit)
{
    private readonly NpgsqlBatchCommand command = new(sql);

    public NpgsqlParameterCollection Parameters => command.Parameters;

    /// <inheritdoc cref="Data.Parameters.Bind{T}(NpgsqlCommand, T)"/>
    public void Bind<T>(T value) => command.Parameters.Bind(value);

    /// <returns>How many rows were written.</returns>
    public Task<int> ExecuteAsync() => RunAsync((batch, cancellationToken) => batch.ExecuteNonQueryAsync(cancellationToken));

    /// <returns>What <paramref name="read"/> makes of the first row; the default when there is none.</returns>
    public Task<T?> FirstAsync<T>(Func<NpgsqlDataReader, T> read) => RunAsync(async (batch, cancellationToken) =>
    {
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? read(reader) : default;
    });

    /// <returns>What <paramref name="read"/> makes of each row.</returns>
    public Task<List<T>> AllAsync<T>(Func<NpgsqlDataReader, T> read) => RunAsync(async (batch, cancellationToken) =>
    {
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        var rows = new List<T>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(read(reader));
        }

        return rows;
    });

    private Task<T> RunAsync<T>(Func<NpgsqlBatch, CancellationToken, Task<T>> run) => database.RunAsync(limit, async (connection, cancellationToken) =>
    {
        await using var batch = new NpgsqlBatch(connection) { BatchCommands = { command } };
        return await run(batch, cancellationToken);
    });
}
