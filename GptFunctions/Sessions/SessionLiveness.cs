using GptFunctions.Data;

namespace GptFunctions.Sessions;

/// <summary>Answers from memory whether a session still lives. Its end is told by the database to every replica; see <see cref="ChangeFeed"/> for when it cannot.</summary>
internal sealed class SessionLiveness
{
    private const int Capacity = 100_000;
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);
    private readonly LiveCache<Guid, DateTimeOffset?> ends;
    private readonly TimeProvider clock;

    public SessionLiveness(SessionStore store, ChangeFeed feed, TimeProvider clock)
    {
        this.clock = clock;
        ends = new(feed, clock, Capacity, _ => Lifetime, store.ReadEndAsync);
        feed.Subscribe("session", key =>
        {
            if (Guid.TryParse(key, out var sessionId))
            {
                ends.Drop(sessionId);
            }
            else
            {
                ends.DropAll();
            }
        });
    }

    public async ValueTask<bool> IsLiveAsync(Guid sessionId) => await ends.GetAsync(sessionId) > clock.GetUtcNow();
}
