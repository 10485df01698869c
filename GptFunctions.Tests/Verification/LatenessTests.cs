using GptFunctions.Tests.Countdowns;
using GptFunctions.Tests.Support;
using Xunit.Abstractions;

namespace GptFunctions.Tests.Verification;

/// <summary>The program as it runs, its timers by their schedules: countdowns are late by at most 15 s at rest, and never early.</summary>
public sealed class LatenessTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const int Samples = 10;
    private TestApp app = null!;

    public async Task InitializeAsync() =>
        app = await TestApp.StartAsync(nameof(LatenessTests), new() { ["AzureWebJobs.DispatchCountdowns.Disabled"] = null });

    public async Task DisposeAsync() => await app.DisposeAsync();

    [Fact]
    public async Task Countdowns_at_rest_are_worked_off_within_15_seconds_and_never_early()
    {
        await new CountdownBench(app).ScheduleAsync("sample", "interval '1 s' * n", Samples, GptFunctions.Verification.VerificationExpiry.KindName);
        await Wait.UntilAsync(async () => await app.Database.CountAsync("countdowns", "status = 'completed'") == Samples, TimeSpan.FromSeconds(60));
        output.WriteLine("Late by up to " + await app.Database.ScalarAsync<string>("SELECT max(finished_at - due_at)::text FROM countdowns"));
        Assert.Equal(0, await app.Database.CountAsync("countdowns", "finished_at < due_at OR finished_at > due_at + interval '15 s'"));
    }
}
