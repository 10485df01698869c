using GptFunctions.Hosting;
using Npgsql;
using NpgsqlTypes;

namespace GptFunctions.Data;

/// <summary>A statement and the values of its parameters, typed: no boxing, no guessing.</summary>
internal class Statement(Sql sql)
{
    private readonly NpgsqlParameter?[] parameters = new NpgsqlParameter?[sql.Names.Count];

    /// <summary>Whether the statement has a parameter of this name.</summary>
    public bool Has(string name) => sql.Find(name) >= 0;

    public void Set(string name, NpgsqlParameter value)
    {
        var place = sql.Find(name);
        parameters[place >= 0 ? place : throw new ArgumentException($"The statement has no @{name}: {sql.Text}", nameof(name))] = value;
    }

    /// <summary>For a batch, whose statements are one round trip and one transaction.</summary>
    /// <exception cref="InvalidOperationException">A parameter has no value.</exception>
    public NpgsqlBatchCommand ToBatchCommand()
    {
        var command = new NpgsqlBatchCommand(sql.Text);
        Fill(command.Parameters);
        return command;
    }

    /// <summary>For a connection of the caller's own, and its transaction.</summary>
    /// <inheritdoc cref="ToBatchCommand"/>
    public NpgsqlCommand On(NpgsqlConnection connection)
    {
        var command = new NpgsqlCommand(sql.Text, connection);
        Fill(command.Parameters);
        return command;
    }

    /// <summary>For whoever may wait as long as it takes, as timers do.</summary>
    /// <inheritdoc cref="ToBatchCommand"/>
    public NpgsqlCommand On(NpgsqlDataSource dataSource)
    {
        var command = dataSource.CreateCommand(sql.Text);
        Fill(command.Parameters);
        return command;
    }

    private void Fill(NpgsqlParameterCollection collection)
    {
        for (var place = 0; place < parameters.Length; place++)
        {
            collection.Add(parameters[place] ?? throw new InvalidOperationException($"@{sql.Names[place]} has no value in: {sql.Text}"));
        }
    }
}

/// <summary>One statement on the way of a request, made by <see cref="Database"/>: bound, run once, within its limit.</summary>
internal sealed class LimitedStatement(Database database, Sql sql, TimeSpan limit) : Statement(sql)
{
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
        await using var batch = new NpgsqlBatch(connection) { BatchCommands = { ToBatchCommand() } };
        return await run(batch, cancellationToken);
    });
}

internal static class Binding
{
    /// <summary>Adds a statement to a batch, whose statements are one round trip and one transaction.</summary>
    public static void Add(this NpgsqlBatch batch, Statement statement) => batch.BatchCommands.Add(statement.ToBatchCommand());

    /// <summary>Gives a parameter its value.</summary>
    /// <exception cref="ArgumentException">The statement has no parameter of this name.</exception>
    public static TStatement Bind<TStatement, T>(this TStatement statement, string name, T value)
        where TStatement : Statement
    {
        statement.Set(name, new NpgsqlParameter<T> { TypedValue = value });
        return statement;
    }

    /// <summary>The same for a text that is JSON.</summary>
    public static TStatement BindJson<TStatement>(this TStatement statement, string name, string json)
        where TStatement : Statement
    {
        statement.Set(name, new NpgsqlParameter<string> { TypedValue = json, NpgsqlDbType = NpgsqlDbType.Jsonb });
        return statement;
    }

    /// <summary>Gives @now, @correlation_id, @address and @traceparent their values, as far as the statement has them.</summary>
    public static TStatement Bind<TStatement>(this TStatement statement, Occasion occasion)
        where TStatement : Statement
    {
        return statement.BindIfUsed("now", occasion.Now).BindIfUsed("correlation_id", occasion.CorrelationId).BindIfUsed("address", occasion.Address)
            .BindIfUsed("traceparent", occasion.TraceParent);
    }

    /// <summary>Gives a parameter its value, if the statement has it.</summary>
    public static TStatement BindIfUsed<TStatement, T>(this TStatement statement, string name, T value)
        where TStatement : Statement => statement.Has(name) ? statement.Bind(name, value) : statement;
}
