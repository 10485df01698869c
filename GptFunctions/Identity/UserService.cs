using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Identity;

internal sealed class UserService(UserStore store, TimeProvider clock)
{
    /// <summary>The internal id of a Clerk user, who is created when unknown; null when the account was deleted or is blocked.</summary>
    public Task<Guid?> EnsureAsync(string subject) => store.EnsureAsync(subject, clock.GetUtcNow());

    /// <summary>Adds the statement that takes over what Clerk says of a person, who is created when unknown. A deleted account stays deleted and empty.</summary>
    /// <param name="updatedAt">When Clerk's record changed, by its own clock.</param>
    public void Save(NpgsqlBatch batch, Person person, Block block, DateTimeOffset updatedAt, RequestOrigin origin) =>
        UserStore.AddSave(batch, person, block, updatedAt, origin, clock.GetUtcNow());

    /// <summary>Adds the statement that makes a user's row a tombstone, also when the user was never seen: nobody may sign in with what is left of the account.</summary>
    public void Delete(NpgsqlBatch batch, string subject, RequestOrigin origin) => UserStore.AddDelete(batch, subject, origin, clock.GetUtcNow());
}
