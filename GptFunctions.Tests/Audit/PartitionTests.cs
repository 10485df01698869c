using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Audit;

/// <summary>audit.md 10: partitions by month of occurred_at, made ahead.</summary>
public sealed class PartitionTests : IAsyncLifetime
{
    private TestDatabase database = null!;

    public async Task InitializeAsync() => database = await TestDatabase.CreateAsync(nameof(PartitionTests));

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task CreatePartitions_covers_the_months_in_utc_and_repeats_without_effect()
    {
        var store = new AuditTrailStore(database.Source);
        var now = new DateTimeOffset(2027, 1, 31, 23, 30, 0, TimeSpan.Zero);
        Assert.Equal(5, await store.CreatePartitionsAsync(now, 5, CancellationToken.None));
        Assert.Equal(0, await store.CreatePartitionsAsync(now, 5, CancellationToken.None));

        await database.ExecuteAsync(
            "SET TIME ZONE 'Asia/Tokyo'; INSERT INTO gpt_oauth_events (event_id, event_type, metadata, source, occurred_at) VALUES (gen_random_uuid(), 'x', "
                + "'{}', 'test', '2027-01-31T23:59:59Z'), (gen_random_uuid(), 'x', '{}', 'test', '2027-02-01T00:00:00Z')");
        Assert.Equal(1, await database.CountAsync("gpt_oauth_events_2027_01"));
        Assert.Equal(1, await database.CountAsync("gpt_oauth_events_2027_02"));
        Assert.Equal(0, await database.CountAsync("gpt_oauth_events_other"));
    }

    [Fact]
    public async Task CreatePartitions_leaves_events_that_came_before_their_month_was_made_where_they_are()
    {
        await database.ExecuteAsync(
            "INSERT INTO gpt_oauth_events (event_id, event_type, metadata, source, occurred_at) VALUES (gen_random_uuid(), 'x', '{}', 'test', "
                + "'2031-03-15T00:00:00Z')");
        Assert.Equal(
            1,
            await new AuditTrailStore(database.Source).CreatePartitionsAsync(
                new DateTimeOffset(2031, 3, 1, 0, 0, 0, TimeSpan.Zero), 2, CancellationToken.None));
        Assert.Equal(1, await database.CountAsync("gpt_oauth_events_other"));
    }
}
