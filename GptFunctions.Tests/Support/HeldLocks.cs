using Npgsql;

namespace GptFunctions.Tests.Support;

/// <summary>An open transaction of the test's own, so that the app's statements queue up behind it in a known order.</summary>
internal sealed class HeldLocks(NpgsqlConnection connection, NpgsqlTransaction transaction) : IAsyncDisposable
{
    public Task LetGoAsync() => transaction.CommitAsync();

    public async ValueTask DisposeAsync()
    {
        await transaction.DisposeAsync();
        await connection.DisposeAsync();
    }
}

internal static class HeldLocksExtensions
{
    /// <summary>Runs a statement and keeps its transaction open.</summary>
    public static async Task<HeldLocks> HoldAsync(this TestDatabase database, string sql)
    {
        var connection = await database.Source.OpenConnectionAsync();
        var transaction = await connection.BeginTransactionAsync();
        await using var command = new NpgsqlCommand(sql, connection, transaction);
        await command.ExecuteNonQueryAsync();
        return new HeldLocks(connection, transaction);
    }

    /// <summary>Waits until this many statements wait for a lock in this database.</summary>
    public static Task WaitForBlockedAsync(this TestDatabase database, int count) => Wait.UntilAsync(async () =>
        await database.ScalarAsync<long>("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") >= count);
}
