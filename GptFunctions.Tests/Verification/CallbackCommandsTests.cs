using GptFunctions.Tests.Support;
using GptFunctions.Verification;

namespace GptFunctions.Tests.Verification;

/// <summary>countdowns.md 21: what your system is told of orders, for operators.</summary>
public sealed class CallbackCommandsTests : IAsyncLifetime
{
    private TestApp app = null!;

    public async Task InitializeAsync()
    {
        app = await TestApp.StartAsync(nameof(CallbackCommandsTests));
        await app.Database.ExecuteAsync("""
            INSERT INTO verification_sessions (order_id, status, created_at, decided_at) VALUES ('order-1', 'refund_due', now(), now());
            INSERT INTO verification_callbacks (id, type, order_id, status, attempts, next_attempt_at, created_at, finished_at, last_error)
            VALUES ('00000000-0000-0000-0000-000000000001', 'verification.refund_due', 'order-1', 'dead', 80, now(), now() - interval '80 hours', now(),
                    'the receiver answered 500'),
                   ('00000000-0000-0000-0000-000000000002', 'verification.reminder', 'order-1', 'pending', 1, now(), now(), NULL, 'the receiver answered 500')
            """);
    }

    public async Task DisposeAsync() => await app.DisposeAsync();

    [Fact]
    public async Task Dead_callback_is_listed_sent_again_and_has_its_hours_anew()
    {
        var (_, output, _) = await RunAsync("list");
        Assert.Matches("^00000000-0000-0000-0000-000000000001  dead +verification.refund_due .* 80  order-1  the receiver answered 500\n$", output);
        Assert.Equal((0, $"{Id(1)} is sent by the next run\n", ""), await RunAsync("replay", Id(1), "--by", "ada", "--reason", "it is back"));
        var told = Assert.Single(await app.Database.EventsAsync(CallbackListStore.Replayed, "callback_id", Id(1))).GetProperty("payload");
        Assert.Equal(("command:ada", "it is back"), (told.GetProperty("operator").GetString(), told.GetProperty("reason").GetString()));
        Assert.Contains("no dead callback", (await RunAsync("replay", Id(1))).Error, StringComparison.Ordinal);

        await using var replica = await app.StartReplicaAsync(
            ("VERIFICATION_CALLBACK_URL", "http://127.0.0.1:9/closed"), ("VERIFICATION_CALLBACK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        await replica.Get<CallbackService>().RunAsync(CancellationToken.None);
        Assert.Equal("pending 1", await app.Database.ScalarAsync<string>(
            $"SELECT status || ' ' || attempts FROM verification_callbacks WHERE id = '{Id(1)}'"));
    }

    [Fact]
    public async Task Cancelled_callback_is_told_of_to_nobody_but_the_trail()
    {
        Assert.Contains("--reason", (await RunAsync("cancel", Id(2))).Error, StringComparison.Ordinal);
        Assert.Equal((0, $"{Id(2)} is cancelled\n", ""), await RunAsync("cancel", Id(2), "--reason", "told by telephone"));
        Assert.Single(await app.Database.EventsAsync(CallbackListStore.Cancelled, "callback_id", Id(2)));
        Assert.Contains("no pending or dead callback", (await RunAsync("cancel", Id(2), "--reason", "x")).Error, StringComparison.Ordinal);
        Assert.Contains("cancelled by an operator", (await RunAsync("list", "--status", "skipped")).Output, StringComparison.Ordinal);
        Assert.Equal("", (await RunAsync("list", "--status", "pending")).Output);
    }

    private static string Id(int number) => $"00000000-0000-0000-0000-00000000000{number}";

    private Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] words) => AppProcess.RunAsync(app.Settings, ["callbacks", .. words]);
}
