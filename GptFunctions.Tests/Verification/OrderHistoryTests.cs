using System.Globalization;
using System.Net;
using FsCheck;
using FsCheck.Fluent;
using GptFunctions.Countdowns;
using GptFunctions.Tests.Support;
using GptFunctions.Verification;

namespace GptFunctions.Tests.Verification;

/// <summary>What happens to an order, or to the processes.</summary>
public enum OrderStep
{
    Created,
    Approved,
    Declined,

    /// <summary>Three days pass.</summary>
    TimePasses,

    /// <summary>A dispatcher runs to its end.</summary>
    Dispatched,

    /// <summary>A dispatcher claims what is due and dies.</summary>
    Crashed,

    /// <summary>Two dispatchers and a decision at once.</summary>
    Raced,
}

/// <summary>
/// Random histories of two orders, events repeated and in any order, dispatchers that die: each order ends as <see cref="OrderModel"/> says, which knows
/// nothing of the tables, and with at most one refund. FsCheck's message has the seed; ORDER_HISTORIES makes more of them.
/// </summary>
public sealed class OrderHistoryTests : IAsyncLifetime
{
    private static readonly int Histories =
        int.TryParse(Environment.GetEnvironmentVariable("ORDER_HISTORIES"), CultureInfo.InvariantCulture, out var number) ? number : 60;

    private OrderBench bench = null!;
    private int run;
    private int refunds;

    public async Task InitializeAsync() => bench = await OrderBench.StartAsync(nameof(OrderHistoryTests), ("SAFE_MODE", "true"));

    public async Task DisposeAsync() => await bench.DisposeAsync();

    [Fact]
    public async Task Orders_end_as_the_model_says_after_any_history()
    {
        // Decisions are rare, or hardly any order would live to its deadline.
        var steps = Gen.Elements(
            OrderStep.Created, OrderStep.Created, OrderStep.Created, OrderStep.TimePasses, OrderStep.TimePasses, OrderStep.Dispatched,
            OrderStep.Dispatched, OrderStep.Crashed, OrderStep.Approved, OrderStep.Declined, OrderStep.Raced);
        var step = steps.Zip(Gen.Choose(0, 1)).Select(drawn => (drawn.Item1, drawn.Item2));
        var property = Prop.ForAll(Arb.From(step.ListOf(12)), history => CompareAsync([.. history]).GetAwaiter().GetResult());
        await Task.Run(() => Check.One(Config.QuickThrowOnFailure.WithMaxTest(Histories), property));
        Assert.InRange(refunds, Histories / 20, Histories * 2); // the histories lead somewhere
    }

    private async Task<bool> CompareAsync(List<(OrderStep Step, int Order)> history)
    {
        var prefix = $"h{Interlocked.Increment(ref run)}o";
        var models = new[] { new OrderModel(), new OrderModel() };
        foreach (var (step, index) in history)
        {
            await ApplyAsync(step, prefix + index, models[index], models);
        }

        await bench.App.Get<CountdownService>().RunAsync(CancellationToken.None);
        models[0].Dispatch();
        models[1].Dispatch();
        foreach (var (model, index) in models.Select((model, index) => (model, index)))
        {
            var order = prefix + index;
            var told = $"{order} after {string.Join(' ', history.Where(step => step.Order == index).Select(step => step.Step))}";
            Assert.True(model.Status == await bench.StatusAsync(order), $"{told}: expected {model.Status}, is {await bench.StatusAsync(order)}");
            var expected = model.Status == "refund_due" ? 1 : 0;
            refunds += expected;
            Assert.True(expected == (await bench.Database.EventsAsync(VerificationExpiry.Expired, "order_id", order)).Count, told);
            Assert.True(expected == await bench.Database.CountAsync(
                "verification_callbacks", $"order_id = '{order}' AND type = '{CallbackStore.RefundDue}'"), told);
            Assert.True((await bench.Database.EventsAsync(VerificationReminder.Reminded, "order_id", order)).Count <= 1, told);
            Assert.True(model.Status == "pending_verification" || await bench.Database.CountAsync(
                "countdowns", $"subject = '{order}' AND kind = '{VerificationExpiry.KindName}' AND status = 'active'") == 0, told);
        }

        return true;
    }

    private async Task ApplyAsync(OrderStep step, string order, OrderModel model, OrderModel[] all)
    {
        switch (step)
        {
            case OrderStep.Created:
                await bench.OrderAsync(order);
                model.Create();
                break;
            case OrderStep.Approved or OrderStep.Declined:
                var decision = step == OrderStep.Approved ? "approved" : "declined";
                Assert.Equal(model.Decide(decision), (await bench.DecideAsync(order, decision)).Status);
                break;
            case OrderStep.TimePasses:
                await bench.PassAsync(order, "73 hours");
                model.PassTime();
                break;
            case OrderStep.Dispatched:
                await bench.App.Get<CountdownService>().RunAsync(CancellationToken.None);
                Array.ForEach(all, other => other.Dispatch());
                break;
            case OrderStep.Crashed:
                await bench.App.Get<CountdownStore>().ClaimAsync([VerificationExpiry.KindName, VerificationReminder.KindName], 100, TimeSpan.Zero);
                break;
            default:
                var dispatcher = bench.App.Get<CountdownService>();
                var answer = bench.DecideAsync(order, "approved");
                await Task.WhenAll(dispatcher.RunAsync(CancellationToken.None), dispatcher.RunAsync(CancellationToken.None), answer);
                Array.ForEach(all, other => other.Dispatch());
                Assert.Equal(model.Decide("approved"), (await answer).Status);
                break;
        }
    }
}

/// <summary>How an order stands, by the rules of countdowns.md 8 and webhooks.md 17 and 18.</summary>
internal sealed class OrderModel
{
    private readonly HashSet<string> taken = [];
    private bool isOver;

    /// <summary>Null before anything was heard of it.</summary>
    public string? Status { get; private set; }

    public void Create() => Status ??= "pending_verification";

    /// <returns>The answer to the sender.</returns>
    public HttpStatusCode Decide(string decision)
    {
        if (taken.Contains(decision))
        {
            return HttpStatusCode.OK; // a repeat, whatever has become of the order since
        }

        if (Status == "refund_due" || (Status == "pending_verification" && isOver))
        {
            return HttpStatusCode.Gone;
        }

        taken.Add(decision);
        Status = Status is null or "pending_verification" ? decision == "approved" ? "verified" : "declined" : Status;
        return HttpStatusCode.OK;
    }

    public void PassTime() => isOver |= Status == "pending_verification";

    public void Dispatch() => Status = Status == "pending_verification" && isOver ? "refund_due" : Status;
}
