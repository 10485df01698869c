using System.Diagnostics;
using GptFunctions.Tests.Support;
using GptFunctions.Verification;

namespace GptFunctions.Tests.Verification;

public sealed class CallbackTests
{
    [Theory]
    [InlineData("500", "the receiver answered 500")]
    [InlineData("404", "the receiver answered 404")]
    [InlineData("redirect", "the receiver answered 307")]
    [InlineData("reset", null)]
    public async Task Failure_is_tried_again_with_the_same_id_and_never_followed_elsewhere(string behaviour, string? error)
    {
        await using var bench = await OrderBench.StartAsync($"{nameof(CallbackTests)}{behaviour}");
        await bench.Receiver.BehaveAsync(behaviour);
        var order = await ExpireAsync(bench);
        foreach (var pause in (int[])[10, 20, 40])
        {
            Assert.Equal("pending", (await bench.CallbackAsync(order)).Status);
            Assert.Equal(1, await bench.Database.CountAsync(
                "verification_callbacks",
                $"next_attempt_at BETWEEN now() + interval '{pause - 9} s' AND now() + interval '{pause} s' AND lease_until IS NULL"));
            await bench.RunAsync(); // not yet
            await bench.Database.ExecuteAsync("UPDATE verification_callbacks SET next_attempt_at = now()");
            await bench.RunAsync();
        }

        await bench.Receiver.BehaveAsync("204");
        await bench.Database.ExecuteAsync("UPDATE verification_callbacks SET next_attempt_at = now()");
        await bench.RunAsync();
        var received = await bench.Receiver.ReceivedAsync();
        Assert.Equal(5, received.Count);
        Assert.Single(received.Select(callback => callback["id"]!.GetValue<string>()).Distinct(StringComparer.Ordinal));
        Assert.All(received, callback => Assert.Equal("/callbacks", callback["path"]!.GetValue<string>()));
        Assert.Equal("sent", (await bench.CallbackAsync(order)).Status);
        if (error is not null)
        {
            Assert.Contains(bench.App.Log.Lines, line => line.Contains(error, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Receiver_that_hangs_is_given_up_after_ten_seconds_and_holds_up_no_countdown()
    {
        await using var bench = await OrderBench.StartAsync(nameof(CallbackTests) + "Hang");
        await bench.Receiver.BehaveAsync("hang");
        var order = await ExpireAsync(bench, send: false);
        var clock = Stopwatch.StartNew();
        var sending = bench.App.Get<CallbackService>().RunAsync(CancellationToken.None);
        await Wait.UntilAsync(async () => (await bench.Receiver.ReceivedAsync()).Count == 1);
        await ExpireAsync(bench, send: false);
        Assert.False(sending.IsCompleted);
        await sending;
        Assert.InRange(clock.Elapsed.TotalSeconds, 9, 58);
        Assert.Equal("pending", (await bench.CallbackAsync(order)).Status);
        Assert.Contains(bench.App.Log.Lines, line => line.Contains("no answer within 10 s", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Pause_doubles_up_to_an_hour_and_after_72_hours_it_is_over()
    {
        await using var bench = await OrderBench.StartAsync(nameof(CallbackTests) + "Dead");
        await bench.Receiver.BehaveAsync("500");
        var order = await ExpireAsync(bench);
        await bench.Database.ExecuteAsync(
            "UPDATE verification_callbacks SET next_attempt_at = now(), attempts = 30, created_at = created_at - interval '71 h'");
        await bench.RunAsync();
        Assert.Equal(1, await bench.Database.CountAsync(
            "verification_callbacks", "status = 'pending' AND next_attempt_at BETWEEN now() + interval '59 min' AND now() + interval '60 min'"));
        await bench.Database.ExecuteAsync("UPDATE verification_callbacks SET next_attempt_at = now(), created_at = created_at - interval '1 h'");
        await bench.RunAsync();
        Assert.Equal(("dead", "the receiver answered 500"), await bench.CallbackAsync(order));
        Assert.Single(await bench.Database.EventsAsync("gpt.countdown.callback_dead", "order_id", order));
        await bench.RunAsync();
        Assert.Equal(3, (await bench.Receiver.ReceivedAsync()).Count);
    }

    [Theory]
    [InlineData("SAFE_MODE", "true", "safe mode")]
    [InlineData("VERIFICATION_CALLBACK_URL", null, "VERIFICATION_CALLBACK_URL is not set")]
    public async Task Nothing_is_sent_and_that_is_recorded(string setting, string? value, string reason)
    {
        await using var bench = await OrderBench.StartAsync(nameof(CallbackTests) + setting, (setting, value));
        var order = await ExpireAsync(bench);
        Assert.Equal(("skipped", reason), await bench.CallbackAsync(order));
        Assert.Equal("refund_due", await bench.StatusAsync(order));
        Assert.Empty(await bench.Receiver.ReceivedAsync());
        var skipped = Assert.Single(await bench.Database.EventsAsync("gpt.countdown.callback_skipped", "order_id", order));
        Assert.Equal(reason, skipped.GetProperty("payload").GetProperty("error").GetString());
    }

    [Fact]
    public async Task Several_secrets_sign_side_by_side()
    {
        await using var bench = await OrderBench.StartAsync(
            nameof(CallbackTests) + "Secrets", ("VERIFICATION_CALLBACK_SECRET", $"{CallbackReceiver.Secret} {CallbackReceiver.NextSecret}"));
        await ExpireAsync(bench);
        var received = Assert.Single(await bench.Receiver.ReceivedAsync());
        Assert.Equal(2, received["signatures"]!.GetValue<int>());
        Assert.All(received["verified"]!.AsArray(), verified => Assert.True(verified!.GetValue<bool>()));
    }

    [Fact]
    public async Task What_a_dead_process_was_sending_is_sent_by_another_one()
    {
        await using var bench = await OrderBench.StartAsync(nameof(CallbackTests) + "Lease");
        await ExpireAsync(bench, send: false);
        Assert.Single(await bench.App.Get<CallbackStore>().ClaimAsync(10, TimeSpan.FromSeconds(60)));
        await bench.RunAsync();
        Assert.Empty(await bench.Receiver.ReceivedAsync());
        await bench.Database.ExecuteAsync("UPDATE verification_callbacks SET lease_until = now()");
        await bench.RunAsync();
        Assert.Single(await bench.Receiver.ReceivedAsync());
    }

    private static async Task<string> ExpireAsync(OrderBench bench, bool send = true)
    {
        var order = await bench.OrderAsync();
        await bench.Database.ExecuteAsync(
            $"UPDATE countdowns SET status = 'cancelled', finished_at = now() WHERE kind = '{VerificationReminder.KindName}' AND status = 'active'");
        await bench.PassAsync(order, "72 hours");
        if (send)
        {
            await bench.RunAsync();
        }
        else
        {
            await bench.App.Get<GptFunctions.Countdowns.CountdownService>().RunAsync(CancellationToken.None);
        }

        return order;
    }
}
