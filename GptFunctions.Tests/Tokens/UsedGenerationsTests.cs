using GptFunctions.Tokens;

namespace GptFunctions.Tests.Tokens;

/// <summary>What says whether the answer of a refresh was lost (oauth.md 24).</summary>
public sealed class UsedGenerationsTests
{
    /// <summary>Whoever asks while it is written down is told that it was seen: else a thief's token counts as the answer that was lost.</summary>
    [Fact]
    public async Task Generation_that_was_seen_stays_known_while_it_is_written_down()
    {
        var (used, session, latest) = (new UsedGenerations(), Guid.CreateVersion7(), 0);
        var writing = Task.Run(() =>
        {
            for (var generation = 1; generation <= 500_000; generation++)
            {
                used.Note(session, generation);
                Volatile.Write(ref latest, generation);
                used.Remember(new(session, generation));
            }
        });

        while (!writing.IsCompleted)
        {
            var seen = Volatile.Read(ref latest);
            Assert.True(seen == 0 || used.IsNoted(session, seen), $"Generation {seen} was seen and is not known.");
        }

        await writing;
    }
}
