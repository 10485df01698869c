using GptFunctions.Tests.Support;
using GptFunctions.Verification;
using Xunit.Abstractions;

namespace GptFunctions.Tests.Verification;

/// <summary>Dispatchers in processes of their own: many countdowns due at once, and a death in the middle of one.</summary>
[Trait("Category", "Chaos")]
public sealed class DispatcherProcessTests(ITestOutputHelper output) : IAsyncLifetime
{
    private TestDatabase database = null!;
    private Dictionary<string, string?> settings = null!;

    public async Task InitializeAsync()
    {
        database = await TestDatabase.CreateAsync(nameof(DispatcherProcessTests));
        settings = TestApp.DefaultSettings(database.Url, 0);
        settings["PUBLIC_BASE_URL"] = "http://127.0.0.1:7071";
        settings.Remove("AzureWebJobs.DispatchCountdowns.Disabled");
    }

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task Ten_thousand_due_at_once_are_worked_off_by_two_dispatchers()
    {
        const int All = 10_000;
        await database.ExecuteAsync($"""
            INSERT INTO countdowns (id, kind, subject, due_at, next_attempt_at, created_at)
            SELECT gen_random_uuid(), '{VerificationExpiry.KindName}', 'order' || n, due, due, now()
            FROM (SELECT n, to_timestamp(10 * ceil((extract(epoch FROM now()) + 6) / 10)) AS due FROM generate_series(1, {All}) n) due
            """);
        await using var first = await AppProcess.StartAsync(settings);
        await using var second = await AppProcess.StartAsync(settings);
        await Wait.UntilAsync(async () => await DoneAsync() == All, TimeSpan.FromSeconds(180));
        output.WriteLine("From the time they were due to the last one: " + await database.ScalarAsync<string>(
            "SELECT (max(finished_at) - min(due_at))::text FROM countdowns"));
        Assert.Equal(0, await database.CountAsync("countdowns", "finished_at < due_at"));
    }

    [Theory]
    [InlineData("verification_sessions", "order_id")] // before the effect
    [InlineData("countdowns", "subject")] // behind it, before the commit
    public async Task Death_between_claim_effect_and_commit_leaves_nothing_behind_and_the_next_one_does_it(string table, string column)
    {
        await database.ExecuteAsync($"""
            INSERT INTO verification_sessions (order_id, customer_email, order_total, status, deadline, created_at)
            VALUES ('held', 'customer@example.com', 1, 'pending_verification', now() - interval '1 s', now());
            INSERT INTO countdowns (id, kind, subject, due_at, next_attempt_at, created_at)
            VALUES (gen_random_uuid(), '{VerificationExpiry.KindName}', 'held', now() + interval '2 s', now() + interval '2 s', now());
            """);
        await using (var first = await AppProcess.StartAsync(settings))
        {
            await Wait.UntilAsync(async () => await ClaimedAsync() == 1 || await DoneAsync() == 1);
            if (await DoneAsync() == 0)
            {
                await using var held = await database.HoldAsync($"SELECT FROM {table} WHERE {column} = 'held' FOR UPDATE");
                await first.KillAsync();
            }
        }

        await database.ExecuteAsync("UPDATE countdowns SET lease_until = NULL");
        await using (await AppProcess.StartAsync(settings))
        {
            await Wait.UntilAsync(async () => await DoneAsync() == 1);
        }

        Assert.Equal(1, await database.CountAsync("outbox_messages", $"routing_key = '{VerificationExpiry.Expired}'"));
        Assert.Equal(1, await database.CountAsync("verification_callbacks"));
    }

    private Task<long> DoneAsync() => database.CountAsync("countdowns", "status = 'completed'");

    private Task<long> ClaimedAsync() => database.CountAsync("countdowns", "status = 'active' AND lease_until IS NOT NULL");
}
