using GptFunctions.Gateway;
using GptFunctions.RateLimits;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>The bucket itself, against the database's clock; oauth.md 13 uses it for failed client authentications.</summary>
public sealed class RateLimitsTests(AppFixture<RateLimitsTests> fixture) : IClassFixture<AppFixture<RateLimitsTests>>
{
    private static readonly TimeSpan Period = TimeSpan.FromMinutes(15);
    private readonly RateLimiter limits = fixture.App.Get<RateLimiter>();

    [Fact]
    public async Task TryTake_admits_the_limit_and_then_says_when_to_come_back()
    {
        for (var attempt = 1; attempt <= 10; attempt++)
        {
            Assert.Null((await TakeAsync("one by one")).RetryAfterSeconds);
        }

        Assert.InRange((await TakeAsync("one by one")).RetryAfterSeconds ?? 0, 80, 90); // a tenth of the period, less what the test took
        Assert.Null((await TakeAsync("another key")).RetryAfterSeconds);
    }

    /// <summary>A statement that began before the key's first row was committed does not see that row; it must not take that for an admission.</summary>
    [Fact]
    public async Task TryTake_refuses_when_the_bucket_was_filled_a_moment_ago()
    {
        await using var held = await fixture.App.Database.HoldAsync(
            "INSERT INTO rate_limits (key, tat) VALUES (sha256('filled'), clock_timestamp() + interval '15 minutes')");
        var taking = TakeAsync("filled");
        await fixture.App.Database.WaitForBlockedAsync(1);
        await held.LetGoAsync();

        Assert.NotNull((await taking).RetryAfterSeconds);
    }

    /// <summary>Exact under concurrency too.</summary>
    [Fact]
    public async Task TryTake_admits_exactly_the_limit_when_all_come_at_once()
    {
        var decisions = await Task.WhenAll(Enumerable.Range(0, 60).Select(_ => TakeAsync("all at once")));

        Assert.Equal(10, decisions.Count(decision => decision.RetryAfterSeconds is null));
        Assert.All(decisions.Where(decision => decision.RetryAfterSeconds is not null), decision => Assert.InRange(decision.RetryAfterSeconds!.Value, 1, 900));
    }

    /// <summary>Tries that come together share a statement; whose they are and how large each bucket is stays apart.</summary>
    [Fact]
    public async Task TryTake_of_many_buckets_of_several_sizes_at_once_keeps_each_exact()
    {
        int[] sizes = [3, 5, 8];
        var keys = Enumerable.Range(0, 60).Select(number => (Name: $"mixed {number}", Limit: sizes[number % sizes.Length])).ToList();

        var decisions = await Task.WhenAll(
            Enumerable.Range(0, 12).SelectMany(_ => keys)
                .Select(async key => (key, IsAdmitted: (await limits.TryTakeAsync(key.Name, key.Limit, Period)).RetryAfterSeconds is null)));

        Assert.All(keys, key => Assert.Equal(key.Limit, decisions.Count(decision => decision.key == key && decision.IsAdmitted)));
    }

    /// <summary>"Waiting that long always succeeds", also for those who were refused while others took: the time is looked up after their tries.</summary>
    [Fact]
    public async Task TryTake_refused_among_many_says_a_time_that_holds()
    {
        var decisions = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => TakeAsync("holds")));

        // 90 s each.
        Assert.All(decisions.Where(decision => decision.RetryAfterSeconds is not null), decision => Assert.InRange(decision.RetryAfterSeconds!.Value, 85, 90));
    }

    /// <summary>Time gives back one try after another.</summary>
    [Fact]
    public async Task TryTake_admits_again_when_a_share_of_the_period_has_passed()
    {
        var period = TimeSpan.FromSeconds(4);
        RateLimitDecision decision;
        while ((decision = await limits.TryTakeAsync("refill", 4, period)).RetryAfterSeconds is null)
        {
        }

        Assert.Equal(1, decision.RetryAfterSeconds); // a quarter of the period, not all of it
        await Wait.UntilAsync(async () => (await limits.TryTakeAsync("refill", 4, period)).RetryAfterSeconds is null);
    }

    private Task<RateLimitDecision> TakeAsync(string key) => limits.TryTakeAsync(key, 10, Period).AsTask();
}
