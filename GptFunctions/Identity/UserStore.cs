using GptFunctions.Data;
using Npgsql;

namespace GptFunctions.Identity;

internal sealed class UserStore(NpgsqlDataSource dataSource)
{
    // DO UPDATE instead of DO NOTHING, because only a touched row is returned.
    private const string Ensure = """
        INSERT INTO users (id, clerk_user_id, created_at) VALUES ($1, $2, $3)
        ON CONFLICT (clerk_user_id) DO UPDATE SET clerk_user_id = excluded.clerk_user_id
        RETURNING id, deleted_at IS NOT NULL
        """;

    /// <summary>The internal id of a Clerk user, who is created when unknown; null when the account was deleted.</summary>
    public async Task<Guid?> EnsureAsync(string subject, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(Ensure);
        command.Bind(Guid.CreateVersion7(now));
        command.Bind(subject);
        command.Bind(now);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return reader.GetBoolean(1) ? null : reader.GetGuid(0);
    }
}
