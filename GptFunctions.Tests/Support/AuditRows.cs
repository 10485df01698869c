namespace GptFunctions.Tests.Support;

/// <summary>Compares what was committed with what the audit trail says.</summary>
internal static class AuditRows
{
    /// <summary>
    /// Waits until outbox and queue are empty, then checks that every committed change has exactly one audit row: sessions and
    /// refreshes are counted in their own tables.
    /// </summary>
    public static async Task AssertCompleteAsync(TestDatabase database, TimeSpan limit)
    {
        await Wait.UntilAsync(async () => await database.CountAsync("outbox_messages") == 0 && await MissingAsync(database) == 0, limit);
        Assert.Equal(await database.CountAsync("gpt_sessions"), await CountAsync(database, "gpt.oauth.token_exchanged"));
        Assert.Equal(await database.CountAsync("gpt_refresh_tokens", "generation > 0"), await CountAsync(database, "gpt.oauth.token_refreshed"));
        Assert.Equal(await database.CountAsync("gpt_oauth_events"), await database.ScalarAsync<long>("SELECT count(DISTINCT event_id) FROM gpt_oauth_events"));
    }

    public static Task<long> CountAsync(TestDatabase database, string type) => database.CountAsync("gpt_oauth_events", $"event_type = '{type}'");

    private static async Task<long> MissingAsync(TestDatabase database) =>
        await database.CountAsync("gpt_sessions") + await database.CountAsync("gpt_refresh_tokens", "generation > 0")
        - await database.CountAsync("gpt_oauth_events", "event_type IN ('gpt.oauth.token_exchanged', 'gpt.oauth.token_refreshed')");
}
