using System.Net;
using GptFunctions.Countdowns;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Verification;

/// <summary>Orders that are approved around their deadline: each ends in one state, and nobody is told of a refund of one that was verified.</summary>
public sealed class DeadlineRaceTests : IAsyncLifetime
{
    private const int Orders = 30;
    private OrderBench bench = null!;

    public async Task InitializeAsync() => bench = await OrderBench.StartAsync(nameof(DeadlineRaceTests));

    public async Task DisposeAsync() => await bench.DisposeAsync();

    [Fact]
    public async Task Approval_within_a_second_of_the_deadline_ends_in_one_state_with_at_most_one_refund()
    {
        var orders = await Task.WhenAll(Enumerable.Range(0, Orders).Select(_ => bench.OrderAsync()));
        // Deadlines spread over the next second, which the approvals and two dispatchers meet.
        await bench.Database.ExecuteAsync($"""
            UPDATE verification_sessions SET deadline = now() + interval '1 s' * random();
            UPDATE countdowns SET due_at = session.deadline, next_attempt_at = session.deadline
            FROM verification_sessions session WHERE session.order_id = subject AND kind = 'verification.expiry';
            """);
        using var over = new CancellationTokenSource();
        var dispatching = Enumerable.Range(0, 2).Select(_ => DispatchAsync(over.Token)).ToList();
        var answers = await Task.WhenAll(orders.Select(async (order, index) =>
        {
            await Wait.UntilAsync(async () => await bench.Database.ScalarAsync<bool>(
                $"SELECT deadline - now() < interval '{(index % 6) - 2} ms' * 10 FROM verification_sessions WHERE order_id = '{order}'"));
            return (order, await bench.DecideAsync(order, "approved"));
        }));
        await Wait.UntilAsync(async () => await bench.Database.CountAsync("verification_sessions", "status = 'pending_verification'") == 0);
        await over.CancelAsync();
        await Task.WhenAll(dispatching);
        await bench.RunAsync();

        foreach (var (order, answer) in answers)
        {
            var status = await bench.StatusAsync(order);
            Assert.Equal(answer.Status == HttpStatusCode.OK ? "verified" : "refund_due", status);
            Assert.True(answer.Status is HttpStatusCode.OK or HttpStatusCode.Gone);
            Assert.Equal(status == "refund_due" ? 1 : 0, await bench.Database.CountAsync("verification_callbacks", $"order_id = '{order}'"));
            Assert.Equal(0, await bench.Database.CountAsync("countdowns", $"subject = '{order}' AND kind = 'verification.expiry' AND status = 'active'"));
        }

        Assert.Equal(
            await bench.Database.CountAsync("verification_callbacks"), (await bench.Receiver.ReceivedAsync()).Count);
    }

    private async Task DispatchAsync(CancellationToken over)
    {
        while (!over.IsCancellationRequested)
        {
            await bench.App.Get<CountdownService>().RunAsync(CancellationToken.None);
        }
    }
}
