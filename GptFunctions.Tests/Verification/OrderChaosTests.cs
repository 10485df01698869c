using System.Diagnostics;
using System.Globalization;
using GptFunctions.Tests.Support;
using GptFunctions.Verification;
using Xunit.Abstractions;

namespace GptFunctions.Tests.Verification;

/// <summary>
/// Two dispatchers in processes of their own on thousands of orders that are due at once, killed again and again, and the database restarts in
/// between: each refund is due once. On a server of its own. CHAOS_ORDERS and CHAOS_KILLS make it longer.
/// </summary>
[Trait("Category", "Chaos")]
public sealed class OrderChaosTests(ITestOutputHelper output) : IAsyncLifetime
{
    private static readonly int Orders = Number("CHAOS_ORDERS", 4_000);
    private static readonly int Kills = Number("CHAOS_KILLS", 2);
    private readonly PrivateServices services = new("countdowns");
    private readonly Random random = new(20_261);
    private TestDatabase database = null!;
    private Dictionary<string, string?> settings = null!;

    public async Task InitializeAsync()
    {
        await services.StartAsync("postgres");
        database = await TestDatabase.CreateOnAsync(services.DatabaseUrl, nameof(OrderChaosTests));
        settings = TestApp.DefaultSettings(database.Url, 0);
        settings["PUBLIC_BASE_URL"] = "http://127.0.0.1:7071";
        settings.Remove("AzureWebJobs.DispatchCountdowns.Disabled");
        var (exitCode, said, error) = await AppProcess.RunAsync(settings, "setup");
        Assert.True(exitCode == 0, said + error);
    }

    public async Task DisposeAsync()
    {
        await database.DisposeAsync();
        await services.DisposeAsync();
    }

    [Fact]
    public async Task Thousands_due_at_once_with_dispatchers_that_die_and_a_database_that_restarts_each_happen_once()
    {
        await database.ExecuteAsync($"""
            INSERT INTO verification_sessions (order_id, customer_email, order_total, status, deadline, created_at)
            SELECT 'order' || n, 'customer@example.com', n, 'pending_verification', now() - interval '1 s', now() - interval '72 h'
            FROM generate_series(1, {Orders}) n;
            INSERT INTO countdowns (id, kind, subject, due_at, next_attempt_at, created_at)
            SELECT gen_random_uuid(), '{VerificationExpiry.KindName}', order_id, deadline, deadline, created_at
            FROM verification_sessions;
            """);
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(KillAgainAndAgainAsync(), KillAgainAndAgainAsync(), RestartAsync());
        output.WriteLine($"{2 * Kills} kills and a restart: {clock.Elapsed.TotalSeconds:0} s, {await DoneAsync()} of {Orders} done.");

        await database.ExecuteAsync("UPDATE countdowns SET lease_until = NULL, next_attempt_at = due_at WHERE status = 'active'"); // not to wait a minute
        await using (await AppProcess.StartAsync(settings))
        await using (await AppProcess.StartAsync(settings))
        {
            await Wait.UntilAsync(async () => await DoneAsync() == Orders, TimeSpan.FromSeconds(120));
        }

        output.WriteLine($"All done after {clock.Elapsed.TotalSeconds:0} s.");
        Assert.Equal(Orders, await database.CountAsync("countdowns", "status = 'completed' AND attempts = 0"));
        Assert.Equal(Orders, await database.CountAsync("outbox_messages", $"routing_key = '{VerificationExpiry.Expired}'"));
        Assert.Equal(Orders, await database.CountAsync("verification_callbacks"));
        Assert.Equal(Orders, await database.ScalarAsync<long>("SELECT count(DISTINCT envelope -> 'payload' ->> 'order_id') FROM outbox_messages"));
    }

    private static int Number(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out var number) ? number : otherwise;

    private Task<long> DoneAsync() => database.CountAsync("countdowns", "status = 'completed'");

    private async Task KillAgainAndAgainAsync()
    {
        for (var kill = 0; kill < Kills; kill++)
        {
            await using var dispatcher = await AppProcess.StartAsync(settings);
            var before = await TryCountAsync();
            await Wait.UntilAsync(
                async () => await TryCountAsync() is var now && (now > before + random.Next(100, 600) || now == Orders), TimeSpan.FromSeconds(90));
            await dispatcher.KillAsync();
        }
    }

    /// <summary>Minus one while the database is away.</summary>
    private async Task<long> TryCountAsync()
    {
        try
        {
            return await DoneAsync();
        }
        catch (Npgsql.NpgsqlException)
        {
            return -1;
        }
    }

    private async Task RestartAsync()
    {
        await Wait.UntilAsync(async () => await DoneAsync() > Orders / 100);
        await services.StopAsync("postgres");
        await services.StartAsync("postgres");
        database.Source.Clear();
    }
}
